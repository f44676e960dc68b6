/*
 * The port of QEMU's stream against a peer that does anything.
 */
#include "tests/switch/outside.h"

#include "switch/frame_stream.h"

static int
set_up(void **state)
{
	struct outside *o = outside_new(&port_qemu);

	outside_open(o, "qemu:%s/s");
	*state = o;
	return 0;
}

static int
tear_down(void **state)
{
	outside_free(*state);
	return 0;
}

static void
write_frame(int fd, const void *bytes, size_t n)
{
	uint8_t head[STREAM_HEAD_BYTES];

	stream_head(head, n);
	assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
	assert_int_equal(write(fd, bytes, n), n);
}

static void
frames_come_and_go(void **state)
{
	struct outside *o = *state;
	uint8_t bytes[200];
	int fd = connect_in(o, "s", SOCK_STREAM);

	pump(o);
	write_frame(fd, "hello", 5);
	write_frame(fd, "world!", 6);
	pump(o);
	assert_int_equal(o->sink->n, 2);
	assert_memory_equal(o->sink->frame[1].data, "world!", 6);
	send_frames_of(o, 2, 60, 1);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 128);
	assert_memory_equal(bytes, "\0\0\0\x3c\1\0\0\0\1", 9);
	assert_memory_equal(bytes + 64, "\0\0\0\x3c\2\0\0\0\2", 9);
	assert_int_equal(o->node.count[REASON_DELIVERED], 2);
	close(fd);
	pump(o);
}

static void
without_a_peer_frames_are_refused(void **state)
{
	struct outside *o = *state;
	int fd;

	send_frames_of(o, 3, 60, 0);
	assert_int_equal(o->node.count[DROP_NOT_READY], 3);
	fd = connect_in(o, "s", SOCK_STREAM);
	pump(o);
	close(fd);
	pump(o);
	send_frames_of(o, 2, 60, 0);
	assert_int_equal(o->node.count[DROP_NOT_READY], 5);
}

/* Reads frames as they come; returns how many, each of which must be whole and
 * follow the one before. */
static unsigned int
read_frames(int fd, struct frame_stream *s, uint32_t *last)
{
	unsigned int n = 0;
	const uint8_t *data;
	size_t room, len;

	for (;;) {
		uint8_t *at = stream_room(s, &room);
		ssize_t r = read(fd, at, room < 3001 ? room : 3001);

		if (r <= 0)
			return n;
		stream_came(s, (size_t)r);
		while (stream_next(s, &data, &len) == 1) {
			uint32_t number;

			assert_true(len >= sizeof(number));
			memcpy(&number, data, sizeof(number));
			assert_true(number > *last);
			assert_int_equal(data[len - 1], (uint8_t)number);
			*last = number;
			n++;
		}
	}
}

/* One that does not read costs nothing but its own frames, and finds whole ones
 * in order when it does. */
static void
a_peer_that_does_not_read_loses_whole_frames(void **state)
{
	struct outside *o = *state;
	struct frame_stream *s = calloc(1, sizeof(*s));
	int fd = connect_in(o, "s", SOCK_STREAM);
	unsigned int sent = 0, got = 0;
	uint32_t last = 0;

	pump(o);
	while (o->node.count[DROP_PORT_FULL] < 1000) {
		send_frames_of(o, 64, 1000 + sent % 500, sent + 1);
		sent += 64;
		assert_true(sent < 1000000);
	}
	assert_int_equal(
	    o->node.count[DROP_PORT_FULL] + o->node.count[REASON_DELIVERED],
	    sent);
	for (unsigned int i = 0; i < 10000; i++) {
		got += read_frames(fd, s, &last);
		pump(o);
		if (got == o->node.count[REASON_DELIVERED])
			break;
	}
	assert_int_equal(got, o->node.count[REASON_DELIVERED]);
	send_frames_of(o, 1, 60, sent + 1);
	assert_int_equal(read_frames(fd, s, &last), 1);
	close(fd);
	pump(o);
	free(s);
}

static void
nonsense_ends_the_connection_and_the_next_is_let_in(void **state)
{
	struct outside *o = *state;
	int fd = connect_in(o, "s", SOCK_STREAM);
	char byte;

	pump(o);
	write_frame(fd, "fine", 4);
	assert_int_equal(write(fd, "\xff\xff\xff\xff", 4), 4);
	pump(o);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	assert_int_equal(o->sink->n, 1);
	fd = connect_in(o, "s", SOCK_STREAM);
	pump(o);
	write_frame(fd, "next", 4); /* not the rest of something */
	pump(o);
	assert_int_equal(o->sink->n, 2);
	close(fd);
	pump(o);
}

static void
a_second_peer_is_turned_away(void **state)
{
	struct outside *o = *state;
	int one = connect_in(o, "s", SOCK_STREAM), two;
	char byte;

	pump(o);
	two = connect_in(o, "s", SOCK_STREAM);
	pump(o);
	assert_int_equal(read(two, &byte, 1), 0);
	write_frame(one, "mine", 4);
	pump(o);
	assert_int_equal(o->sink->n, 1);
	close(two);
	close(one);
	pump(o);
}

static void
a_storm_of_connections_leaves_nothing(void **state)
{
	struct outside *o = *state;
	int fds = open_fds();

	for (unsigned int i = 0; i < 500; i++) {
		int fd = connect_in(o, "s", SOCK_STREAM);

		if (i % 3 == 0)
			pump(o);
		(void)!send(fd, "\0\0\0\x10half", i % 9, MSG_NOSIGNAL);
		if (i % 5 == 0)
			send_frames_of(o, 5, 1500, 0);
		close(fd);
		if (i % 7 == 0)
			pump(o);
	}
	pump(o);
	for (unsigned int i = 0; i < 100; i++)
		pump(o);
	assert_int_equal(open_fds(), fds);
}

/* Frames of many pieces, and bursts beyond what one write takes. */
static void
frames_of_many_pieces_stay_in_order(void **state)
{
	static uint8_t bytes[64000];
	struct outside *o = *state;
	struct frame_stream *s = calloc(1, sizeof(*s));
	int fd = connect_in(o, "s", SOCK_STREAM);
	struct iovec tail[BURST_MAX][1100];
	uint32_t last = 0;
	struct burst burst;

	pump(o);
	burst_clear(&burst);
	memset(bytes, 9, sizeof(bytes));
	for (unsigned int i = 0; i < 8; i++) {
		struct frame *f = burst_add(&burst, bytes + i * 4, 256);
		unsigned int pieces = i == 5 ? 1100 : 200;

		memcpy(bytes + i * 4, &(uint32_t){ i + 1 }, 4);
		for (unsigned int k = 0; k < pieces; k++) {
			tail[i][k] = (struct iovec){ bytes + 1000, 3 };
			bytes[1000 + 2 + i] = 0;
		}
		bytes[2000 + i] = (uint8_t)(i + 1);
		tail[i][pieces - 1] = (struct iovec){ bytes + 2000 + i, 1 };
		f->tail = tail[i];
		f->ntail = (uint16_t)pieces;
		f->len = 256 + 3 * (pieces - 1) + 1;
	}
	port_send(&o->sink->port, &burst);
	pump(o);
	assert_int_equal(read_frames(fd, s, &last), 8);
	assert_int_equal(last, 8);
	close(fd);
	pump(o);
	free(s);
}

static void
it_says_how_it_stands(void **state)
{
	struct outside *o = *state;
	char text[256];
	int fd;

	assert_non_null(strstr(
	    o->port->ops->describe(o->port, text, sizeof(text)), "waiting"));
	fd = connect_in(o, "s", SOCK_STREAM);
	pump(o);
	assert_non_null(
	    strstr(o->port->ops->describe(o->port, text, sizeof(text)),
		"connected, 0 waiting"));
	close(fd);
	pump(o);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(frames_come_and_go),
		T(without_a_peer_frames_are_refused),
		T(a_peer_that_does_not_read_loses_whole_frames),
		T(nonsense_ends_the_connection_and_the_next_is_let_in),
		T(a_second_peer_is_turned_away),
		T(a_storm_of_connections_leaves_nothing),
		T(frames_of_many_pieces_stay_in_order),
		T(it_says_how_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
