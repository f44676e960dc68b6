#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vmm/fake_engine.h"
#include "vmm/le.h"
#include "vmm/virtio_pci.h"

#define MIB(n)     ((uint64_t)(n) << 20)
#define OFFERED    (VIRTIO_BIT(VIRTIO_F_VERSION_1) | 0x21)
#define QUEUES     2
#define QUEUE_SIZE 256
#define RING_AT(n) (0x10000 + (n)*0x4000)

/* The common configuration's registers. */
enum {
	DEVICE_SELECT = 0,
	DEVICE_FEATURE = 4,
	DRIVER_SELECT = 8,
	DRIVER_FEATURE = 12,
	CONFIG_VECTOR = 16,
	NUM_QUEUES = 18,
	STATUS = 20,
	GENERATION = 21,
	QUEUE_SELECT = 22,
	SIZE = 24,
	VECTOR = 26,
	ENABLE = 28,
	NOTIFY_OFF = 30,
	DESC = 32,
	DRIVER = 40,
	DEVICE = 48,
};

struct rig {
	struct virtio_device device; /* first */
	struct machine machine;
	struct memory memory;
	struct fake_engine engine;
	struct pci pci;
	struct virtio_pci vp;
	uint64_t common, notify, isr, config;
	unsigned int starts, stops;
	int start_result;
};

static uint64_t
dev_features(struct virtio_device *device)
{
	(void)device;
	return OFFERED;
}

static void
dev_config(struct virtio_device *device, uint8_t to[VIRTIO_CONFIG_BYTES_MAX])
{
	(void)device;
	for (unsigned int i = 0; i < VIRTIO_CONFIG_BYTES_MAX; i++)
		to[i] = (uint8_t)(i + 1);
}

static int
dev_start(struct virtio_device *device)
{
	struct rig *rig = (struct rig *)device;

	rig->starts++;
	return rig->start_result;
}

static void
dev_stop(struct virtio_device *device)
{
	((struct rig *)device)->stops++;
}

static const struct virtio_ops dev_ops = { .name = "test card",
	.id = 1,
	.features = dev_features,
	.config = dev_config,
	.start = dev_start,
	.stop = dev_stop };

static uint32_t
cfg(struct rig *rig, unsigned int reg, unsigned int bytes)
{
	bus_write(&rig->machine.ports, 0xcf8, 4, 0x80000800 | (reg & 0xfc));
	return (uint32_t)bus_read(
	    &rig->machine.ports, 0xcfc + (reg & 3), bytes);
}

static void
set_cfg(struct rig *rig, unsigned int reg, unsigned int bytes, uint32_t value)
{
	bus_write(&rig->machine.ports, 0xcf8, 4, 0x80000800 | (reg & 0xfc));
	bus_write(&rig->machine.ports, 0xcfc + (reg & 3), bytes, value);
}

/* The place of the capability of that type, 0: there is none. */
static unsigned int
find_cap(struct rig *rig, uint8_t id, uint8_t type)
{
	for (unsigned int at = cfg(rig, 0x34, 1); at != 0;
	     at = cfg(rig, at + 1, 1))
		if (cfg(rig, at, 1) == id &&
		    (id != 9 || cfg(rig, at + 3, 1) == type))
			return at;
	return 0;
}

static uint64_t
cap_address(struct rig *rig, uint8_t type)
{
	unsigned int at = find_cap(rig, 9, type);
	unsigned int bar = 0x10 + 4 * cfg(rig, at + 4, 1);

	assert_int_not_equal(at, 0);
	return ((uint64_t)cfg(rig, bar + 4, 4) << 32 |
		   (cfg(rig, bar, 4) & ~0xfu)) +
	    cfg(rig, at + 8, 4);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	memory_init(&rig->memory, MIB(16), NULL);
	machine_init(&rig->machine, &rig->memory, NULL, NULL);
	fake_engine_init(&rig->engine);
	rig->machine.vm = &rig->engine.vm;
	pci_init(&rig->pci, &rig->machine);
	assert_int_equal(virtio_init(&rig->device, &dev_ops, &rig->memory,
			     QUEUES, QUEUE_SIZE, NULL),
	    0);
	assert_int_equal(virtio_pci_init(&rig->vp, &rig->device, &rig->pci,
			     0x020000, NULL, NULL),
	    0);
	pci_start(&rig->pci);
	rig->common = cap_address(rig, 1);
	rig->notify = cap_address(rig, 2);
	rig->isr = cap_address(rig, 3);
	rig->config = cap_address(rig, 4);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	virtio_pci_fini(&rig->vp);
	virtio_fini(&rig->device);
	pci_fini(&rig->pci);
	assert_int_equal(rig->engine.nnotify, 0);
	machine_fini(&rig->machine);
	memory_free(&rig->memory);
	free(rig);
	return 0;
}

static uint64_t
get(struct rig *rig, unsigned int reg, unsigned int bytes)
{
	return bus_read(&rig->machine.mmio, rig->common + reg, bytes);
}

static void
set(struct rig *rig, unsigned int reg, unsigned int bytes, uint64_t value)
{
	bus_write(&rig->machine.mmio, rig->common + reg, bytes, value);
}

static void
take_features(struct rig *rig, uint64_t features)
{
	set(rig, DRIVER_SELECT, 4, 0);
	set(rig, DRIVER_FEATURE, 4, features & 0xffffffff);
	set(rig, DRIVER_SELECT, 4, 1);
	set(rig, DRIVER_FEATURE, 4, features >> 32);
}

static void
set_up_queue(struct rig *rig, unsigned int i)
{
	set(rig, QUEUE_SELECT, 2, i);
	set(rig, DESC, 8, RING_AT(i));
	set(rig, DRIVER, 8, RING_AT(i) + 0x1000);
	set(rig, DEVICE, 8, RING_AT(i) + 0x2000);
	set(rig, ENABLE, 2, 1);
}

/* What a driver does up to and with DRIVER_OK. */
static void
drive(struct rig *rig)
{
	set(rig, STATUS, 1, 0x1);
	set(rig, STATUS, 1, 0x3);
	take_features(rig, OFFERED);
	set(rig, STATUS, 1, 0xb);
	for (unsigned int i = 0; i < QUEUES; i++)
		set_up_queue(rig, i);
	set(rig, STATUS, 1, 0xf);
}

static void
enable_msix(struct rig *rig, unsigned int vector, uint32_t data)
{
	uint64_t table = rig->common + 0x4000 + 16 * vector;

	bus_write(&rig->machine.mmio, table, 4, 0xfee00000);
	bus_write(&rig->machine.mmio, table + 8, 4, data);
	bus_write(&rig->machine.mmio, table + 12, 4, 0);
	set_cfg(rig, find_cap(rig, 0x11, 0) + 2, 2, 0x8000);
}

/* ---- */

static void
is_a_modern_network_card(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(cfg(rig, 0, 4), 0x10411af4);
	assert_int_equal(cfg(rig, 8, 4), 0x02000001);
	for (uint8_t type = 1; type <= 5; type++)
		assert_int_not_equal(find_cap(rig, 9, type), 0);
	assert_int_equal(
	    cfg(rig, find_cap(rig, 0x11, 0) + 2, 2), QUEUES); /* + 1 - 1 */
}

static void
features_are_shown_by_halves(void **state)
{
	struct rig *rig = *state;

	set(rig, DEVICE_SELECT, 4, 0);
	assert_int_equal(get(rig, DEVICE_FEATURE, 4), 0x21);
	set(rig, DEVICE_SELECT, 4, 1);
	assert_int_equal(get(rig, DEVICE_FEATURE, 4), 1);
	set(rig, DEVICE_SELECT, 4, 2);
	assert_int_equal(get(rig, DEVICE_FEATURE, 4), 0);
	set(rig, DRIVER_SELECT, 4, 7);
	set(rig, DRIVER_FEATURE, 4, 0xffffffff);
	assert_int_equal(rig->device.features, 0);
}

static void
a_whole_start_reaches_the_device(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(get(rig, NUM_QUEUES, 2), QUEUES);
	drive(rig);
	assert_int_equal(get(rig, STATUS, 1), 0xf);
	assert_int_equal(rig->starts, 1);
	assert_int_equal(rig->device.features, OFFERED);
	assert_int_equal(rig->device.queue[1].desc, RING_AT(1));
	assert_int_equal(rig->device.queue[1].driver, RING_AT(1) + 0x1000);
	assert_int_equal(rig->device.queue[1].device, RING_AT(1) + 0x2000);
	set(rig, STATUS, 1, 0);
	assert_int_equal(rig->stops, 1);
	assert_int_equal(get(rig, STATUS, 1), 0);
	set(rig, QUEUE_SELECT, 2, 1);
	assert_int_equal(get(rig, ENABLE, 2), 0);
	assert_int_equal(get(rig, DESC, 8), 0);
}

static void
addresses_are_written_whole_or_by_halves(void **state)
{
	struct rig *rig = *state;

	set(rig, QUEUE_SELECT, 2, 0);
	set(rig, DESC, 4, 0x89abcdef);
	set(rig, DESC + 4, 4, 0x01234567);
	assert_int_equal(get(rig, DESC, 8), 0x0123456789abcdef);
	set(rig, DRIVER, 8, 0x1122334455667788);
	assert_int_equal(get(rig, DRIVER, 4), 0x55667788);
	assert_int_equal(get(rig, DRIVER + 4, 4), 0x11223344);
}

static void
features_not_offered_are_not_ok(void **state)
{
	struct rig *rig = *state;

	set(rig, STATUS, 1, 0x3);
	take_features(rig, OFFERED | 0x2);
	set(rig, STATUS, 1, 0xb);
	assert_int_equal(get(rig, STATUS, 1), 0x3);
	take_features(rig, OFFERED & ~VIRTIO_BIT(VIRTIO_F_VERSION_1));
	set(rig, STATUS, 1, 0xb);
	assert_int_equal(get(rig, STATUS, 1), 0x3);
	set(rig, STATUS, 1, 0xf); /* DRIVER_OK without FEATURES_OK */
	assert_int_equal(get(rig, STATUS, 1), 0x3);
	assert_int_equal(rig->starts, 0);
}

static void
features_are_locked_once_ok(void **state)
{
	struct rig *rig = *state;

	set(rig, STATUS, 1, 0x3);
	take_features(rig, OFFERED);
	set(rig, STATUS, 1, 0xb);
	take_features(rig, 0);
	assert_int_equal(rig->device.features, OFFERED);
}

static void
an_enabled_queue_does_not_move(void **state)
{
	struct rig *rig = *state;

	set_up_queue(rig, 0);
	set(rig, DESC, 8, 0x5000);
	set(rig, SIZE, 2, 16);
	set(rig, ENABLE, 2, 0);
	assert_int_equal(get(rig, DESC, 8), RING_AT(0));
	assert_int_equal(get(rig, SIZE, 2), QUEUE_SIZE);
	assert_int_equal(get(rig, ENABLE, 2), 1);
}

static void
queues_outside_of_memory_break_the_device(void **state)
{
	static const struct {
		unsigned int reg, bytes;
		uint64_t value;
	} t[] = {
		{ DESC, 8, MIB(16) - 16 * QUEUE_SIZE + 16 },
		{ DESC, 8, UINT64_MAX & ~UINT64_C(15) },
		{ DESC, 8, 0xe0000000 },
		{ DESC, 8, RING_AT(0) + 8 },
		{ DRIVER, 8, MIB(16) - 6 - 2 * QUEUE_SIZE + 2 },
		{ DRIVER, 8, RING_AT(0) + 0x1001 },
		{ DEVICE, 8, MIB(16) - 6 - 8 * QUEUE_SIZE + 4 },
		{ DEVICE, 8, RING_AT(0) + 0x2002 },
		{ SIZE, 2, 0 },
		{ SIZE, 2, 255 },
		{ SIZE, 2, 512 },
		{ SIZE, 2, 32768 },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct rig *rig = *state;

		set(rig, STATUS, 1, 0);
		set(rig, STATUS, 1, 0x3);
		take_features(rig, OFFERED);
		set(rig, STATUS, 1, 0xb);
		set(rig, QUEUE_SELECT, 2, 0);
		set(rig, DESC, 8, RING_AT(0));
		set(rig, DRIVER, 8, RING_AT(0) + 0x1000);
		set(rig, DEVICE, 8, RING_AT(0) + 0x2000);
		set(rig, t[i].reg, t[i].bytes, t[i].value);
		set(rig, ENABLE, 2, 1);
		set(rig, STATUS, 1, 0xf);
		assert_int_equal(get(rig, STATUS, 1), 0x4f);
		assert_int_equal(rig->starts, 0);
		assert_int_equal(bus_read(&rig->machine.mmio, rig->isr, 1), 2);
	}
}

static void
a_device_that_cannot_start_needs_a_reset(void **state)
{
	struct rig *rig = *state;

	rig->start_result = -EIO;
	drive(rig);
	assert_int_equal(get(rig, STATUS, 1), 0x4f);
	set(rig, STATUS, 1, 0);
	assert_int_equal(rig->stops, 0); /* it never ran */
	rig->start_result = 0;
	drive(rig);
	assert_int_equal(get(rig, STATUS, 1), 0xf);
}

static void
queues_that_are_not_there_have_no_size(void **state)
{
	struct rig *rig = *state;

	set(rig, QUEUE_SELECT, 2, QUEUES);
	assert_int_equal(get(rig, SIZE, 2), 0);
	assert_int_equal(get(rig, VECTOR, 2), 0xffff);
	set(rig, SIZE, 2, 16);
	set(rig, VECTOR, 2, 0);
	set(rig, ENABLE, 2, 1);
	set(rig, DESC, 8, 0x1000);
	set(rig, QUEUE_SELECT, 2, 0xffff);
	set(rig, ENABLE, 2, 1);
	assert_int_equal(get(rig, ENABLE, 2), 0);
}

static void
impossible_vectors_read_back_as_none(void **state)
{
	struct rig *rig = *state;

	set(rig, CONFIG_VECTOR, 2, QUEUES + 1);
	assert_int_equal(get(rig, CONFIG_VECTOR, 2), 0xffff);
	set(rig, CONFIG_VECTOR, 2, QUEUES);
	assert_int_equal(get(rig, CONFIG_VECTOR, 2), QUEUES);
	set(rig, QUEUE_SELECT, 2, 0);
	set(rig, VECTOR, 2, 1000);
	assert_int_equal(get(rig, VECTOR, 2), 0xffff);
}

static void
a_kick_writes_its_queues_eventfd(void **state)
{
	struct rig *rig = *state;
	uint64_t count;

	drive(rig);
	set(rig, QUEUE_SELECT, 2, 1);
	bus_write(&rig->machine.mmio, rig->notify + 4 * get(rig, NOTIFY_OFF, 2),
	    2, 1);
	assert_int_equal(read(rig->device.queue[0].kick_fd, &count, 8), -1);
	assert_int_equal(read(rig->device.queue[1].kick_fd, &count, 8), 8);
	bus_write(&rig->machine.mmio, rig->notify + 4 * QUEUES, 2, 9);
	bus_write(&rig->machine.mmio, rig->notify + 1, 1, 9);
}

static void
kicks_follow_the_bar(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig->engine.nnotify, QUEUES);
	assert_int_equal(rig->engine.notify[1].address, rig->notify + 4);
	assert_int_equal(
	    rig->engine.notify[1].fd, rig->device.queue[1].kick_fd);
	set_cfg(rig, 4, 2, 0);
	assert_int_equal(rig->engine.nnotify, 0);
	set_cfg(rig, 0x10, 4, 0xe1000000);
	set_cfg(rig, 4, 2, 2);
	assert_int_equal(rig->engine.nnotify, QUEUES);
	assert_int_equal(rig->engine.notify[0].address, 0xe1003000);
}

static void
the_device_configuration_is_read_at_any_width(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(bus_read(&rig->machine.mmio, rig->config, 1), 1);
	assert_int_equal(
	    bus_read(&rig->machine.mmio, rig->config + 6, 2), 0x0807);
	assert_int_equal(
	    bus_read(&rig->machine.mmio, rig->config + 8, 4), 0x0c0b0a09);
	assert_int_equal(bus_read(&rig->machine.mmio, rig->config + 64, 4), 0);
}

static void
without_msix_calls_raise_the_line_until_the_isr_is_read(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	virtio_pci_called(&rig->vp, 0);
	assert_true(rig->engine.line[11]);
	virtio_config_changed(&rig->device);
	assert_int_equal(get(rig, GENERATION, 1), 1);
	assert_int_equal(bus_read(&rig->machine.mmio, rig->isr, 1), 3);
	assert_false(rig->engine.line[11]);
	assert_int_equal(bus_read(&rig->machine.mmio, rig->isr, 1), 0);
}

static void
with_msix_calls_are_messages(void **state)
{
	struct rig *rig = *state;

	enable_msix(rig, 0, 0x30);
	enable_msix(rig, 2, 0x32);
	drive(rig);
	set(rig, CONFIG_VECTOR, 2, 0);
	set(rig, QUEUE_SELECT, 2, 1);
	set(rig, VECTOR, 2, 2);
	virtio_pci_called(&rig->vp, 1);
	assert_int_equal(rig->engine.nsent, 1);
	assert_int_equal(rig->engine.sent[0].data, 0x32);
	virtio_config_changed(&rig->device);
	assert_int_equal(rig->engine.sent[1].data, 0x30);
	virtio_pci_called(&rig->vp, 0); /* has no vector */
	assert_int_equal(rig->engine.nsent, 2);
	assert_false(rig->engine.line[11]);
}

static int
bound(const struct rig *rig, unsigned int queue)
{
	return rig->engine.bound[rig->vp.queue[queue].slot].fd;
}

static void
unmasked_vectors_are_bound_to_their_eventfds(void **state)
{
	struct rig *rig = *state;
	uint64_t mask = rig->common + 0x4000 + 16 * 2 + 12;
	int fd = rig->device.queue[1].call_fd;

	enable_msix(rig, 2, 0x32);
	assert_int_equal(bound(rig, 1), -1);
	set(rig, QUEUE_SELECT, 2, 1);
	set(rig, VECTOR, 2, 2);
	assert_int_equal(bound(rig, 1), fd);
	assert_int_equal(
	    rig->engine.bound[rig->vp.queue[1].slot].msi.data, 0x32);
	bus_write(&rig->machine.mmio, mask, 4, 1);
	assert_int_equal(bound(rig, 1), -1);
	bus_write(&rig->machine.mmio, mask, 4, 0);
	assert_int_equal(bound(rig, 1), fd);
	set_cfg(rig, find_cap(rig, 0x11, 0) + 2, 2, 0xc000);
	assert_int_equal(bound(rig, 1), -1);
	set_cfg(rig, find_cap(rig, 0x11, 0) + 2, 2, 0x8000);
	assert_int_equal(bound(rig, 1), fd);
	set(rig, STATUS, 1, 0); /* a reset forgets the vectors */
	assert_int_equal(bound(rig, 1), -1);
	assert_int_equal(get(rig, VECTOR, 2), 0xffff);
}

static void
the_window_in_configuration_space_reaches_the_bar(void **state)
{
	struct rig *rig = *state;
	unsigned int cap = find_cap(rig, 9, 5);

	set_cfg(rig, cap + 4, 1, 0);
	set_cfg(rig, cap + 8, 4, STATUS);
	set_cfg(rig, cap + 12, 4, 1);
	set_cfg(rig, cap + 16, 1, 0x3);
	assert_int_equal(get(rig, STATUS, 1), 0x3);
	assert_int_equal(cfg(rig, cap + 16, 1), 0x3);
	/* Windows that look elsewhere are mere memory. */
	set_cfg(rig, cap + 8, 4, 0xfffffffc);
	set_cfg(rig, cap + 12, 4, 4);
	set_cfg(rig, cap + 16, 4, 0x12345678);
	assert_int_equal(cfg(rig, cap + 16, 4), 0x12345678);
	set_cfg(rig, cap + 12, 4, 3);
	assert_int_equal(cfg(rig, cap + 16, 4), 0x12345678);
	assert_int_equal(get(rig, STATUS, 1), 0x3);
}

static void
a_machine_reset_is_a_device_reset(void **state)
{
	struct rig *rig = *state;

	drive(rig);
	virtio_pci_reset(&rig->vp);
	pci_stop(&rig->pci);
	assert_int_equal(rig->stops, 1);
	assert_int_equal(rig->engine.nnotify, 0);
	pci_start(&rig->pci);
	assert_int_equal(get(rig, STATUS, 1), 0);
	drive(rig);
	assert_int_equal(rig->starts, 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(is_a_modern_network_card),
		CASE(features_are_shown_by_halves),
		CASE(a_whole_start_reaches_the_device),
		CASE(addresses_are_written_whole_or_by_halves),
		CASE(features_not_offered_are_not_ok),
		CASE(features_are_locked_once_ok),
		CASE(an_enabled_queue_does_not_move),
		CASE(queues_outside_of_memory_break_the_device),
		CASE(a_device_that_cannot_start_needs_a_reset),
		CASE(queues_that_are_not_there_have_no_size),
		CASE(impossible_vectors_read_back_as_none),
		CASE(a_kick_writes_its_queues_eventfd),
		CASE(kicks_follow_the_bar),
		CASE(the_device_configuration_is_read_at_any_width),
		CASE(without_msix_calls_raise_the_line_until_the_isr_is_read),
		CASE(with_msix_calls_are_messages),
		CASE(unmasked_vectors_are_bound_to_their_eventfds),
		CASE(the_window_in_configuration_space_reaches_the_bar),
		CASE(a_machine_reset_is_a_device_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
