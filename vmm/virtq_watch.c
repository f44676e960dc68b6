/*
 * A queue that is read along with its driver: the entries that the device gave
 * back since the last look, and the chains that they stand for, which the
 * driver cannot have taken back before.
 *
 * A chain that makes no sense was refused by the device, too: nothing of it was
 * written.
 */
#include "vmm/virtq_watch.h"

#include <string.h>

#define ENTRY_BYTES 8

static void
look(struct virtq_watch *watch, uint32_t head,
    void (*written)(void *to, uint64_t address, uint64_t bytes), void *to)
{
	struct iovec piece[VIRTIO_QUEUE_SIZE_MAX];
	struct virtq_chain chain = { .piece = piece,
		.max = VIRTIO_QUEUE_SIZE_MAX };

	if (head >= watch->queue.size ||
	    !virtq_look(&watch->queue, (uint16_t)head, &chain))
		return;
	for (unsigned int i = 0; i < chain.nwrites; i++)
		written(to,
		    memory_address(
			watch->queue.memory, chain.writes[i].iov_base),
		    chain.writes[i].iov_len);
}

static void
ring_read(void *arg,
    void (*written)(void *to, uint64_t address, uint64_t bytes), void *to)
{
	struct virtq_watch *watch = arg;
	const struct virtq *q = &watch->queue;
	uint16_t idx = virtq_given_back(q);

	/* No driver leaves more of them unread than there can be. */
	if ((uint16_t)(idx - watch->seen) > q->size)
		watch->seen = (uint16_t)(idx - q->size);
	while (watch->seen != idx) {
		uint32_t head = virtq_given_head(q, watch->seen++);

		look(watch, head, written, to);
	}
	written(to, watch->ring.address, watch->ring.bytes);
}

void
virtq_watch_start(struct virtq_watch *watch, struct machine *machine,
    const struct virtio_device *device, unsigned int i)
{
	const struct engine_vm *vm = machine->vm;

	memset(watch, 0, sizeof(*watch));
	if (vm == NULL || vm->engine->ring == NULL)
		return;
	virtq_start(&watch->queue, device, i);
	if (watch->queue.desc == NULL)
		return;
	watch->seen = virtq_given_back(&watch->queue);
	watch->ring = (struct engine_ring){
		.address = device->queue[i].device,
		.bytes = 6 + ENTRY_BYTES * (uint64_t)watch->queue.size,
		.read = ring_read,
		.arg = watch,
	};
	vm->engine->ring(machine->vm, &watch->ring, true);
}

void
virtq_watch_stop(struct virtq_watch *watch, struct machine *machine)
{
	if (watch->ring.read != NULL && machine->vm != NULL)
		machine->vm->engine->ring(machine->vm, &watch->ring, false);
	watch->ring.read = NULL;
}
