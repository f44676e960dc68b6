/*
 * The ports that put a frame into a datagram: QEMU's dgram over unix sockets,
 * and UDP.
 */
#include "tests/switch/outside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "switch/dgram.h"

static int
set_up(void **state)
{
	*state = outside_new(&port_qemu_dgram);
	((struct outside *)*state)->kinds[1] = &port_udp;
	return 0;
}

static int
tear_down(void **state)
{
	outside_free(*state);
	return 0;
}

/* Sends what is in bytes from a socket that is not connected. */
static void
send_to_path(const struct outside *o, int fd, const char *name,
    const void *bytes, size_t n)
{
	struct sockaddr_un to = path_in(o, name);

	assert_int_equal(
	    sendto(fd, bytes, n, 0, (struct sockaddr *)&to, sizeof(to)), n);
}

static void
who_sent_last_is_sent_to(void **state)
{
	struct outside *o = *state;
	int one, two;
	char bytes[100];

	outside_open(o, "qemu-dgram:%s/d");
	send_frames_of(o, 1, 60, 0);
	assert_int_equal(o->node.count[DROP_NOT_READY], 1);
	one = bind_in(o, "one", SOCK_DGRAM);
	send_to_path(o, one, "d", "hello", 5);
	pump(o);
	assert_int_equal(o->sink->n, 1);
	assert_memory_equal(o->sink->frame[0].data, "hello", 5);
	send_frames_of(o, 2, 60, 7);
	assert_int_equal(recv(one, bytes, sizeof(bytes), 0), 60);
	assert_int_equal(bytes[0], 7);
	assert_int_equal(recv(one, bytes, sizeof(bytes), 0), 60);
	two = bind_in(o, "two", SOCK_DGRAM);
	send_to_path(o, two, "d", "other", 5);
	pump(o);
	send_frames_of(o, 1, 60, 9);
	assert_int_equal(recv(two, bytes, sizeof(bytes), 0), 60);
	assert_int_equal(recv(one, bytes, sizeof(bytes), 0), -1);
	close(one);
	close(two);
	unlink_in(o, "one");
	unlink_in(o, "two");
}

static void
a_named_peer_is_found_again_after_it_went(void **state)
{
	struct outside *o = *state;
	char bytes[100];
	int fd;

	struct err err = { "" };
	o->port = outside_port(
	    o, "out.eth0", "qemu-dgram:%1$s/d?remote=%1$s/r", "", &err);
	assert_string_equal(err.text, "");
	cable_join(o->port, &o->sink->port);
	send_frames_of(o, 1, 60, 0);
	assert_int_equal(o->node.count[DROP_NOT_READY], 1);
	for (unsigned int i = 0; i < 2; i++) {
		fd = bind_in(o, "r", SOCK_DGRAM);
		run_for(o, 150 * NS_PER_MS); /* it is not tried at once */
		send_frames_of(o, 1, 60, i);
		send_frames_of(o, 1, 60, i);
		assert_true(recv(fd, bytes, sizeof(bytes), 0) == 60);
		close(fd);
		unlink_in(o, "r");
		send_frames_of(o, 2, 60, i);
		assert_true(o->node.count[DROP_NOT_READY] >= 3 + 2 * i);
	}
}

/* A unix socket has place for ten datagrams; a burst has 64. */
static void
a_full_receiver_gets_the_rest_when_it_reads(void **state)
{
	struct outside *o = *state;
	int fd = bind_in(o, "one", SOCK_DGRAM);
	unsigned int got = 0;
	uint8_t bytes[2000];

	outside_open(o, "qemu-dgram:%s/d");
	send_to_path(o, fd, "d", "hello", 5);
	pump(o);
	send_frames_of(o, 64, 1500, 0);
	send_frames_of(o, 64, 1500, 64);
	assert_int_equal(o->node.count[REASON_DELIVERED], 128);
	while (got < 128) {
		ssize_t n;

		while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
			assert_int_equal(n, 1500);
			assert_int_equal(bytes[0], got);
			got++;
		}
		pump(o);
	}
	/* And one that never reads costs its own frames alone. */
	while (o->node.count[DROP_PORT_FULL] == 0)
		send_frames_of(o, 64, 1500, 0);
	close(fd);
	unlink_in(o, "one");
	pump(o);
}

static void
longer_than_the_port_carries_is_refused_both_ways(void **state)
{
	static uint8_t bytes[DGRAM_FRAME_BYTES + 100];
	struct outside *o = *state;
	int fd = bind_in(o, "one", SOCK_DGRAM);

	outside_open(o, "qemu-dgram:%s/d");
	send_to_path(o, fd, "d", bytes, DGRAM_FRAME_BYTES);
	send_to_path(o, fd, "d", bytes, DGRAM_FRAME_BYTES + 1);
	send_to_path(o, fd, "d", bytes, DGRAM_FRAME_BYTES + 100);
	send_to_path(o, fd, "d", bytes, 0);
	pump(o);
	assert_int_equal(o->sink->n, 2);
	assert_int_equal(o->sink->frame[0].len, DGRAM_FRAME_BYTES);
	assert_int_equal(o->sink->frame[1].len, 0);
	assert_int_equal(o->node.count[DROP_TOO_LONG], 2);
	send_frames_of(o, 1, DGRAM_FRAME_BYTES + 1, 0);
	send_frames_of(o, 1, DGRAM_FRAME_BYTES, 0);
	assert_int_equal(o->node.count[DROP_TOO_LONG], 3);
	assert_int_equal(
	    recv(fd, bytes, sizeof(bytes), MSG_TRUNC), DGRAM_FRAME_BYTES);
	close(fd);
	unlink_in(o, "one");
}

static void
what_is_at_the_path_is_left_alone(void **state)
{
	struct outside *o = *state;
	int fd = bind_in(o, "d", SOCK_DGRAM);
	struct err err = { "" };

	assert_null(outside_port(o, "out.eth0", "qemu-dgram:%s/d", "", &err));
	assert_non_null(strstr(err.text, "another process"));
	close(fd); /* now it is a stale one */
	outside_open(o, "qemu-dgram:%s/d");
}

/* ---- UDP ---- */

static int
udp_socket(uint16_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	getsockname(fd, (struct sockaddr *)&addr, &len);
	return ntohs(addr.sin_port);
}

static void
udp_takes_from_its_peer_alone(void **state)
{
	struct outside *o = *state;
	int peer = udp_socket(0), stranger = udp_socket(0), own = udp_socket(0);
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port_of(own)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char locator[100], bytes[100];
	struct err err = { "" };

	close(own); /* its port is free now */
	snprintf(locator, sizeof(locator),
	    "udp:127.0.0.1:%u?local=127.0.0.1:%u", port_of(peer),
	    ntohs(to.sin_port));
	o->port =
	    port_open(o->kinds, o->loop, &o->node, "out.eth0", locator, &err);
	assert_string_equal(err.text, "");
	cable_join(o->port, &o->sink->port);
	sendto(peer, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to));
	sendto(stranger, "HELLO", 5, 0, (struct sockaddr *)&to, sizeof(to));
	pump(o);
	assert_int_equal(o->sink->n, 1);
	assert_memory_equal(o->sink->frame[0].data, "hello", 5);
	send_frames_of(o, 64, 1500, 0);
	for (unsigned int i = 0; i < 64; i++) {
		assert_int_equal(
		    recv(peer, bytes, sizeof(bytes), MSG_TRUNC), 1500);
		assert_int_equal(bytes[0], i);
	}
	/* Nobody at the other end: the kernel may tell, and that is all. */
	close(peer);
	send_frames_of(o, 64, 60, 0);
	send_frames_of(o, 64, 60, 0);
	pump(o);
	assert_int_equal(
	    o->node.count[DROP_NOT_READY] + o->node.count[REASON_DELIVERED],
	    192);
	close(stranger);
}

static void
locators_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *locator, *says;
	} rows[] = {
		{ "udp:", "names no peer" },
		{ "udp:192.0.2.1", "names no peer" },
		{ "udp:host:5000", "names no peer" },
		{ "udp:127.0.0.1:5000?local=[::1]:5000", "the peer's family" },
		{ "udp:127.0.0.1:5000?local=192.0.2.1:5000",
		    "use an address of this machine" },
		{ "udp:127.0.0.1:5000?remote=1", "is not known" },
		{ "qemu-dgram:", "1 to 107" },
		{ "qemu-dgram:/nowhere/at/all", "a folder of yours" },
		{ "qemu-dgram:/tmp/lanyard-no-such?remote=", "1 to 107" },
		{ "qemu-stream:/x", "does not name a port" },
	};
	struct outside *o = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { "" };

		assert_null(port_open(o->kinds, o->loop, &o->node, "out.eth0",
		    rows[i].locator, &err));
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].locator, err.text);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_sent_last_is_sent_to),
		T(a_named_peer_is_found_again_after_it_went),
		T(a_full_receiver_gets_the_rest_when_it_reads),
		T(longer_than_the_port_carries_is_refused_both_ways),
		T(what_is_at_the_path_is_left_alone),
		T(udp_takes_from_its_peer_alone),
		T(locators_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
