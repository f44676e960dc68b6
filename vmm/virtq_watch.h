/*
 * virtq_watch.h - what another process, as the device of a queue, has written
 * to the guest's memory, for engines that keep decoded code of it.
 *
 * A struct belongs to its device, and may be forgotten when it was stopped.
 */
#ifndef VMM_VIRTQ_WATCH_H
#define VMM_VIRTQ_WATCH_H

#include "vmm/machine.h"
#include "vmm/virtq.h"

struct virtq_watch {
	struct engine_ring ring;
	struct virtq queue; /* which is only looked at */
	uint16_t seen;      /* entries that were given back */
};

/* From the start of queue i, before its device knows of it, to its stop; the
 * second is fine without the first.  With the machine's lock; the first by a
 * CPU, or before the CPUs run. */
void virtq_watch_start(struct virtq_watch *watch, struct machine *machine,
    const struct virtio_device *device, unsigned int i);
void virtq_watch_stop(struct virtq_watch *watch, struct machine *machine);

#endif
