/*
 * The part of virtio that is the same on every transport.
 *
 * The status only grows until a reset; a bit that the driver sets too early is
 * not taken, and it sees that when it reads the status back.  Queues are
 * checked when the device starts: whole in RAM, aligned, of a legal size.
 * What they contain is the business of whoever serves them.
 */
#include "vmm/virtio.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

#define DESC_BYTES      16
#define DRIVER_BYTES(n) (6 + 2 * (uint64_t)(n)) /* with the event index */
#define DEVICE_BYTES(n) (6 + 8 * (uint64_t)(n))

int
virtio_init(struct virtio_device *device, const struct virtio_ops *ops,
    const struct memory *memory, unsigned int nqueues, uint16_t size_max,
    struct err *err)
{
	assert(nqueues <= VIRTIO_QUEUES_MAX);
	assert(size_max <= VIRTIO_QUEUE_SIZE_MAX);
	*device = (struct virtio_device){ .ops = ops, .memory = memory };
	for (unsigned int i = 0; i < nqueues; i++) {
		struct virtio_queue *q = &device->queue[i];

		q->size = q->size_max = size_max;
		q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		device->nqueues = i + 1;
		if (q->kick_fd < 0 || q->call_fd < 0)
			return err_sys(err, -errno, NULL, "virtio queue");
	}
	return 0;
}

void
virtio_fini(struct virtio_device *device)
{
	for (unsigned int i = 0; i < device->nqueues; i++) {
		if (device->queue[i].kick_fd >= 0)
			close(device->queue[i].kick_fd);
		if (device->queue[i].call_fd >= 0)
			close(device->queue[i].call_fd);
	}
	device->nqueues = 0;
}

void
virtio_reset(struct virtio_device *device)
{
	uint64_t count;

	if (device->started)
		device->ops->stop(device);
	device->started = false;
	device->status = 0;
	device->features = 0;
	for (unsigned int i = 0; i < device->nqueues; i++) {
		struct virtio_queue *q = &device->queue[i];

		q->size = q->size_max;
		q->enabled = false;
		q->desc = q->driver = q->device = 0;
		/* Calls and kicks of before mean nothing to the next driver. */
		while (read(q->call_fd, &count, sizeof(count)) > 0 ||
		    read(q->kick_fd, &count, sizeof(count)) > 0)
			;
	}
}

static bool
queue_valid(const struct virtio_device *device, const struct virtio_queue *q)
{
	const struct memory *m = device->memory;

	return q->size != 0 && q->size <= q->size_max &&
	    (q->size & (q->size - 1)) == 0 && q->desc % 16 == 0 &&
	    q->driver % 2 == 0 && q->device % 4 == 0 &&
	    memory_at(m, q->desc, (uint64_t)q->size * DESC_BYTES) != NULL &&
	    memory_at(m, q->driver, DRIVER_BYTES(q->size)) != NULL &&
	    memory_at(m, q->device, DEVICE_BYTES(q->size)) != NULL;
}

static bool
queues_valid(struct virtio_device *device)
{
	for (unsigned int i = 0; i < device->nqueues; i++) {
		if (!device->queue[i].enabled ||
		    queue_valid(device, &device->queue[i]))
			continue;
		if (!device->warned)
			log_warn("%s: the guest's queue %u is not in its "
				 "memory or has a bad size; device stopped",
			    device->ops->name, i);
		device->warned = true;
		return false;
	}
	return true;
}

static void
start(struct virtio_device *device)
{
	if (!queues_valid(device)) {
		virtio_broken(device);
		return;
	}
	if (device->ops->start(device) < 0)
		virtio_broken(device);
	else
		device->started = true;
}

static bool
features_valid(struct virtio_device *device)
{
	const struct virtio_ops *ops = device->ops;

	return device->features & VIRTIO_BIT(VIRTIO_F_VERSION_1) &&
	    !(device->features & ~ops->features(device)) &&
	    (ops->accepts == NULL || ops->accepts(device->features));
}

void
virtio_set_status(struct virtio_device *device, uint8_t status)
{
	uint8_t old = device->status;
	uint8_t add = status & (uint8_t)~old;

	if (status == 0) {
		virtio_reset(device);
		return;
	}
	add &= VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
	    VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK |
	    VIRTIO_CONFIG_S_FAILED;
	if (add & VIRTIO_CONFIG_S_FEATURES_OK && !features_valid(device))
		add &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((old | add) & VIRTIO_CONFIG_S_FEATURES_OK))
		add &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	device->status |= add;
	if (add & VIRTIO_CONFIG_S_DRIVER_OK)
		start(device);
}

bool
virtio_features_locked(const struct virtio_device *device)
{
	return device->status & VIRTIO_CONFIG_S_FEATURES_OK;
}

void
virtio_set_features(struct virtio_device *device, uint64_t features)
{
	if (!virtio_features_locked(device))
		device->features = features;
}

void
virtio_enable_queue(struct virtio_device *device, unsigned int queue)
{
	if (queue < device->nqueues && !device->started)
		device->queue[queue].enabled = true;
}

void
virtio_kick(struct virtio_device *device, unsigned int queue)
{
	const uint64_t one = 1;

	if (queue < device->nqueues &&
	    write(device->queue[queue].kick_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is kicked already */
}

void
virtio_call(struct virtio_device *device, unsigned int queue)
{
	const uint64_t one = 1;

	if (write(device->queue[queue].call_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is called already */
}

void
virtio_config_changed(struct virtio_device *device)
{
	device->generation++;
	device->changed(device->transport);
}

void
virtio_broken(struct virtio_device *device)
{
	device->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	virtio_config_changed(device);
}

/* ---- as a value ---- */

void
virtio_pause(struct virtio_device *device)
{
	if (device->started && device->ops->pause != NULL)
		device->ops->pause(device);
}

void
virtio_resume(struct virtio_device *device)
{
	if (!device->started)
		return;
	if (device->ops->resume != NULL)
		device->ops->resume(device);
	for (unsigned int i = 0; i < device->nqueues; i++)
		if (device->queue[i].enabled) {
			virtio_kick(device, i);
			virtio_call(device, i);
		}
}

static void
archive_queue(struct virtio_queue *q, struct archive *a)
{
	archive_u16(a, &q->size);
	archive_bool(a, &q->enabled);
	archive_u64(a, &q->desc);
	archive_u64(a, &q->driver);
	archive_u64(a, &q->device);
}

/* A driver can bring a device into no other state. */
static bool
is_sane(struct virtio_device *device, bool started, struct archive *a)
{
	const uint8_t ready =
	    VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	uint64_t offered = device->ops->features(device);

	if (virtio_features_locked(device) && device->features & ~offered) {
		archive_fail(a,
		    "the guest uses features that are not there (0x%" PRIx64
		    ")",
		    device->features & ~offered);
		return false;
	}
	if (virtio_features_locked(device) && !features_valid(device)) {
		archive_fail(a, "features that no driver can take");
		return false;
	}
	if (!started)
		return true;
	if ((device->status & ready) == ready && queues_valid(device))
		return true;
	archive_fail(a, "it runs and its queues are not set up");
	return false;
}

void
virtio_archive(struct virtio_device *device, struct archive *a)
{
	bool started = device->started;

	archive_same(a, device->nqueues, "the number of its queues");
	archive_u64(a, &device->features);
	archive_u8(a, &device->status);
	archive_u8(a, &device->generation);
	archive_bool(a, &started);
	for (unsigned int i = 0; i < device->nqueues; i++)
		archive_queue(&device->queue[i], a);
	if (a->loads && (a->failed || !is_sane(device, started, a))) {
		virtio_reset(device);
		return;
	}
	device->started = started;
	if (started && device->ops->archive != NULL)
		device->ops->archive(device, a);
}
