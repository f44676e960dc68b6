#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tests/vmm/loop_device.h"
#include "vmm/virtio_rng.h"

#define RAM  (UINT64_C(2) << 20)
#define RING 0x10000
#define DATA 0x20000
#define SIZE VIRTIO_RNG_QUEUE_SIZE

struct rig {
	struct loop_machine m;
	struct virtio_rng rng;
	struct driver_ring ring;
};

static void
start(struct rig *rig)
{
	ring_init(&rig->ring, &rig->rng.device, 0, RING, SIZE);
	loop_machine_ready(&rig->m, &rig->rng.device, DEVICE_VERSION_1);
	assert_true(rig->rng.device.started);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	loop_machine_init(&rig->m, RAM);
	assert_int_equal(
	    virtio_rng_init(&rig->rng, &rig->m.machine, rig->m.loop, NULL), 0);
	loop_machine_attach(&rig->m, &rig->rng.device);
	start(rig);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	virtio_reset(&rig->rng.device);
	virtio_rng_fini(&rig->rng);
	loop_machine_fini(&rig->m);
	free(rig);
	return 0;
}

static uint8_t *
ram(struct rig *rig, uint64_t address)
{
	return memory_at(&rig->m.memory, address, 1);
}

static uint32_t
answer(struct rig *rig)
{
	uint32_t head = 0, bytes = 0;

	if (!loop_machine_answer(&rig->m, &rig->ring, &head, &bytes))
		fail_msg("no answer");
	return bytes;
}

/* Of 256 random bytes, those that are the most frequent value. */
static unsigned int
most_alike(const uint8_t *bytes)
{
	unsigned int count[256] = { 0 }, most = 0;

	for (unsigned int i = 0; i < 256; i++)
		if (++count[bytes[i]] > most)
			most = count[bytes[i]];
	return most;
}

static void
a_request_is_filled_and_the_engine_hears_of_it(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece piece[] = { { DATA, 256, true },
		{ DATA + 0x1000, 256, true } };

	ring_chain(&rig->ring, piece, 2);
	assert_int_equal(answer(rig), 512);
	/* 20 alike of 256 come once in 10^15 times. */
	assert_true(most_alike(ram(rig, DATA)) < 20);
	assert_true(most_alike(ram(rig, DATA + 0x1000)) < 20);
	assert_memory_not_equal(ram(rig, DATA), ram(rig, DATA + 0x1000), 256);
	assert_int_equal(*ram(rig, DATA + 256), 0);
	assert_int_equal(rig->m.heard, 1);
	assert_int_equal(rig->m.heard_bytes, 512);
}

static void
more_than_a_period_has_waits_for_the_next(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece large = { 0x80000, 3 * VIRTIO_RNG_BYTES, true };
	uint64_t begin = rig->rng.period_ns;

	for (unsigned int i = 0; i < 3; i++)
		ring_chain(&rig->ring, &large, 1);
	assert_int_equal(answer(rig), VIRTIO_RNG_BYTES);
	assert_int_equal(ram(rig, 0x80000)[VIRTIO_RNG_BYTES + 9], 0);
	assert_int_equal(answer(rig), VIRTIO_RNG_BYTES);
	assert_int_equal(answer(rig), VIRTIO_RNG_BYTES);
	assert_true(rig->rng.period_ns - begin >= 2 * VIRTIO_RNG_PERIOD_NS);
}

static void
chains_that_make_no_sense_come_back_empty(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece beyond = { RAM - 1, 2, true };
	const struct ring_piece to_read = { DATA, 64, false };
	const struct ring_piece good = { DATA, 64, true };

	ring_chain(&rig->ring, &beyond, 1);
	assert_int_equal(answer(rig), 0);
	assert_int_equal(rig->rng.bad, 1);
	ring_chain(&rig->ring, &to_read, 1);
	assert_int_equal(answer(rig), 0);
	assert_int_equal(*ram(rig, DATA), 0);
	ring_chain(&rig->ring, &good, 1);
	assert_int_equal(answer(rig), 64);
	ring_set_idx(&rig->ring, (uint16_t)(rig->ring.idx + SIZE + 1));
	virtio_kick(&rig->rng.device, 0);
	loop_machine_go(&rig->m);
	assert_true(rig->rng.device.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(rig->m.changes, 1);
	virtio_reset(&rig->rng.device);
	start(rig);
	ring_chain(&rig->ring, &good, 1);
	assert_int_equal(answer(rig), 64);
}

static void
a_reset_in_the_middle_leaves_no_answer(void **state)
{
	struct rig *rig = *state;
	const struct ring_piece good = { DATA, 64, true };

	rig->m.reset_when_heard = &rig->rng.device;
	ring_chain(&rig->ring, &good, 1);
	virtio_kick(&rig->rng.device, 0);
	loop_machine_go(&rig->m);
	assert_int_equal(rig->m.heard, 1);
	assert_int_equal(ring_device_idx(&rig->ring), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_filled_and_the_engine_hears_of_it),
		TEST(more_than_a_period_has_waits_for_the_next),
		TEST(chains_that_make_no_sense_come_back_empty),
		TEST(a_reset_in_the_middle_leaves_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
