/* libs: vmm disk net base */
/*
 * A virtio device behind PCI: after any register accesses a device that runs
 * has queues that lie in memory and features that were offered, starts and
 * stops take turns, and eventfds are bound to messages that may be sent.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/fuzz/no_guest.h"
#include "tests/vmm/fake_engine.h"
#include "vmm/le.h"
#include "vmm/virtio_pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUEUES  2
#define OFFERED (VIRTIO_BIT(VIRTIO_F_VERSION_1) | 0xff)

struct rig {
	struct virtio_device device; /* first */
	struct machine machine;
	struct fake_engine engine;
	struct pci pci;
	struct virtio_pci vp;
	bool runs, refuses;
};

static struct memory memory;

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
	memset(to, 0x5a, VIRTIO_CONFIG_BYTES_MAX);
}

static int
dev_start(struct virtio_device *device)
{
	struct rig *rig = (struct rig *)device;

	assert(!rig->runs);
	if (rig->refuses)
		return -EIO;
	rig->runs = true;
	return 0;
}

static void
dev_stop(struct virtio_device *device)
{
	struct rig *rig = (struct rig *)device;

	assert(rig->runs);
	rig->runs = false;
}

static const struct virtio_ops ops = { .name = "card",
	.id = 1,
	.features = dev_features,
	.config = dev_config,
	.start = dev_start,
	.stop = dev_stop };

static void
check_queue(const struct virtio_queue *q)
{
	assert(q->size > 0 && q->size <= q->size_max);
	assert((q->size & (q->size - 1)) == 0);
	assert(memory_at(&memory, q->desc, 16u * q->size) != NULL);
	assert(memory_at(&memory, q->driver, 6 + 2u * q->size) != NULL);
	assert(memory_at(&memory, q->device, 6 + 8u * q->size) != NULL);
}

static void
check(struct rig *rig)
{
	const struct virtio_device *d = &rig->device;

	assert(d->started == rig->runs);
	if (d->status & VIRTIO_CONFIG_S_FEATURES_OK)
		assert((d->features & ~OFFERED) == 0);
	if (d->started)
		assert(d->status & VIRTIO_CONFIG_S_DRIVER_OK);
	for (unsigned int i = 0; i < QUEUES; i++) {
		const struct virtio_pci_queue *q = &rig->vp.queue[i];
		struct msi msi;
		bool may = pci_msix_message(&rig->vp.fn, q->vector, &msi);

		if (d->started && d->queue[i].enabled)
			check_queue(&d->queue[i]);
		assert((rig->engine.bound[q->slot].fd >= 0) == may);
		if (may)
			assert(rig->engine.bound[q->slot].msi.address ==
				msi.address &&
			    rig->engine.bound[q->slot].msi.data == msi.data);
	}
	assert(rig->engine.nnotify ==
	    (rig->vp.fn.bar[0].mapped ? (unsigned int)QUEUES : 0));
}

static void
set(struct rig *rig, unsigned int reg, unsigned int bytes, uint64_t value)
{
	bus_write(&rig->machine.mmio, rig->vp.fn.bar[0].range.start + reg,
	    bytes, value);
}

/* A driver that does all in order, with queues at a place of the input's, and
 * one step left out. */
static void
drive(struct rig *rig, uint64_t at, unsigned int skip)
{
	set(rig, 0x14, 1, skip == 0 ? 0xf : 0);
	set(rig, 0x14, 1, 0x3);
	set(rig, 0x08, 4, 1);
	set(rig, 0x0c, 4, skip == 1 ? 0x80000001 : 1);
	set(rig, 0x14, 1, 0xb);
	for (unsigned int i = 0; i < QUEUES; i++) {
		set(rig, 0x16, 2, i);
		set(rig, 0x20, 8, at);
		set(rig, 0x28, 8, at + 0x1000);
		set(rig, 0x30, 8, at + 0x2000);
		set(rig, 0x1c, 2, skip != 2 + i);
	}
	set(rig, 0x14, 1, skip == 4 ? 0xb : 0xf);
}

/* One access or event: eight bytes say which. */
static void
step(struct rig *rig, const uint8_t *d)
{
	struct machine *m = &rig->machine;
	unsigned int bytes = 1u << (d[0] >> 4 & 3);
	uint64_t base = rig->vp.fn.bar[0].range.start;
	/* Values that matter: small ones, and addresses around RAM's end. */
	uint64_t value = d[0] & 0x80
	    ? memory.size_bytes - get_le16(d + 4) * UINT64_C(16)
	    : get_le32(d + 4);
	uint64_t page = (uint64_t)(d[1] & 7) << 12;

	switch (d[0] & 7) {
	case 0:
	case 1: bus_write(&m->mmio, base + (d[2] & 0x3f), bytes, value); break;
	case 2:
		bus_write(&m->mmio, base + page + get_le16(d + 2) % 0x1000,
		    bytes, value);
		break;
	case 3:
		bus_read(
		    &m->mmio, base + page + get_le16(d + 2) % 0x1000, bytes);
		break;
	case 4:
		bus_write(&m->ports, 0xcf8, 4, 0x80000800 | (d[2] & 0xfc));
		bus_write(&m->ports, 0xcfc + (d[1] & 3), bytes, value);
		break;
	case 5:
		bus_write(&m->ports, 0xcf8, 4, 0x80000800 | (d[2] & 0xfc));
		bus_read(&m->ports, 0xcfc + (d[1] & 3), bytes);
		break;
	case 6:
		if (d[1] & 1)
			virtio_pci_called(&rig->vp, d[2] % QUEUES);
		else
			virtio_config_changed(&rig->device);
		break;
	default:
		rig->refuses = (d[1] & 3) == 0;
		drive(rig, value, d[2] & 7);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (memory.base == NULL && memory_init(&memory, 2 << 20, NULL) < 0)
		abort();
	log_set_level(LOG_ERROR);
	machine_init(&rig->machine, &memory, NULL, NULL);
	fake_engine_init(&rig->engine);
	rig->machine.vm = &rig->engine.vm;
	pci_init(&rig->pci, &rig->machine);
	if (virtio_init(&rig->device, &ops, &memory, QUEUES, 256, NULL) < 0 ||
	    virtio_pci_init(
		&rig->vp, &rig->device, &rig->pci, 0x020000, NULL, NULL) < 0)
		abort();
	pci_start(&rig->pci);
	for (size_t i = 0; i + 8 <= size; i += 8) {
		step(rig, data + i);
		check(rig);
	}
	virtio_pci_fini(&rig->vp);
	assert(!rig->runs && rig->engine.nnotify == 0);
	virtio_fini(&rig->device);
	pci_fini(&rig->pci);
	machine_fini(&rig->machine);
	free(rig);
	return 0;
}
