/*
 * The network card with a back end that comes and goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "base/log.h"
#include "tests/vmm/back_end.h"
#include "tests/vmm/driver_ring.h"
#include "tests/vmm/fake_engine.h"
#include "vmm/virtio_net.h"

#define VERSION_1    (UINT64_C(1) << 32)
#define PROTOCOL_BIT (UINT64_C(1) << 30)
#define MAC          (UINT64_C(1) << 5)
#define LINK_STATUS  (UINT64_C(1) << 16)
#define MTU          (UINT64_C(1) << 3)
#define HOST_TSO4    (UINT64_C(1) << 11)
#define CTRL_VQ      (UINT64_C(1) << 17)
#define RING_AT(n)   (0x10000 + (n)*0x4000)

struct rig {
	struct loop *loop;
	struct machine machine;
	struct memory memory;
	struct virtio_net net;
	char dir[32], path[64];
	int listen_fd;
	struct back_end *back;
	uint64_t features, protocol;
	unsigned int changes, stop_at;
	unsigned int pairs, back_pairs;
	struct loop_timer limit;
	struct loop_defer stop;
};

static void
changed(void *transport)
{
	struct rig *rig = transport;

	if (++rig->changes == rig->stop_at)
		loop_stop(rig->loop);
}

static void
too_long(void *arg)
{
	(void)arg;
	fail_msg("nothing happened");
}

static void
stop_loop(void *arg)
{
	loop_stop(arg);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	log_set_level(LOG_ERROR);
	rig->loop = loop_new(LOOP_REAL, NULL);
	loop_timer_init(&rig->limit, rig->loop, too_long, rig);
	memory_init(&rig->memory, 2 << 20, NULL);
	machine_init(&rig->machine, &rig->memory, NULL, NULL);
	strcpy(rig->dir, "/tmp/netXXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->path, sizeof(rig->path), "%s/sock", rig->dir);
	strcpy(at.sun_path, rig->path);
	rig->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(rig->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	listen(rig->listen_fd, 4);
	rig->protocol = 0x8;
	rig->features = VERSION_1 | HOST_TSO4 | CTRL_VQ | PROTOCOL_BIT;
	*state = rig;
	return 0;
}

static void
drop_back_end(struct rig *rig)
{
	if (rig->back == NULL)
		return;
	back_stop(rig->back);
	free(rig->back);
	rig->back = NULL;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	virtio_net_fini(&rig->net);
	drop_back_end(rig);
	loop_timer_unset(&rig->limit);
	loop_free(rig->loop);
	memory_free(&rig->memory);
	close(rig->listen_fd);
	unlink(rig->path);
	rmdir(rig->dir);
	machine_fini(&rig->machine);
	free(rig);
	return 0;
}

/* Accepts in a thread of its own, since the card talks to it at once. */
static void *
accept_thread(void *arg)
{
	struct rig *rig = arg;

	rig->back->fd = accept4(rig->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	return back_thread(rig->back);
}

static void
expect_back_end(struct rig *rig, enum back_fault fault, uint32_t fault_at)
{
	struct back_end *back = calloc(1, sizeof(*back));

	rig->back = back;
	back->features = rig->features;
	back->protocol = rig->protocol;
	back->pairs = rig->back_pairs;
	back->fault = fault;
	back->fault_at = fault_at;
	back->memory_fd = -1;
	back->kick_fd[0] = back->kick_fd[1] = -1;
	back->call_fd[0] = back->call_fd[1] = -1;
	pthread_create(&back->thread, NULL, accept_thread, rig);
}

static int
make_card(struct rig *rig, uint16_t mtu, struct err *err)
{
	struct virtio_net_setup setup_card = { .name = "eth0",
		.socket = rig->path,
		.fd = -1,
		.mac = { { 0x52, 0x54, 0, 1, 2, 3 } },
		.mtu_bytes = mtu,
		.pairs = rig->pairs,
		.machine = &rig->machine,
		.loop = rig->loop };
	int r = virtio_net_init(&rig->net, &setup_card, err);

	rig->net.device.changed = changed;
	rig->net.device.transport = rig;
	return r;
}

/* What the transport does for a driver. */
static void
drive(struct rig *rig, uint64_t features)
{
	struct virtio_device *d = &rig->net.device;

	pthread_mutex_lock(&rig->machine.lock);
	virtio_set_status(d, 0x3);
	virtio_set_features(d, features);
	virtio_set_status(d, 0xb);
	for (unsigned int i = 0; i < d->nqueues; i++) {
		d->queue[i].desc = RING_AT(i);
		d->queue[i].driver = RING_AT(i) + 0x1000;
		d->queue[i].device = RING_AT(i) + 0x2000;
		virtio_enable_queue(d, i);
	}
	virtio_set_status(d, 0xf);
	pthread_mutex_unlock(&rig->machine.lock);
}

/* Runs the loop until the configuration has changed n times more. */
static void
until_changes(struct rig *rig, unsigned int n)
{
	rig->stop_at = rig->changes + n;
	loop_update_now(rig->loop);
	loop_timer_set(&rig->limit, loop_now_ns(rig->loop) + 10 * NS_PER_S);
	loop_run(rig->loop);
	loop_timer_unset(&rig->limit);
}

static unsigned int
count_of(const struct back_end *back, uint32_t request)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < back->n; i++)
		n += back->got[i].request == request;
	return n;
}

static const uint8_t *
last_of(const struct back_end *back, uint32_t request)
{
	for (unsigned int i = back->n; i-- > 0;)
		if (back->got[i].request == request)
			return back->got[i].payload;
	return NULL;
}

static unsigned int
link_status(struct rig *rig)
{
	uint8_t config[VIRTIO_CONFIG_BYTES_MAX] = { 0 };

	rig->net.device.ops->config(&rig->net.device, config);
	return get_le16(config + 6);
}

static void
offers_what_both_sides_know_and_its_own(void **state)
{
	struct rig *rig = *state;
	uint8_t config[VIRTIO_CONFIG_BYTES_MAX] = { 0 };
	const struct virtio_ops *ops;

	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 1400, NULL), 0);
	ops = rig->net.device.ops;
	assert_int_equal(ops->features(&rig->net.device),
	    VERSION_1 | HOST_TSO4 | MAC | LINK_STATUS | MTU);
	ops->config(&rig->net.device, config);
	assert_memory_equal(config, "\x52\x54\x00\x01\x02\x03", 6);
	assert_int_equal(get_le16(config + 6), 1);
	assert_int_equal(get_le16(config + 10), 1400);
}

static void
the_back_end_gets_its_features_and_rings(void **state)
{
	struct rig *rig = *state;

	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	drive(rig, VERSION_1 | HOST_TSO4 | MAC | LINK_STATUS);
	assert_true(rig->net.serving);
	assert_int_equal(get_le64(last_of(rig->back, 2)),
	    VERSION_1 | HOST_TSO4 | PROTOCOL_BIT);
	assert_int_equal(count_of(rig->back, 18), 2);
	assert_int_equal(get_le32(last_of(rig->back, 10) + 4), 0);
	virtio_reset(&rig->net.device);
	assert_int_equal(count_of(rig->back, 11), 2);
	assert_false(rig->net.serving);
	assert_true(virtio_net_link(&rig->net));
}

/* ---- several pairs of queues ---- */

#define MQ      (UINT64_C(1) << 22)
#define COMMAND 0x80000
#define CONTROL 8 /* the queue behind four pairs */

static uint8_t
command(struct rig *rig, struct driver_ring *ring, const void *bytes,
    unsigned int n)
{
	uint8_t *room = memory_at(&rig->memory, COMMAND, 64);
	const struct ring_piece pieces[] = { { COMMAND, 2, false },
		{ COMMAND + 2, n - 2, false }, { COMMAND + 32, 1, true } };

	memcpy(room, bytes, n);
	room[32] = 0xee;
	ring_chain(ring, pieces, 3);
	virtio_kick(&rig->net.device, CONTROL);
	loop_update_now(rig->loop);
	loop_timer_set(&rig->limit, loop_now_ns(rig->loop) + 10 * NS_PER_S);
	for (unsigned int i = 0; i < 100 && room[32] == 0xee; i++) {
		loop_defer_ask(&rig->stop);
		loop_run(rig->loop);
	}
	loop_timer_unset(&rig->limit);
	return room[32];
}

/* What the back end was told last of a ring: 18 is SET_VRING_ENABLE. */
static int
is_on(const struct back_end *back, unsigned int ring)
{
	int on = -1;

	for (unsigned int i = 0; i < back->n; i++)
		if (back->got[i].request == 18 &&
		    get_le32(back->got[i].payload) == ring)
			on = (int)get_le32(back->got[i].payload + 4);
	return on;
}

static void
make_pairs(struct rig *rig, struct driver_ring *control)
{
	struct virtio_device *d = &rig->net.device;
	struct err err = { "" };

	rig->pairs = 4;
	rig->back_pairs = 8;
	rig->protocol |= 1;
	rig->features |= MQ;
	loop_defer_init(&rig->stop, rig->loop, stop_loop, rig->loop);
	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, &err), 0);
	assert_int_equal(d->nqueues, 9);
	assert_true(d->ops->features(d) & MQ && d->ops->features(d) & CTRL_VQ);
	pthread_mutex_lock(&rig->machine.lock);
	virtio_set_status(d, 0x3);
	virtio_set_features(d, VERSION_1 | MQ | CTRL_VQ);
	virtio_set_status(d, 0xb);
	assert_true(virtio_features_locked(d));
	for (unsigned int i = 0; i < 8; i++) {
		struct driver_ring ring;

		ring_init(&ring, d, i, RING_AT(i), 16);
	}
	ring_init(control, d, CONTROL, RING_AT(CONTROL), 16);
	virtio_set_status(d, 0xf);
	pthread_mutex_unlock(&rig->machine.lock);
}

static void
the_driver_says_how_many_pairs_are_used(void **state)
{
	struct rig *rig = *state;
	struct driver_ring control;

	make_pairs(rig, &control);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(is_on(rig->back, i), i < 2);
	assert_int_equal(command(rig, &control, "\x04\x00\x03\x00", 4), 0);
	assert_int_equal(rig->net.pairs_on, 3);
	/* The back end answers no more than what it must: this it has heard
	 * when it gives the rings back. */
	virtio_reset(&rig->net.device);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(is_on(rig->back, i), i < 6);
}

static void
commands_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		unsigned int n;
	} cases[] = { { "\x04\x00\x00\x00", 4 }, { "\x04\x00\x05\x00", 4 },
		{ "\x04\x00\xff\xff", 4 }, { "\x04\x01\x01\x00", 4 },
		{ "\x00\x00\x01\x00", 4 }, { "\x04\x00\x01\x00\x00", 5 },
		{ "\x04\x00\x01", 3 } };
	struct rig *rig = *state;
	struct driver_ring control;

	make_pairs(rig, &control);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    command(rig, &control, cases[i].bytes, cases[i].n), 1);
	assert_int_equal(rig->net.pairs_on, 1);
	assert_int_equal(rig->net.bad, sizeof(cases) / sizeof(cases[0]));
	assert_int_equal(command(rig, &control, "\x04\x00\x04\x00", 4), 0);
	/* Another driver begins with one pair. */
	virtio_reset(&rig->net.device);
	drive(rig, VERSION_1 | MQ | CTRL_VQ);
	assert_int_equal(rig->net.pairs_on, 1);
}

static void
pairs_come_with_their_control_queue_or_not_at_all(void **state)
{
	struct rig *rig = *state;
	struct virtio_device *d = &rig->net.device;
	struct driver_ring control;

	make_pairs(rig, &control);
	virtio_reset(d);
	virtio_set_status(d, 0x3);
	virtio_set_features(d, VERSION_1 | CTRL_VQ);
	virtio_set_status(d, 0xb);
	assert_false(virtio_features_locked(d));
	virtio_set_features(d, VERSION_1 | MQ);
	virtio_set_status(d, 0xb);
	assert_false(virtio_features_locked(d));
	virtio_set_features(d, VERSION_1);
	virtio_set_status(d, 0xb);
	assert_true(virtio_features_locked(d));
}

static void
no_more_pairs_than_the_back_end_has(void **state)
{
	struct rig *rig = *state;
	uint8_t config[VIRTIO_CONFIG_BYTES_MAX] = { 0 };

	rig->pairs = 4;
	rig->back_pairs = 2;
	rig->protocol |= 1;
	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	assert_int_equal(rig->net.device.nqueues, 5);
	rig->net.device.ops->config(&rig->net.device, config);
	assert_int_equal(get_le16(config + 8), 2);
}

static void
a_back_end_without_pairs_gets_one(void **state)
{
	struct rig *rig = *state;

	rig->pairs = 4;
	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	assert_int_equal(rig->net.device.nqueues, 2);
	assert_false(rig->net.device.ops->features(&rig->net.device) & CTRL_VQ);
}

static void
without_a_back_end_it_says_what_to_do(void **state)
{
	struct rig *rig = *state;
	struct err err = { "" };
	char want[160];

	close(rig->listen_fd);
	rig->listen_fd = -1;
	assert_int_equal(make_card(rig, 0, &err), -ECONNREFUSED);
	snprintf(want, sizeof(want),
	    "eth0: cannot connect to %s: Connection refused; start the "
	    "vhost-user back end first",
	    rig->path);
	assert_string_equal(err.text, want);
}

static void
an_old_back_end_is_refused(void **state)
{
	struct rig *rig = *state;
	struct err err = { "" };
	char want[160];

	rig->features = HOST_TSO4;
	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, &err), -ENOTSUP);
	snprintf(want, sizeof(want),
	    "%s: the back end does not speak virtio 1; use a newer one",
	    rig->path);
	assert_string_equal(err.text, want);
}

static void
a_dead_back_end_is_a_link_down_and_a_new_one_goes_on(void **state)
{
	struct rig *rig = *state;
	uint8_t *used;

	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	drive(rig, VERSION_1 | MAC | LINK_STATUS);
	assert_int_equal(link_status(rig), 1);
	drop_back_end(rig);
	until_changes(rig, 1);
	assert_int_equal(link_status(rig), 0);
	assert_false(rig->net.serving);
	/* It has returned seven buffers of ring 0 and three of ring 1. */
	used = memory_at(&rig->memory, RING_AT(0) + 0x2000, 4);
	put_le16(used + 2, 7);
	used = memory_at(&rig->memory, RING_AT(1) + 0x2000, 4);
	put_le16(used + 2, 3);
	expect_back_end(rig, BACK_RIGHT, 0);
	until_changes(rig, 1);
	assert_int_equal(link_status(rig), 1);
	assert_true(rig->net.serving);
	assert_int_equal(count_of(rig->back, 10), 2);
	assert_int_equal(
	    get_le64(last_of(rig->back, 10)), 1 | UINT64_C(3) << 32);
}

/* The cable's link, as the fabric tells it. */
static void
the_guest_is_told_what_the_back_end_says_of_the_link(void **state)
{
	const uint64_t one = 1;
	struct rig *rig = *state;

	rig->protocol = 0x8 | UINT64_C(1) << 62;
	expect_back_end(rig, BACK_RIGHT, 0);
	rig->back->down = true;
	assert_int_equal(make_card(rig, 0, NULL), 0);
	drive(rig, VERSION_1 | MAC | LINK_STATUS);
	assert_int_equal(link_status(rig), 0);
	assert_true(rig->net.serving); /* its rings are served all the same */
	rig->back->down = false;
	assert_int_equal(write(rig->back->link_fd, &one, 8), 8);
	until_changes(rig, 1);
	assert_int_equal(link_status(rig), 1);
	rig->back->down = true;
	assert_int_equal(write(rig->back->link_fd, &one, 8), 8);
	until_changes(rig, 1);
	assert_int_equal(link_status(rig), 0);
	/* The next back end says its own. */
	drop_back_end(rig);
	until_changes(rig, 1);
	expect_back_end(rig, BACK_RIGHT, 0);
	until_changes(rig, 1);
	assert_int_equal(link_status(rig), 1);
}

static void
a_driver_may_start_while_the_link_is_down(void **state)
{
	struct rig *rig = *state;

	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	drop_back_end(rig);
	until_changes(rig, 1);
	drive(rig, VERSION_1);
	assert_true(rig->net.device.started);
	assert_false(rig->net.serving);
	expect_back_end(rig, BACK_RIGHT, 0);
	until_changes(rig, 1);
	assert_true(rig->net.serving);
}

static void
a_back_end_that_lacks_what_the_guest_took_is_left(void **state)
{
	struct rig *rig = *state;

	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	drive(rig, VERSION_1 | HOST_TSO4);
	drop_back_end(rig);
	until_changes(rig, 1);
	rig->features = VERSION_1 | PROTOCOL_BIT;
	expect_back_end(rig, BACK_RIGHT, 0);
	rig->changes = 0;
	loop_timer_init(&rig->limit, rig->loop, stop_loop, rig->loop);
	loop_timer_set(&rig->limit, loop_now_ns(rig->loop) + 200 * NS_PER_MS);
	loop_run(rig->loop);
	assert_int_equal(rig->changes, 0);
	assert_false(virtio_net_link(&rig->net));
	assert_int_equal(count_of(rig->back, 5), 0);
}

static void
a_back_end_that_refuses_the_rings_is_left_and_tried_again(void **state)
{
	struct rig *rig = *state;

	expect_back_end(rig, BACK_REFUSES, 5);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	drive(rig, VERSION_1);
	assert_true(rig->net.device.started); /* with its link down */
	assert_false(rig->net.serving);
	until_changes(rig, 1);
	assert_int_equal(link_status(rig), 0);
	drop_back_end(rig);
	expect_back_end(rig, BACK_RIGHT, 0);
	until_changes(rig, 1);
	assert_true(rig->net.serving);
}

static void
a_back_end_that_dies_while_it_stops_does_no_harm(void **state)
{
	struct rig *rig = *state;

	expect_back_end(rig, BACK_HANGS_UP, 11);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	drive(rig, VERSION_1);
	virtio_reset(&rig->net.device);
	assert_false(rig->net.serving);
	until_changes(rig, 1);
	assert_int_equal(link_status(rig), 0);
}

static void
a_back_end_that_speaks_unasked_is_left(void **state)
{
	struct rig *rig = *state;

	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	assert_int_equal(send(rig->back->fd, "?", 1, MSG_NOSIGNAL), 1);
	until_changes(rig, 1);
	assert_int_equal(link_status(rig), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* What comes by them may be code. */
static void
the_engine_hears_of_receive_rings_alone(void **state)
{
	struct rig *rig = *state;
	struct fake_engine fake;

	fake_engine_init(&fake);
	rig->machine.vm = &fake.vm;
	expect_back_end(rig, BACK_RIGHT, 0);
	assert_int_equal(make_card(rig, 0, NULL), 0);
	assert_null(fake.rings);
	drive(rig, VERSION_1);
	assert_non_null(fake.rings);
	assert_int_equal(fake.rings->address, RING_AT(0) + 0x2000);
	assert_int_equal(fake.rings->bytes, 6 + 8 * VIRTIO_NET_QUEUE_SIZE);
	assert_null(fake.rings->next);
	virtio_reset(&rig->net.device);
	assert_null(fake.rings);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(offers_what_both_sides_know_and_its_own),
		CASE(the_back_end_gets_its_features_and_rings),
		CASE(the_engine_hears_of_receive_rings_alone),
		CASE(the_driver_says_how_many_pairs_are_used),
		CASE(commands_that_make_no_sense_are_refused),
		CASE(pairs_come_with_their_control_queue_or_not_at_all),
		CASE(no_more_pairs_than_the_back_end_has),
		CASE(a_back_end_without_pairs_gets_one),
		CASE(without_a_back_end_it_says_what_to_do),
		CASE(an_old_back_end_is_refused),
		CASE(a_dead_back_end_is_a_link_down_and_a_new_one_goes_on),
		CASE(the_guest_is_told_what_the_back_end_says_of_the_link),
		CASE(a_driver_may_start_while_the_link_is_down),
		CASE(a_back_end_that_lacks_what_the_guest_took_is_left),
		CASE(a_back_end_that_refuses_the_rings_is_left_and_tried_again),
		CASE(a_back_end_that_dies_while_it_stops_does_no_harm),
		CASE(a_back_end_that_speaks_unasked_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
