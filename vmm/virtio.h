/*
 * virtio.h - a virtio device without its transport (Virtual I/O Device 1.2,
 * chapters 2 and 3): status, features, queues' addresses.
 *
 * A device is an ops table and a row in the board; the transport (virtio_pci.h)
 * turns a guest's register accesses into the calls below.  Each queue has two
 * eventfds, which the device or its backend uses: kick is written when the
 * guest has put something into the queue, call when the guest is to be
 * interrupted.
 *
 * The caller holds the machine's lock.
 */
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

#include <linux/virtio_config.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vmm/archive.h"
#include "vmm/memory.h"

#define VIRTIO_QUEUES_MAX       17
#define VIRTIO_QUEUE_SIZE_MAX   1024
#define VIRTIO_CONFIG_BYTES_MAX 64
#define VIRTIO_BIT(n)           (UINT64_C(1) << (n))

struct virtio_device;

struct virtio_queue {
	uint16_t size_max; /* of this device */
	uint16_t size;     /* that the driver chose */
	bool enabled;
	uint64_t desc, driver, device; /* guest physical */
	int kick_fd, call_fd;
};

struct virtio_ops {
	const char *name;
	uint16_t id; /* of the device kind: 1 is a network card */
	/* What the device can do now; read when the driver asks. */
	uint64_t (*features)(struct virtio_device *device);
	/* Can it do with these, of those that it offers?  NULL: with any. */
	bool (*accepts)(uint64_t features);
	/* Writes the device's configuration into to, which is zeroed. */
	void (*config)(
	    struct virtio_device *device, uint8_t to[VIRTIO_CONFIG_BYTES_MAX]);
	/* The driver writes bytes of it, 1 to 8 within the maximum.  NULL: it is
	 * read-only. */
	void (*set_config)(struct virtio_device *device, unsigned int offset,
	    unsigned int bytes, uint64_t value);
	/* The driver is ready: features and queues are set and checked.  -Exxx:
	 * the device cannot and needs a reset. */
	int (*start)(struct virtio_device *device);
	/* The driver takes everything back: after this no byte of its memory
	 * is touched.  Called only after a start that returned 0. */
	void (*stop)(struct virtio_device *device);
	/* While no CPU runs, after a start; pause without the machine's lock, as
	 * it may have to wait for who takes it.  pause: when it returns, no byte of
	 * the driver's memory is touched, and each queue has got as far as
	 * archive() says.  resume: it goes on from there, after pause or after
	 * archive() has loaded.  NULL: it is served by the loop alone, whose
	 * thread this is, and looks at each queue when it is kicked. */
	void (*pause)(struct virtio_device *device);
	void (*resume)(struct virtio_device *device);
	/* What it knows of its queues and its driver, besides what is in struct
	 * virtio_device: of a device that is paused, or of one that is as after
	 * a start, but for resume. */
	void (*archive)(struct virtio_device *device, struct archive *a);
};

struct virtio_device {
	const struct virtio_ops *ops;
	const struct memory *memory;
	unsigned int nqueues;
	struct virtio_queue queue[VIRTIO_QUEUES_MAX];
	uint64_t features; /* that the driver took */
	uint8_t status;
	uint8_t generation; /* of the configuration */
	bool started;
	bool warned; /* of a bad queue: a guest can bring one each time */
	/* Set by the transport: the configuration changed. */
	void (*changed)(void *transport);
	void *transport;
};

/* Makes the queues, with eventfds.  0, or -Exxx with *err; virtio_fini() is
 * fine in both cases. */
int virtio_init(struct virtio_device *device, const struct virtio_ops *ops,
    const struct memory *memory, unsigned int nqueues, uint16_t size_max,
    struct err *err);
void virtio_fini(struct virtio_device *device);

/* The driver writes the status; 0 is a reset. */
void virtio_set_status(struct virtio_device *device, uint8_t status);
void virtio_reset(struct virtio_device *device);

/* While no CPU runs; loop thread, the first without the lock.  In between, nothing of the guest's changes.
 * After the second, each queue was kicked and called: who has nothing to do
 * sees that. */
void virtio_pause(struct virtio_device *device);
void virtio_resume(struct virtio_device *device);

/* All of it, paused; a device that is loaded was reset, and resumes. */
void virtio_archive(struct virtio_device *device, struct archive *a);

/* The driver takes features, until it has said that it has all. */
void virtio_set_features(struct virtio_device *device, uint64_t features);
bool virtio_features_locked(const struct virtio_device *device);

/* The driver set the queue up and enables it; refused while it is on. */
void virtio_enable_queue(struct virtio_device *device, unsigned int queue);

/* As if the guest had kicked. */
void virtio_kick(struct virtio_device *device, unsigned int queue);

/* For devices, any thread: the driver is to look at what the queue gave back. */
void virtio_call(struct virtio_device *device, unsigned int queue);

/* For devices: the configuration is another one now; the driver is told. */
void virtio_config_changed(struct virtio_device *device);
/* The device cannot go on with what the driver gave it. */
void virtio_broken(struct virtio_device *device);

#endif
