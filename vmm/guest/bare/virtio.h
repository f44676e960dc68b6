/*
 * virtio.h - virtio devices over PCI, modern interface only (virtio 1.2, 4.1),
 * and split virtqueues whose every chain is one descriptor.
 *
 * What the device writes into a ring is checked: an entry that was never
 * given to it, or longer than its buffer, marks the queue as broken, and a
 * broken queue yields nothing more.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/guest/bare/pci.h"

#define VIRTIO_VENDOR     0x1af4
#define VIRTIO_MODERN     0x1040 /* device id: this plus the type */
#define VIRTIO_OLD_NET    0x1000 /* a transitional network card */
#define VIRTIO_TYPE_NET   1
#define VIRTIO_VERSION_1  (UINT64_C(1) << 32)
#define VIRTQUEUE_MAX     128
#define VIRTIO_NO_VECTOR  0xffff
#define VIRTIO_ISR_CONFIG 2

struct virtio {
	struct pci pci;
	volatile uint8_t *common, *notify, *isr, *device;
	uint32_t notify_bytes, device_bytes;
	uint32_t notify_step;
	uint8_t msix; /* where its capability is; 0: none */
	uint16_t msix_entries;
	volatile uint32_t *msix_table;
	uint64_t features;
};

struct virtqueue {
	uint16_t size; /* a power of two */
	uint16_t avail_idx, used_idx;
	uint16_t published; /* avail_idx that the device was told */
	bool broken, to_us;
	struct virtqueue_desc *desc;
	volatile uint16_t *avail; /* flags, idx, ring */
	volatile uint16_t *used;  /* flags, idx, then id and len as le32 */
	volatile uint16_t *doorbell;
	uint16_t index;
	uint8_t *buffers; /* one behind the other */
	uint32_t buffer_bytes;
	bool given[VIRTQUEUE_MAX]; /* descriptors that the device holds */
};

/* Finds the parts of a device and resets it.  NULL, or what is wrong. */
const char *virtio_find(struct virtio *dev, const struct pci *pci);

/* Takes of `wanted` what the device offers into dev->features; VERSION_1 is a
 * must.  False: the device does not agree. */
bool virtio_negotiate(struct virtio *dev, uint64_t wanted);

/* Sets up queue `index` of at most `most` buffers of buffer_bytes, which lie
 * one behind the other at buffers.  False: it is not there, or no memory. */
bool virtio_queue(struct virtio *dev, struct virtqueue *q, uint16_t index,
    uint16_t most, uint8_t *buffers, uint32_t buffer_bytes, bool to_us);
uint16_t virtio_queue_size(struct virtio *dev, uint16_t index, uint16_t most);

/* Interrupts by MSI-X entry, delivered as vector. */
void virtio_msix(struct virtio *dev, uint16_t entry, uint8_t vector);
void virtio_config_entry(struct virtio *dev, uint16_t entry);
void virtio_queue_entry(struct virtio *dev, uint16_t queue, uint16_t entry);

void virtio_run(struct virtio *dev);
void virtio_give_up(struct virtio *dev); /* sets FAILED */
/* Reading also takes back a line interrupt. */
uint8_t virtio_isr(struct virtio *dev);

uint8_t virtio_config8(struct virtio *dev, uint32_t at);
uint16_t virtio_config16(struct virtio *dev, uint32_t at);

/* Gives descriptor id to the device, with the first len bytes of its buffer;
 * it sees it after virtqueue_publish(). */
void virtqueue_give(struct virtqueue *q, uint16_t id, uint32_t len);
void virtqueue_publish(struct virtqueue *q);
/* The next buffer that the device has done with, and how much it wrote. */
bool virtqueue_take(struct virtqueue *q, uint16_t *id, uint32_t *len);
bool virtqueue_pending(const struct virtqueue *q);
/* Asks the device (not) to interrupt; after asking for interrupts, look once
 * more before sleeping. */
void virtqueue_quiet(struct virtqueue *q, bool quiet);

#endif
