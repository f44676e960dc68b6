/*
 * VDE: the port that is a switch to a plug, the port that plugs into a switch,
 * and the two joined.
 */
#include "tests/switch/outside.h"

#include <errno.h>

#include "switch/vde.h"

static int
set_up(void **state)
{
	struct outside *o = outside_new(&port_vde_listen);

	o->kinds[1] = &port_vde;
	*state = o;
	return 0;
}

static int
tear_down(void **state)
{
	outside_free(*state);
	return 0;
}

/* ---- what is said ---- */

static void
a_request_is_read_as_it_was_written(void **state)
{
	struct vde_request in = { .port = 77,
		.plug = { .sun_family = AF_UNIX, .sun_path = "/run/x" },
		.description = "me\tyou" };
	struct vde_request out;
	uint8_t bytes[VDE_REQUEST_MAX];
	size_t n = vde_request_write(&in, bytes);

	(void)state;
	assert_null(vde_request_read(&out, bytes, n));
	assert_int_equal(out.port, 77);
	assert_string_equal(out.plug.sun_path, "/run/x");
	assert_string_equal(out.description, "me?you");
}

static void
requests_that_contradict_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		bool fine;
	} rows[] = {
		{ 0, 0xff, false }, /* magic */
		{ 4, 4, false },    /* version */
		{ 8, 1, true },     /* any port */
		{ 8, 2, false },    /* type */
		{ 12, 2, false },   /* family */
		{ 14, 0, true },    /* a name in the abstract namespace */
		{ 121, 'x', true }, /* after the end of the path */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vde_request r = { .plug = { .sun_family = AF_UNIX,
					     .sun_path = "/x" } };
		uint8_t bytes[VDE_REQUEST_MAX];
		size_t n = vde_request_write(&r, bytes);

		bytes[rows[i].at] = rows[i].byte;
		assert_true(
		    (vde_request_read(&r, bytes, n) == NULL) == rows[i].fine);
		assert_non_null(
		    vde_request_read(&r, bytes, VDE_REQUEST_BYTES - 1));
	}
}

static void
a_path_has_an_end(void **state)
{
	uint8_t bytes[VDE_ANSWER_BYTES];
	struct sockaddr_un plug;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, &(uint16_t){ AF_UNIX }, 2);
	assert_non_null(vde_answer_read(&plug, bytes));
	bytes[sizeof(bytes) - 1] = '\0';
	assert_null(vde_answer_read(&plug, bytes));
}

/* ---- a plug of the test's ---- */

struct plug {
	int ctl, data;
};

static struct plug
plug_in(struct outside *o, const char *name)
{
	struct vde_request r = { .description = "test" };
	struct plug plug = { .ctl = connect_in(o, "v/ctl", SOCK_STREAM) };
	uint8_t bytes[VDE_REQUEST_MAX], answer[VDE_ANSWER_BYTES];
	struct sockaddr_un theirs;
	size_t n;

	plug.data = bind_in(o, name, SOCK_DGRAM);
	r.plug = path_in(o, name);
	n = vde_request_write(&r, bytes);
	/* in two pieces, as a stream may bring it */
	assert_int_equal(send(plug.ctl, bytes, 50, 0), 50);
	pump(o);
	assert_int_equal(send(plug.ctl, bytes + 50, n - 50, 0), n - 50);
	pump(o);
	if (recv(plug.ctl, answer, sizeof(answer), 0) !=
	    (ssize_t)sizeof(answer))
		fail_msg("no answer");
	assert_null(vde_answer_read(&theirs, answer));
	assert_int_equal(
	    connect(plug.data, (struct sockaddr *)&theirs, sizeof(theirs)), 0);
	unlink_in(o, name);
	return plug;
}

static void
unplug(struct outside *o, struct plug *plug)
{
	close(plug->ctl);
	close(plug->data);
	pump(o);
}

static void
a_plug_gets_and_sends_frames(void **state)
{
	struct outside *o = *state;
	struct plug plug;
	uint8_t bytes[2000];
	unsigned int got = 0;

	outside_open(o, "vde-listen:%s/v");
	send_frames_of(o, 1, 60, 0);
	assert_int_equal(o->node.count[DROP_NOT_READY], 1);
	for (unsigned int i = 0; i < 3; i++) {
		plug = plug_in(o, "plug");
		assert_int_equal(send(plug.data, "hello", 5, 0), 5);
		pump(o);
		assert_int_equal(o->sink->n, i + 1);
		send_frames_of(o, 64, 1500, 0);
		for (got = 0; got < 64;) {
			while (recv(plug.data, bytes, sizeof(bytes), 0) > 0)
				assert_int_equal(bytes[0], got++);
			pump(o);
		}
		unplug(o, &plug);
	}
	send_frames_of(o, 1, 60, 0);
	assert_int_equal(o->node.count[DROP_NOT_READY], 2);
}

static void
nonsense_is_shown_out(void **state)
{
	static const char *const what[] = { "GET / HTTP/1.0\r\n\r\n", "" };
	struct outside *o = *state;
	int fds;

	outside_open(o, "vde-listen:%s/v");
	fds = open_fds();
	for (unsigned int i = 0; i < 50; i++) {
		int fd = connect_in(o, "v/ctl", SOCK_STREAM);
		uint8_t bytes[VDE_REQUEST_MAX] = { 0 };
		char byte;

		pump(o);
		memcpy(bytes, what[i % 2], strlen(what[i % 2]));
		assert_true(send(fd, bytes, sizeof(bytes), 0) > 0);
		pump(o);
		assert_true(recv(fd, &byte, 1, 0) <= 0 && errno != EAGAIN);
		close(fd);
	}
	pump(o);
	assert_int_equal(open_fds(), fds);
}

/* One whose socket is not there, or is no datagram socket. */
static void
a_plug_that_cannot_be_reached_is_shown_out(void **state)
{
	struct outside *o = *state;
	struct vde_request r = { .description = "liar" };
	uint8_t bytes[VDE_REQUEST_MAX];
	int fd, stream;
	char byte;

	outside_open(o, "vde-listen:%s/v");
	stream = bind_in(o, "stream", SOCK_STREAM);
	for (unsigned int i = 0; i < 2; i++) {
		fd = connect_in(o, "v/ctl", SOCK_STREAM);
		r.plug = path_in(o, i == 0 ? "nothing" : "stream");
		assert_true(
		    send(fd, bytes, vde_request_write(&r, bytes), 0) > 0);
		pump(o);
		errno = 0;
		assert_true(recv(fd, &byte, 1, 0) <= 0 && errno != EAGAIN);
		close(fd);
	}
	close(stream);
	unlink_in(o, "stream");
}

/* ---- our plug in our switch ---- */

static void
the_two_meet_and_meet_again(void **state)
{
	struct outside *o = *state;
	struct sink *sink = sink_new("far.eth0");
	struct node node;
	struct port *plug;
	struct err err = { "" };
	char text[300], locator[100];

	node_init(&node, "plug");
	snprintf(locator, sizeof(locator), "vde:%s/v", o->dir);
	plug = port_open(o->kinds, o->loop, &node, "plug.eth0", locator, &err);
	assert_string_equal(err.text, "");
	cable_join(plug, &sink->port);
	assert_non_null(
	    strstr(plug->ops->describe(plug, text, sizeof(text)), "waiting"));
	for (unsigned int i = 0; i < 2; i++) {
		outside_open(o, "vde-listen:%s/v");
		run_for(o, 1200 * NS_PER_MS); /* it tries each second */
		assert_non_null(
		    strstr(plug->ops->describe(plug, text, sizeof(text)),
			"plugged in"));
		sink_clear(sink);
		send_frames_of(o, 64, 1500, 0);
		for (unsigned int k = 0; k < 20; k++)
			pump(o);
		assert_int_equal(sink->n, 64);
		assert_int_equal(sink->frame[63].data[0], 63);
		port_close(o->port);
		o->port = NULL;
		pump(o);
		assert_non_null(strstr(
		    plug->ops->describe(plug, text, sizeof(text)), "waiting"));
	}
	port_close(plug);
	sink_free(sink);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_read_as_it_was_written),
		cmocka_unit_test(requests_that_contradict_are_refused),
		cmocka_unit_test(a_path_has_an_end),
		T(a_plug_gets_and_sends_frames),
		T(nonsense_is_shown_out),
		T(a_plug_that_cannot_be_reached_is_shown_out),
		T(the_two_meet_and_meet_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
