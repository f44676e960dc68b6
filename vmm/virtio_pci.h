/*
 * virtio_pci.h - a virtio device as a PCI function (Virtual I/O Device 1.2,
 * 4.1), modern interface only: MSI-X, or the INTx line.
 */
#ifndef VMM_VIRTIO_PCI_H
#define VMM_VIRTIO_PCI_H

#include "base/loop.h"
#include "vmm/pci.h"
#include "vmm/virtio.h"

struct virtio_pci;

struct virtio_pci_queue {
	struct virtio_pci *owner;
	struct loop_watch *watch; /* of the call eventfd */
	int slot;                 /* of its message at the engine, or -1 */
	uint16_t vector;
};

struct virtio_pci {
	struct pci_function fn;
	struct virtio_device *device;
	unsigned int cfg_cap; /* VIRTIO_PCI_CAP_PCI_CFG */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t isr;
	struct virtio_pci_queue queue[VIRTIO_QUEUES_MAX];
};

/*
 * Puts device onto the bus.  class_code is the PCI class, 24 bits.  loop
 * watches the queues' call eventfds; NULL: the caller does, and tells by
 * virtio_pci_called().  0, or -Exxx with *err.
 */
int virtio_pci_init(struct virtio_pci *vp, struct virtio_device *device,
    struct pci *pci, uint32_t class_code, struct loop *loop, struct err *err);
void virtio_pci_fini(struct virtio_pci *vp);

/* The machine starts anew: the device and all that the driver set up. */
void virtio_pci_reset(struct virtio_pci *vp);

/* The device with all of it; paused, with the lock. */
void virtio_pci_archive(struct virtio_pci *vp, struct archive *a);

/* A queue's call eventfd was written. */
void virtio_pci_called(struct virtio_pci *vp, unsigned int queue);

#endif
