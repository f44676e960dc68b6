/*
 * The driver's queue against a device in memory that keeps to the rules, and
 * one that does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The file itself: it belongs to the bare machine, which is played below. */
#include "vmm/guest/bare/virtio.c"

#define SIZE   8
#define BUFFER 256u

/* Device registers that are plain memory: what is written is read back. */
static struct device {
	uint8_t common[COMMON_BYTES] __attribute__((aligned(8)));
	uint16_t bell[4];
	uint8_t isr, config[16] __attribute__((aligned(8)));
	uint8_t memory[65536] __attribute__((aligned(4096)));
	size_t taken;
	uint8_t buffers[SIZE * BUFFER];
	unsigned int missing; /* a capability that the device lacks */
} device;

/* Capabilities at 0x40, 0x60, ...: type, BAR n, offset 0, length. */
uint32_t
pci_read32(const struct pci *pci, uint8_t at)
{
	const unsigned int n = (at - 0x40u) / 32;
	static const uint32_t bytes[] = { COMMON_BYTES, 8, 1, 16 };

	(void)pci;
	switch (at % 32) {
	case 0: return (n + 1) << 24;
	case 4: return n;
	case 8: return 0;
	case 12: return bytes[n];
	default: return 2; /* behind CAP_NOTIFY: the multiplier */
	}
}

uint8_t
pci_capability(const struct pci *pci, uint8_t id, uint8_t after)
{
	uint8_t next = after == 0 ? 0x40 : (uint8_t)(after + 32);

	(void)pci;
	if (id != PCI_CAP_VENDOR)
		return 0;
	if (next == 0x40 + 32 * device.missing)
		next += 32;
	return next < 0xc0 ? next : 0;
}

uint64_t
pci_bar(const struct pci *pci, uint8_t bar)
{
	uint8_t *const at[] = { device.common, (uint8_t *)device.bell,
		&device.isr, device.config };

	(void)pci;
	return (uint64_t)at[bar];
}

void
pci_enable(const struct pci *pci, bool intx)
{
	(void)pci;
	(void)intx;
}

void
pci_write32(const struct pci *pci, uint8_t at, uint32_t value)
{
	(void)pci;
	(void)at;
	(void)value;
}

bool
cpu_map(uint64_t at, uint64_t bytes)
{
	(void)at;
	(void)bytes;
	return true;
}

uint64_t
cpu_msi_address(void)
{
	return 0xfee00000;
}

void *
memory_take(size_t bytes, size_t align)
{
	size_t at = (device.taken + align - 1) & ~(align - 1);

	if (at + bytes > sizeof(device.memory))
		return NULL;
	device.taken = at + bytes;
	return device.memory + at;
}

/* ---- the device's side of the ring ---- */

static struct virtio dev;
static struct virtqueue q;

static void
use(uint32_t id, uint32_t len)
{
	volatile uint32_t *entry =
	    (volatile uint32_t *)(q.used + 2) + 2 * (q.used[1] % q.size);

	entry[0] = id;
	entry[1] = len;
	q.used[1]++;
}

static int
setup(void **state)
{
	const struct pci pci = { .slot = 3 };

	(void)state;
	memset(&device, 0, sizeof(device));
	device.missing = 99;
	device.common[COMMON_QUEUE_SIZE] = SIZE;
	assert_null(virtio_find(&dev, &pci));
	assert_true(
	    virtio_queue(&dev, &q, 0, SIZE, device.buffers, BUFFER, true));
	return 0;
}

static void
give_all(void)
{
	for (uint16_t i = 0; i < SIZE; i++)
		virtqueue_give(&q, i, BUFFER);
	virtqueue_publish(&q);
}

/* ---- claims ---- */

static void
a_device_without_all_parts_is_refused(void **state)
{
	const struct pci pci = { .slot = 3 };

	(void)state;
	for (device.missing = 0; device.missing < 4; device.missing++)
		assert_non_null(virtio_find(&dev, &pci));
}

static void
a_ring_of_any_size_is_cut_to_a_power_of_two(void **state)
{
	static const struct {
		uint8_t offered;
		uint16_t most, size;
	} rows[] = { { 0, 64, 0 }, { 1, 64, 1 }, { 7, 64, 4 }, { 8, 64, 8 },
		{ 255, 64, 64 }, { 64, 1, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		device.common[COMMON_QUEUE_SIZE] = rows[i].offered;
		assert_int_equal(
		    virtio_queue_size(&dev, 0, rows[i].most), rows[i].size);
	}
}

static void
buffers_go_to_the_device_and_come_back(void **state)
{
	uint16_t id;
	uint32_t len;

	(void)state;
	device.bell[0] = 99;
	give_all();
	assert_int_equal(q.avail[1], SIZE);
	assert_int_equal(device.bell[0], 0); /* rung */
	assert_int_equal(q.desc[3].at, (uint64_t)device.buffers + 3 * BUFFER);
	assert_int_equal(q.desc[3].flags, DESC_WRITE);
	assert_false(virtqueue_take(&q, &id, &len));
	/* Round and round, out of order. */
	for (unsigned int round = 0; round < 20000; round++) {
		use((round * 3) % SIZE, round % BUFFER);
		assert_true(virtqueue_pending(&q));
		assert_true(virtqueue_take(&q, &id, &len));
		assert_int_equal(id, (round * 3) % SIZE);
		assert_int_equal(len, round % BUFFER);
		virtqueue_give(&q, id, BUFFER);
		virtqueue_publish(&q);
	}
	assert_int_equal(q.avail[1], (uint16_t)(SIZE + 20000));
	assert_false(q.broken);
}

static void
a_device_that_is_awake_is_not_rung(void **state)
{
	(void)state;
	device.bell[0] = 99;
	q.used[0] = USED_NO_NOTIFY;
	give_all();
	assert_int_equal(device.bell[0], 99);
	virtqueue_quiet(&q, true);
	assert_int_equal(q.avail[0], AVAIL_NO_INTERRUPT);
	virtqueue_quiet(&q, false);
	assert_int_equal(q.avail[0], 0);
}

static void
lies_break_the_queue(void **state)
{
	static const struct {
		uint32_t id, len;
	} lies[] = { { SIZE, 10 }, { 0xffffffffu, 10 }, { 0x10000, 10 },
		{ 2, BUFFER + 1 }, { 2, 0xffffffffu } };
	uint16_t id;
	uint32_t len;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		setup(state);
		give_all();
		use(lies[i].id, lies[i].len);
		assert_false(virtqueue_take(&q, &id, &len));
		assert_true(q.broken);
		use(1, 1); /* nothing more is believed */
		assert_false(virtqueue_take(&q, &id, &len));
		assert_false(virtqueue_pending(&q));
	}
}

static void
a_buffer_does_not_come_back_twice(void **state)
{
	uint16_t id;
	uint32_t len;

	(void)state;
	virtqueue_give(&q, 5, BUFFER);
	virtqueue_publish(&q);
	use(5, 1);
	use(5, 1);
	assert_true(virtqueue_take(&q, &id, &len));
	assert_false(virtqueue_take(&q, &id, &len));
	assert_true(q.broken);
}

static void
an_index_that_runs_ahead_yields_no_more_than_was_given(void **state)
{
	unsigned int n = 0;
	uint16_t id;
	uint32_t len;

	(void)state;
	give_all();
	q.used[1] = 0x8000;
	while (virtqueue_take(&q, &id, &len))
		n++;
	assert_true(n <= SIZE);
	assert_true(q.broken);
}

static void
a_door_bell_outside_its_window_is_refused(void **state)
{
	(void)state;
	device.common[COMMON_QUEUE_NOTIFY] = 0xff;
	dev.notify_step = 0x1000;
	assert_false(
	    virtio_queue(&dev, &q, 0, SIZE, device.buffers, BUFFER, true));
}

static void
only_a_modern_device_is_taken(void **state)
{
	(void)state;
	assert_false(virtio_negotiate(&dev, 0)); /* it offers nothing */
	memset(device.common + COMMON_DEVICE, 0xff, 4);
	assert_true(virtio_negotiate(&dev, 2));
	assert_int_equal(dev.features, VIRTIO_VERSION_1 | 2);
}

static void
configuration_beyond_its_end_is_zero(void **state)
{
	(void)state;
	memset(device.config, 0xaa, sizeof(device.config));
	assert_int_equal(virtio_config8(&dev, 15), 0xaa);
	assert_int_equal(virtio_config8(&dev, 16), 0);
	assert_int_equal(virtio_config16(&dev, 14), 0xaaaa);
	assert_int_equal(virtio_config16(&dev, 15), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(a_device_without_all_parts_is_refused),
		TEST(a_ring_of_any_size_is_cut_to_a_power_of_two),
		TEST(buffers_go_to_the_device_and_come_back),
		TEST(a_device_that_is_awake_is_not_rung),
		TEST(lies_break_the_queue),
		TEST(a_buffer_does_not_come_back_twice),
		TEST(an_index_that_runs_ahead_yields_no_more_than_was_given),
		TEST(a_door_bell_outside_its_window_is_refused),
		TEST(only_a_modern_device_is_taken),
		TEST(configuration_beyond_its_end_is_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
