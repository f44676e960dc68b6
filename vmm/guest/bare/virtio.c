/*
 * virtio.c - the PCI transport and the split queue.
 *
 * Descriptor i always points to buffer i, and is written when it is given:
 * a guest that is to answer soon does not fill tables in advance.  x86 keeps stores in order and loads in order; only "publish, then
 * ask whether the device wants to be told" and "ask for interrupts, then look
 * again" need a fence.
 */
#include "vmm/guest/bare/virtio.h"

#include "vmm/guest/bare/cpu.h"
#include "vmm/guest/bare/memory.h"

#define PCI_CAP_VENDOR 0x09
#define PCI_CAP_MSIX   0x11

#define CAP_COMMON 1
#define CAP_NOTIFY 2
#define CAP_ISR    3
#define CAP_DEVICE 4

/* Common configuration (4.1.4.3). */
#define COMMON_DEVICE_SELECT 0
#define COMMON_DEVICE        4
#define COMMON_DRIVER_SELECT 8
#define COMMON_DRIVER        12
#define COMMON_VECTOR        16
#define COMMON_STATUS        20
#define COMMON_QUEUE         22
#define COMMON_QUEUE_SIZE    24
#define COMMON_QUEUE_VECTOR  26
#define COMMON_QUEUE_ENABLE  28
#define COMMON_QUEUE_NOTIFY  30
#define COMMON_QUEUE_DESC    32
#define COMMON_QUEUE_AVAIL   40
#define COMMON_QUEUE_USED    48
#define COMMON_BYTES         56

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER      2
#define STATUS_DRIVER_OK   4
#define STATUS_FEATURES_OK 8
#define STATUS_FAILED      128

#define DESC_WRITE         2
#define AVAIL_NO_INTERRUPT 1
#define USED_NO_NOTIFY     1

struct virtqueue_desc {
	uint64_t at;
	uint32_t len;
	uint16_t flags, next;
};

static volatile uint16_t *
reg16(volatile uint8_t *base, uint32_t at)
{
	return (volatile uint16_t *)(base + at);
}

static volatile uint32_t *
reg32(volatile uint8_t *base, uint32_t at)
{
	return (volatile uint32_t *)(base + at);
}

static void
write64(volatile uint8_t *base, uint32_t at, uint64_t value)
{
	*reg32(base, at) = (uint32_t)value;
	*reg32(base, at + 4) = (uint32_t)(value >> 32);
}

/* Memory that a BAR decodes, from offset on. */
static volatile uint8_t *
window(const struct pci *pci, uint8_t bar, uint32_t offset, uint32_t bytes)
{
	uint64_t at = pci_bar(pci, bar);

	if (at == 0 || bytes == 0 || !cpu_map(at + offset, bytes))
		return NULL;
	return (volatile uint8_t *)(at + offset);
}

/* One vendor capability (4.1.4): bar at 4, offset at 8, length at 12. */
static void
take_capability(struct virtio *dev, uint8_t cap)
{
	const struct pci *pci = &dev->pci;
	uint8_t type = (uint8_t)(pci_read32(pci, cap) >> 24), bar;
	uint32_t offset, bytes;
	volatile uint8_t *at;

	if (type < CAP_COMMON || type > CAP_DEVICE)
		return;
	bar = (uint8_t)pci_read32(pci, (uint8_t)(cap + 4));
	offset = pci_read32(pci, (uint8_t)(cap + 8));
	bytes = pci_read32(pci, (uint8_t)(cap + 12));
	at = window(pci, bar, offset, bytes);
	if (at == NULL)
		return;
	if (type == CAP_COMMON && dev->common == NULL && bytes >= COMMON_BYTES)
		dev->common = at;
	else if (type == CAP_ISR && dev->isr == NULL)
		dev->isr = at;
	else if (type == CAP_DEVICE && dev->device == NULL) {
		dev->device = at;
		dev->device_bytes = bytes;
	} else if (type == CAP_NOTIFY && dev->notify == NULL) {
		dev->notify = at;
		dev->notify_bytes = bytes;
		dev->notify_step = pci_read32(pci, (uint8_t)(cap + 16));
	}
}

static void
take_msix(struct virtio *dev, uint8_t cap)
{
	uint32_t head = pci_read32(&dev->pci, cap);
	uint32_t table = pci_read32(&dev->pci, (uint8_t)(cap + 4));
	uint16_t entries = (uint16_t)((head >> 16 & 0x7ff) + 1);

	dev->msix_table = (volatile uint32_t *)window(
	    &dev->pci, table & 7, table & ~7u, entries * 16u);
	if (dev->msix_table == NULL)
		return;
	dev->msix = cap;
	dev->msix_entries = entries;
}

const char *
virtio_find(struct virtio *dev, const struct pci *pci)
{
	uint8_t cap = 0;

	*dev = (struct virtio){ .pci = *pci };
	for (int n = 0; n < 16; n++) {
		cap = pci_capability(pci, PCI_CAP_VENDOR, cap);
		if (cap == 0)
			break;
		take_capability(dev, cap);
	}
	cap = pci_capability(pci, PCI_CAP_MSIX, 0);
	if (cap != 0)
		take_msix(dev, cap);
	if (dev->common == NULL || dev->notify == NULL || dev->isr == NULL ||
	    dev->device == NULL)
		return "it lacks a part of the modern interface";
	pci_enable(pci, dev->msix == 0);
	dev->common[COMMON_STATUS] = 0;
	for (int n = 0; dev->common[COMMON_STATUS] != 0; n++) {
		if (n == 1000)
			return "it does not reset";
	}
	dev->common[COMMON_STATUS] = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
	return NULL;
}

bool
virtio_negotiate(struct virtio *dev, uint64_t wanted)
{
	uint8_t status =
	    STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
	uint64_t offered;

	*reg32(dev->common, COMMON_DEVICE_SELECT) = 0;
	offered = *reg32(dev->common, COMMON_DEVICE);
	*reg32(dev->common, COMMON_DEVICE_SELECT) = 1;
	offered |= (uint64_t)*reg32(dev->common, COMMON_DEVICE) << 32;
	dev->features = offered & (wanted | VIRTIO_VERSION_1);
	if ((offered & VIRTIO_VERSION_1) == 0)
		return false;
	*reg32(dev->common, COMMON_DRIVER_SELECT) = 0;
	*reg32(dev->common, COMMON_DRIVER) = (uint32_t)dev->features;
	*reg32(dev->common, COMMON_DRIVER_SELECT) = 1;
	*reg32(dev->common, COMMON_DRIVER) = (uint32_t)(dev->features >> 32);
	dev->common[COMMON_STATUS] = status;
	return (dev->common[COMMON_STATUS] & STATUS_FEATURES_OK) != 0;
}

uint16_t
virtio_queue_size(struct virtio *dev, uint16_t index, uint16_t most)
{
	uint16_t size, fit = 1;

	*reg16(dev->common, COMMON_QUEUE) = index;
	size = *reg16(dev->common, COMMON_QUEUE_SIZE);
	if (size == 0)
		return 0;
	while (fit * 2 <= size && fit * 2 <= most)
		fit = (uint16_t)(fit * 2);
	return fit;
}

static bool
queue_memory(struct virtqueue *q)
{
	const size_t desc = 16u * q->size, avail = 6 + 2u * q->size;
	const size_t used_at = (desc + avail + 3) & ~(size_t)3;
	const size_t bytes = used_at + 6 + 8u * q->size;
	uint8_t *at = memory_take(bytes, 4096);

	if (at == NULL)
		return false;
	q->desc = (struct virtqueue_desc *)at;
	q->avail = (volatile uint16_t *)(at + desc);
	q->used = (volatile uint16_t *)(at + used_at);
	q->avail[0] = q->avail[1] = 0;
	q->used[0] = q->used[1] = 0;
	return true;
}

bool
virtio_queue(struct virtio *dev, struct virtqueue *q, uint16_t index,
    uint16_t most, uint8_t *buffers, uint32_t buffer_bytes, bool to_us)
{
	volatile uint8_t *common = dev->common;
	uint64_t doorbell;

	*q = (struct virtqueue){ .index = index,
		.buffers = buffers,
		.buffer_bytes = buffer_bytes,
		.to_us = to_us };
	q->size = virtio_queue_size(
	    dev, index, most < VIRTQUEUE_MAX ? most : VIRTQUEUE_MAX);
	if (q->size == 0 || !queue_memory(q))
		return false;
	*reg16(common, COMMON_QUEUE_SIZE) = q->size;
	write64(common, COMMON_QUEUE_DESC, (uint64_t)q->desc);
	write64(common, COMMON_QUEUE_AVAIL, (uint64_t)q->avail);
	write64(common, COMMON_QUEUE_USED, (uint64_t)q->used);
	doorbell =
	    (uint64_t)*reg16(common, COMMON_QUEUE_NOTIFY) * dev->notify_step;
	if (doorbell + 2 > dev->notify_bytes)
		return false;
	q->doorbell = reg16(dev->notify, (uint32_t)doorbell);
	*reg16(common, COMMON_QUEUE_ENABLE) = 1;
	return true;
}

void
virtio_msix(struct virtio *dev, uint16_t entry, uint8_t vector)
{
	volatile uint32_t *at = dev->msix_table + 4 * entry;
	const uint64_t address = cpu_msi_address();
	uint32_t head;

	at[0] = (uint32_t)address;
	at[1] = (uint32_t)(address >> 32);
	at[2] = vector;
	at[3] = 0; /* not masked */
	head = pci_read32(&dev->pci, dev->msix);
	if ((head >> 30) != 2) /* enabled, and not masked as a whole */
		pci_write32(&dev->pci, dev->msix,
		    (head & 0x3fffffffu) | UINT32_C(2) << 30);
}

void
virtio_config_entry(struct virtio *dev, uint16_t entry)
{
	*reg16(dev->common, COMMON_VECTOR) = entry;
}

void
virtio_queue_entry(struct virtio *dev, uint16_t queue, uint16_t entry)
{
	*reg16(dev->common, COMMON_QUEUE) = queue;
	*reg16(dev->common, COMMON_QUEUE_VECTOR) = entry;
}

void
virtio_run(struct virtio *dev)
{
	dev->common[COMMON_STATUS] = STATUS_ACKNOWLEDGE | STATUS_DRIVER |
	    STATUS_FEATURES_OK | STATUS_DRIVER_OK;
}

void
virtio_give_up(struct virtio *dev)
{
	dev->common[COMMON_STATUS] = STATUS_FAILED;
}

uint8_t
virtio_isr(struct virtio *dev)
{
	return *dev->isr;
}

uint8_t
virtio_config8(struct virtio *dev, uint32_t at)
{
	return at + 1 <= dev->device_bytes ? dev->device[at] : 0;
}

uint16_t
virtio_config16(struct virtio *dev, uint32_t at)
{
	return at + 2 <= dev->device_bytes ? *reg16(dev->device, at) : 0;
}

static inline void
fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void
compiler_fence(void)
{
	__asm__ volatile("" : : : "memory");
}

void
virtqueue_give(struct virtqueue *q, uint16_t id, uint32_t len)
{
	q->desc[id] = (struct virtqueue_desc){
		.at = (uint64_t)q->buffers + (uint64_t)id * q->buffer_bytes,
		.len = len,
		.flags = q->to_us ? DESC_WRITE : 0,
	};
	q->given[id] = true;
	q->avail[2 + (q->avail_idx++ & (q->size - 1))] = id;
}

void
virtqueue_publish(struct virtqueue *q)
{
	if (q->published == q->avail_idx || q->broken)
		return;
	q->published = q->avail_idx;
	compiler_fence();
	q->avail[1] = q->avail_idx;
	fence();
	if ((q->used[0] & USED_NO_NOTIFY) == 0)
		*q->doorbell = q->index;
}

bool
virtqueue_pending(const struct virtqueue *q)
{
	return q->used[1] != q->used_idx && !q->broken;
}

bool
virtqueue_take(struct virtqueue *q, uint16_t *id, uint32_t *len)
{
	volatile uint32_t *entry;
	uint32_t i;

	if (!virtqueue_pending(q))
		return false;
	compiler_fence();
	entry = (volatile uint32_t *)(q->used + 2) +
	    2 * (q->used_idx & (q->size - 1));
	i = entry[0];
	*len = entry[1];
	if (i >= q->size || !q->given[i] ||
	    (q->to_us && *len > q->desc[i].len)) {
		q->broken = true;
		return false;
	}
	q->given[i] = false;
	q->used_idx++;
	*id = (uint16_t)i;
	return true;
}

void
virtqueue_quiet(struct virtqueue *q, bool quiet)
{
	q->avail[0] = quiet ? AVAIL_NO_INTERRUPT : 0;
	if (!quiet)
		fence();
}
