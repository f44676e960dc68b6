#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/vmm/loop_device.h"
#include "vmm/virtio_console.h"

#define RAM      (UINT64_C(2) << 20)
#define RING_IN  0x10000
#define RING_OUT 0x14000
#define DATA     0x20000
#define SIZE     VIRTIO_CONSOLE_QUEUE_SIZE

struct rig {
	struct loop_machine m;
	struct virtio_console vc;
	struct driver_ring in, out;
	char dir[32], path[64];
	int fd; /* whoever is at the socket; -1: nobody */
	struct loop_defer work;
};

/* What the board does: the console's work comes round the loop. */
static void
wake(void *arg)
{
	struct rig *rig = arg;

	loop_defer_ask(&rig->work);
}

static void
work(void *arg)
{
	struct rig *rig = arg;

	virtio_console_work(&rig->vc);
}

static void
start(struct rig *rig)
{
	ring_init(&rig->in, &rig->vc.device, 0, RING_IN, SIZE);
	ring_init(&rig->out, &rig->vc.device, 1, RING_OUT, SIZE);
	loop_machine_ready(&rig->m, &rig->vc.device, DEVICE_VERSION_1);
	assert_true(rig->vc.device.started);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct virtio_console_setup console = {
		.machine = &rig->m.machine, .wake = wake, .wake_arg = rig
	};

	loop_machine_init(&rig->m, RAM);
	loop_defer_init(&rig->work, rig->m.loop, work, rig);
	strcpy(rig->dir, "/tmp/vconXXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->path, sizeof(rig->path), "%s/con", rig->dir);
	console.loop = rig->m.loop;
	console.socket = rig->path;
	assert_int_equal(virtio_console_init(&rig->vc, &console, NULL), 0);
	loop_machine_attach(&rig->m, &rig->vc.device);
	rig->fd = -1;
	start(rig);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	pthread_mutex_lock(&rig->m.machine.lock);
	virtio_reset(&rig->vc.device);
	pthread_mutex_unlock(&rig->m.machine.lock);
	if (rig->fd >= 0)
		close(rig->fd);
	loop_defer_cancel(&rig->work);
	virtio_console_fini(&rig->vc);
	loop_machine_fini(&rig->m);
	assert_int_equal(rmdir(rig->dir), 0);
	free(rig);
	return 0;
}

static uint8_t *
ram(struct rig *rig, uint64_t address)
{
	return memory_at(&rig->m.memory, address, 1);
}

static void
connect_client(struct rig *rig)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	strcpy(at.sun_path, rig->path);
	rig->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    connect(rig->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	loop_machine_go(&rig->m);
}

/* Exactly these bytes come, in time. */
static void
client_reads(struct rig *rig, const uint8_t *want, size_t n)
{
	uint8_t *got = malloc(n);
	size_t have = 0;

	for (unsigned int ms = 0; have < n && ms < 10000; ms++) {
		ssize_t r = recv(rig->fd, got + have, n - have, MSG_DONTWAIT);

		if (r > 0)
			have += (size_t)r;
		else
			loop_machine_go(&rig->m);
	}
	assert_int_equal(have, n);
	assert_memory_equal(got, want, n);
	free(got);
}

static void
what_the_guest_writes_arrives(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece[] = { { DATA, 3, false },
		{ DATA + 0x1000, 3, false } };
	uint32_t head, bytes;

	connect_client(rig);
	memcpy(ram(rig, DATA), "abc", 3);
	memcpy(ram(rig, DATA + 0x1000), "def", 3);
	ring_chain(&rig->out, piece, 2);
	assert_true(loop_machine_answer(&rig->m, &rig->out, &head, &bytes));
	assert_int_equal(bytes, 0);
	client_reads(rig, (const uint8_t *)"abcdef", 6);
}

static void
what_is_typed_fills_buffers(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece[] = { { DATA, 2, true },
		{ DATA + 0x1000, 64, true } };
	uint32_t head, bytes;

	connect_client(rig);
	ring_chain(&rig->in, piece, 2);
	virtio_kick(&rig->vc.device, 0);
	loop_machine_go(&rig->m);
	assert_int_equal(ring_device_idx(&rig->in), 0);
	assert_int_equal(send(rig->fd, "hello", 5, 0), 5);
	assert_true(loop_machine_answer(&rig->m, &rig->in, &head, &bytes));
	assert_int_equal(bytes, 5);
	assert_memory_equal(ram(rig, DATA), "he", 2);
	assert_memory_equal(ram(rig, DATA + 0x1000), "llo", 3);
	assert_int_equal(rig->m.heard, 1);
}

static void
what_was_typed_before_waits_for_a_buffer(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece = { DATA, 4, true };
	uint32_t head, bytes;

	connect_client(rig);
	assert_int_equal(send(rig->fd, "abcdef", 6, 0), 6);
	for (unsigned int i = 0; i < 10; i++)
		loop_machine_go(&rig->m);
	ring_chain(&rig->in, &piece, 1);
	assert_true(loop_machine_answer(&rig->m, &rig->in, &head, &bytes));
	assert_int_equal(bytes, 4);
	assert_memory_equal(ram(rig, DATA), "abcd", 4);
	ring_chain(&rig->in, &piece, 1);
	assert_true(loop_machine_answer(&rig->m, &rig->in, &head, &bytes));
	assert_int_equal(bytes, 2);
	assert_memory_equal(ram(rig, DATA), "ef", 2);
}

static void
a_guest_that_writes_a_lot_waits_and_loses_nothing(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = 1 << 20;
	const struct ring_piece piece = { 0x80000, n, false };
	uint8_t *want = malloc(n);
	uint32_t head, bytes;

	connect_client(rig);
	for (uint32_t i = 0; i < n; i++)
		want[i] = ram(rig, 0x80000)[i] = (uint8_t)(i * 7 + (i >> 9));
	ring_chain(&rig->out, &piece, 1);
	virtio_kick(&rig->vc.device, 1);
	for (unsigned int i = 0; i < 20; i++)
		loop_machine_go(&rig->m);
	/* The socket and the ring are full. */
	assert_int_equal(ring_device_idx(&rig->out), 0);
	client_reads(rig, want, n);
	assert_true(loop_machine_answer(&rig->m, &rig->out, &head, &bytes));
	free(want);
}

static void
a_reset_forgets_what_was_under_way(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece = { 0x80000, 1 << 20, false };
	const struct ring_piece small = { DATA, 1, false };
	uint32_t head, bytes;

	connect_client(rig);
	ring_chain(&rig->out, &piece, 1);
	virtio_kick(&rig->vc.device, 1);
	for (unsigned int i = 0; i < 20; i++)
		loop_machine_go(&rig->m);
	pthread_mutex_lock(&rig->m.machine.lock);
	virtio_reset(&rig->vc.device);
	pthread_mutex_unlock(&rig->m.machine.lock);
	close(rig->fd);
	rig->fd = -1;
	start(rig);
	ring_chain(&rig->out, &small, 1);
	assert_true(loop_machine_answer(&rig->m, &rig->out, &head, &bytes));
}

static void
a_reset_while_the_engine_hears_gives_nothing_back(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece = { DATA, 8, true };

	connect_client(rig);
	ring_chain(&rig->in, &piece, 1);
	rig->m.reset_when_heard = &rig->vc.device;
	assert_int_equal(send(rig->fd, "x", 1, 0), 1);
	for (unsigned int i = 0; i < 100 && rig->m.heard == 0; i++)
		loop_machine_go(&rig->m);
	assert_int_equal(rig->m.heard, 1);
	assert_int_equal(ring_device_idx(&rig->in), 0);
}

static void
chains_that_make_no_sense_come_back_empty(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece outside = { RAM, 1, false };
	const struct ring_piece good = { DATA, 1, false };
	uint32_t head, bytes;

	connect_client(rig);
	ring_chain(&rig->out, &outside, 1);
	ring_chain(&rig->out, &good, 1);
	assert_true(loop_machine_answer(&rig->m, &rig->out, &head, &bytes));
	assert_true(loop_machine_answer(&rig->m, &rig->out, &head, &bytes));
	assert_int_equal(rig->vc.bad, 1);
	/* An index that cannot be. */
	ring_set_idx(&rig->out, (uint16_t)(rig->out.idx + SIZE + 1));
	virtio_kick(&rig->vc.device, 1);
	for (unsigned int i = 0; i < 10; i++)
		loop_machine_go(&rig->m);
	assert_true(rig->vc.device.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void
a_buffer_for_reading_that_cannot_be_written_takes_no_byte(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece wrong = { DATA, 8, false };
	const struct ring_piece right = { DATA, 8, true };
	uint32_t head, bytes;

	connect_client(rig);
	ring_chain(&rig->in, &wrong, 1);
	ring_chain(&rig->in, &right, 1);
	assert_int_equal(send(rig->fd, "y", 1, 0), 1);
	assert_true(loop_machine_answer(&rig->m, &rig->in, &head, &bytes));
	assert_int_equal(bytes, 0);
	assert_true(loop_machine_answer(&rig->m, &rig->in, &head, &bytes));
	assert_int_equal(bytes, 1);
	assert_int_equal(*ram(rig, DATA), 'y');
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_the_guest_writes_arrives),
		CASE(what_is_typed_fills_buffers),
		CASE(what_was_typed_before_waits_for_a_buffer),
		CASE(a_guest_that_writes_a_lot_waits_and_loses_nothing),
		CASE(a_reset_forgets_what_was_under_way),
		CASE(a_reset_while_the_engine_hears_gives_nothing_back),
		CASE(chains_that_make_no_sense_come_back_empty),
		CASE(a_buffer_for_reading_that_cannot_be_written_takes_no_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
