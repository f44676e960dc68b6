#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "tests/vmm/back_end.h"
#include "vmm/vhost_front.h"

#define VERSION_1     (UINT64_C(1) << 32)
#define PROTOCOL_BIT  (UINT64_C(1) << 30)
#define REPLY_ACK     0x8u
#define MIB(n)        ((uint64_t)(n) << 20)
#define RING_AT(n)    (0x10000 + (n)*0x4000)
#define NEED_REPLY(m) (((m).flags & 0x8) != 0)

struct rig {
	struct back_end back;
	struct vhost_front front;
	struct memory memory;
	struct vhost_ring ring[2];
};

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->front.fd = -1;
	rig->back.features = VERSION_1 | PROTOCOL_BIT | 0x800;
	rig->back.protocol = REPLY_ACK | 0x10 | 0x2; /* MTU, and dirty logs */
	memory_init(&rig->memory, MIB(16), NULL);
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *at = memory_at(&rig->memory, RING_AT(i), 0x4000);

		rig->ring[i] = (struct vhost_ring){ .index = i,
			.size = 256,
			.base = (uint16_t)(7 + i),
			.desc = at,
			.driver = at + 0x1000,
			.device = at + 0x2000,
			.kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
			.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	}
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	vhost_front_close(&rig->front);
	back_stop(&rig->back);
	for (unsigned int i = 0; i < 2; i++) {
		close(rig->ring[i].kick_fd);
		close(rig->ring[i].call_fd);
	}
	memory_free(&rig->memory);
	free(rig);
	return 0;
}

static int
open_front(struct rig *rig, struct err *err)
{
	int fd[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	back_start(&rig->back, fd[1]);
	return vhost_front_open(&rig->front, fd[0], err);
}

static int
start(struct rig *rig, uint64_t features, struct err *err)
{
	return vhost_front_start(
	    &rig->front, features, &rig->memory, rig->ring, 2, err);
}

/* Everything that was sent has been seen once this returns. */
static void
settle(struct rig *rig)
{
	vhost_front_close(&rig->front);
	pthread_join(rig->back.thread, NULL);
	pthread_create(&rig->back.thread, NULL, back_thread, &rig->back);
}

static void
expect_requests(const struct rig *rig, const uint32_t *want, unsigned int n)
{
	assert_int_equal(rig->back.n, n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(rig->back.got[i].request, want[i]);
		assert_int_equal(rig->back.got[i].flags & 0x7, 1);
	}
}

static void
negotiates_what_both_sides_know(void **state)
{
	static const uint32_t want[] = { 3, 1, 15, 16 };
	struct rig *rig = *state;

	assert_int_equal(open_front(rig, NULL), 0);
	assert_int_equal(rig->front.features, VERSION_1 | 0x800);
	assert_int_equal(rig->front.protocol, REPLY_ACK | 0x10);
	settle(rig);
	expect_requests(rig, want, 4);
	assert_int_equal(rig->back.got[0].bytes, 0);
	assert_int_equal(get_le64(rig->back.got[3].payload), REPLY_ACK | 0x10);
}

static void
a_plain_back_end_is_not_asked_for_more(void **state)
{
	static const uint32_t want[] = { 3, 1, 2, 5, 8, 10, 9, 13, 12, 8, 10, 9,
		13, 12 };
	struct rig *rig = *state;

	rig->back.features = VERSION_1;
	assert_int_equal(open_front(rig, NULL), 0);
	assert_int_equal(start(rig, VERSION_1, NULL), 0);
	settle(rig);
	expect_requests(rig, want, sizeof(want) / sizeof(want[0]));
	for (unsigned int i = 0; i < rig->back.n; i++)
		assert_false(NEED_REPLY(rig->back.got[i]));
	assert_int_equal(get_le64(rig->back.got[2].payload), VERSION_1);
}

static void
a_start_hands_over_memory_and_rings(void **state)
{
	static const uint32_t want[] = { 3, 1, 15, 16, 2, 5, 8, 10, 9, 13, 12,
		8, 10, 9, 13, 12, 18, 18 };
	struct rig *rig = *state;
	uint64_t count, base = (uintptr_t)rig->memory.base;
	const uint8_t *p;

	assert_int_equal(open_front(rig, NULL), 0);
	assert_int_equal(start(rig, VERSION_1, NULL), 0);
	settle(rig);
	expect_requests(rig, want, sizeof(want) / sizeof(want[0]));
	assert_int_equal(
	    get_le64(rig->back.got[4].payload), VERSION_1 | PROTOCOL_BIT);
	/* The memory table: one region, with its descriptor, acknowledged. */
	p = rig->back.got[5].payload;
	assert_int_equal(rig->back.got[5].bytes, 40);
	assert_int_equal(rig->back.got[5].nfds, 1);
	assert_true(NEED_REPLY(rig->back.got[5]));
	assert_int_equal(get_le32(p), 1);
	assert_int_equal(get_le64(p + 8), 0);
	assert_int_equal(get_le64(p + 16), MIB(16));
	assert_int_equal(get_le64(p + 24), base);
	assert_int_equal(get_le64(p + 32), 0);
	/* Ring 1. */
	assert_int_equal(
	    get_le64(rig->back.got[11].payload), 1 | UINT64_C(256) << 32);
	assert_int_equal(
	    get_le64(rig->back.got[12].payload), 1 | UINT64_C(8) << 32);
	p = rig->back.got[13].payload;
	assert_int_equal(get_le32(p), 1);
	assert_int_equal(get_le64(p + 8), base + RING_AT(1));
	assert_int_equal(get_le64(p + 16), base + RING_AT(1) + 0x2000);
	assert_int_equal(get_le64(p + 24), base + RING_AT(1) + 0x1000);
	assert_int_equal(get_le64(rig->back.got[15].payload), 1);
	assert_int_equal(rig->back.got[15].nfds, 1);
	assert_false(NEED_REPLY(rig->back.got[16]));
	assert_true(NEED_REPLY(rig->back.got[17]));
	/* What the guest put there before is looked at. */
	assert_int_equal(read(rig->back.kick_fd[1], &count, 8), 8);
	assert_int_equal(count, 1);
}

static void
high_memory_is_a_second_region(void **state)
{
	struct rig *rig = *state;
	const uint8_t *p;

	memory_free(&rig->memory);
	memory_init(&rig->memory, MIB(5 * 1024), NULL);
	for (unsigned int i = 0; i < 2; i++)
		rig->ring[i].desc = rig->ring[i].driver = rig->ring[i].device =
		    rig->memory.base;
	assert_int_equal(open_front(rig, NULL), 0);
	assert_int_equal(start(rig, VERSION_1, NULL), 0);
	settle(rig);
	assert_int_equal(rig->back.got[5].nfds, 2);
	p = rig->back.got[5].payload;
	assert_int_equal(get_le32(p), 2);
	assert_int_equal(get_le64(p + 40), MEMORY_HOLE_END);
	assert_int_equal(get_le64(p + 48), MIB(2 * 1024));
	assert_int_equal(
	    get_le64(p + 56), (uintptr_t)rig->memory.base + MIB(3 * 1024));
	assert_int_equal(get_le64(p + 64), MIB(3 * 1024));
}

static void
a_stop_brings_the_bases_back(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(open_front(rig, NULL), 0);
	assert_int_equal(start(rig, VERSION_1, NULL), 0);
	rig->back.base[0] = 100;
	rig->back.base[1] = 65535;
	assert_int_equal(vhost_front_stop(&rig->front, rig->ring, 2, NULL), 0);
	assert_int_equal(rig->ring[0].base, 100);
	assert_int_equal(rig->ring[1].base, 65535);
	assert_true(vhost_front_alive(&rig->front));
}

static void
the_mtu_is_told_to_who_wants_it(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(open_front(rig, NULL), 0);
	assert_int_equal(vhost_front_set_mtu(&rig->front, 1400, NULL), 0);
	rig->front.protocol = 0;
	assert_int_equal(vhost_front_set_mtu(&rig->front, 1500, NULL), 0);
	settle(rig);
	assert_int_equal(rig->back.n, 5);
	assert_int_equal(rig->back.got[4].request, 20);
	assert_int_equal(get_le64(rig->back.got[4].payload), 1400);
}

static const struct fault {
	enum back_fault fault;
	int error;
} faults[] = {
	{ BACK_HANGS_UP, -EPIPE },
	{ BACK_WRONG_REQUEST, -EPROTO },
	{ BACK_WRONG_SIZE, -EPROTO },
	{ BACK_WRONG_VERSION, -EPROTO },
	{ BACK_NO_REPLY_FLAG, -EPROTO },
	{ BACK_SHORT, -EPIPE },
	{ BACK_REFUSES, -EREMOTEIO },
};

/* Runs one step against each fault in its reply; 0: it came off. */
static void
faults_in(void **state, uint32_t request, uint64_t protocol,
    int (*step)(struct rig *rig, struct err *err), unsigned int nfaults)
{
	for (unsigned int i = 0; i < nfaults; i++) {
		struct rig *rig;
		struct err err = { "" };

		setup((void **)&rig);
		rig->back.protocol = protocol;
		rig->back.fault = faults[i].fault;
		rig->back.fault_at = request;
		assert_int_equal(step(rig, &err), faults[i].error);
		assert_true(strlen(err.text) > 20);
		teardown((void **)&rig);
	}
	(void)state;
}

static int
start_step(struct rig *rig, struct err *err)
{
	assert_int_equal(open_front(rig, err), 0);
	return start(rig, VERSION_1, err);
}

static int
stop_step(struct rig *rig, struct err *err)
{
	assert_int_equal(start_step(rig, err), 0);
	return vhost_front_stop(&rig->front, rig->ring, 2, err);
}

static void
wrong_answers_count_as_dead(void **state)
{
	faults_in(state, 1, REPLY_ACK, open_front, 6);
	faults_in(state, 15, REPLY_ACK, open_front, 6);
	faults_in(state, 5, REPLY_ACK, start_step, 7);
	faults_in(state, 18, REPLY_ACK, start_step, 7);
	faults_in(state, 11, 0, stop_step, 6);
}

static void
a_reply_in_pieces_is_put_together(void **state)
{
	struct rig *rig = *state;

	rig->back.fault = BACK_TWO_PIECES;
	rig->back.fault_at = 1;
	assert_int_equal(open_front(rig, NULL), 0);
	assert_int_equal(rig->front.features, VERSION_1 | 0x800);
}

static void
another_ring_is_no_answer(void **state)
{
	struct rig *rig = *state;
	struct err err = { "" };

	rig->back.fault = BACK_OTHER_RING;
	rig->back.fault_at = 11;
	assert_int_equal(stop_step(rig, &err), -EPROTO);
	assert_string_equal(err.text,
	    "vhost-user: the back end does not give ring 0 back: Protocol "
	    "error");
}

static void
a_peer_that_left_or_speaks_unasked_is_not_alive(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(open_front(rig, NULL), 0);
	assert_true(vhost_front_alive(&rig->front));
	assert_int_equal(send(rig->back.fd, "?", 1, 0), 1);
	assert_false(vhost_front_alive(&rig->front));
	shutdown(rig->back.fd, SHUT_RDWR);
	assert_false(vhost_front_alive(&rig->front));
}

static void
connecting_says_why_not(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(vhost_front_connect(path), -ENAMETOOLONG);
	assert_int_equal(vhost_front_connect("/nonexistent/lanyard"), -ENOENT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(negotiates_what_both_sides_know),
		CASE(a_plain_back_end_is_not_asked_for_more),
		CASE(a_start_hands_over_memory_and_rings),
		CASE(high_memory_is_a_second_region),
		CASE(a_stop_brings_the_bases_back),
		CASE(the_mtu_is_told_to_who_wants_it),
		cmocka_unit_test(wrong_answers_count_as_dead),
		CASE(a_reply_in_pieces_is_put_together),
		CASE(another_ring_is_no_answer),
		CASE(a_peer_that_left_or_speaks_unasked_is_not_alive),
		cmocka_unit_test(connecting_says_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
