/*
 * fake_engine.h - an engine that executes nothing and notes what devices ask of
 * it, for tests of devices without a guest.
 */
#ifndef TESTS_VMM_FAKE_ENGINE_H
#define TESTS_VMM_FAKE_ENGINE_H

#include <errno.h>
#include <string.h>

#include "vmm/machine.h"

#define FAKE_NOTES 64

struct fake_engine {
	struct engine_vm vm; /* first */
	bool line[ENGINE_LINES];
	struct msi sent[FAKE_NOTES]; /* the last ones, in a ring */
	unsigned int nsent;
	struct {
		int fd;
		struct msi msi;
	} bound[ENGINE_MSI_SLOTS]; /* fd -1: nothing */
	struct {
		uint64_t address;
		int fd;
	} notify[FAKE_NOTES];
	unsigned int nnotify;
	/* Called for what devices write; NULL: nobody. */
	void (*written)(void *arg, const struct iovec *piece, unsigned int n);
	void *written_arg;
	struct engine_ring *rings; /* of other processes */
};

static inline struct fake_engine *
fake_of(struct engine_vm *vm)
{
	return (struct fake_engine *)vm;
}

static inline void
fake_line(struct engine_vm *vm, unsigned int line, bool level)
{
	fake_of(vm)->line[line] = level;
}

static inline void
fake_msi(struct engine_vm *vm, const struct msi *msi)
{
	struct fake_engine *fake = fake_of(vm);

	fake->sent[fake->nsent++ % FAKE_NOTES] = *msi;
}

static inline int
fake_msi_fd(
    struct engine_vm *vm, unsigned int slot, int fd, const struct msi *msi)
{
	struct fake_engine *fake = fake_of(vm);

	fake->bound[slot].fd = msi != NULL ? fd : -1;
	if (msi != NULL)
		fake->bound[slot].msi = *msi;
	return 0;
}

static inline int
fake_notify_fd(struct engine_vm *vm, uint64_t address, int fd, bool on)
{
	struct fake_engine *fake = fake_of(vm);

	for (unsigned int i = 0; !on && i < fake->nnotify; i++)
		if (fake->notify[i].address == address &&
		    fake->notify[i].fd == fd) {
			fake->notify[i] = fake->notify[--fake->nnotify];
			return 0;
		}
	if (!on || fake->nnotify == FAKE_NOTES)
		return -ENOENT;
	fake->notify[fake->nnotify].address = address;
	fake->notify[fake->nnotify++].fd = fd;
	return 0;
}

static inline void
fake_written(struct engine_vm *vm, const struct iovec *piece, unsigned int n)
{
	struct fake_engine *fake = fake_of(vm);

	if (fake->written != NULL)
		fake->written(fake->written_arg, piece, n);
}

static inline void
fake_ring(struct engine_vm *vm, struct engine_ring *ring, bool on)
{
	struct engine_ring **at = &fake_of(vm)->rings;

	while (*at != NULL && *at != ring)
		at = &(*at)->next;
	if (!on && *at != NULL)
		*at = ring->next;
	if (on && *at == NULL) {
		ring->next = NULL;
		*at = ring;
	}
}

static const struct engine fake_engine_ops = {
	.name = "fake",
	.has_chips = true,
	.line = fake_line,
	.msi = fake_msi,
	.msi_fd = fake_msi_fd,
	.notify_fd = fake_notify_fd,
	.written = fake_written,
	.ring = fake_ring,
};

static inline void
fake_engine_init(struct fake_engine *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->vm.engine = &fake_engine_ops;
	for (unsigned int i = 0; i < ENGINE_MSI_SLOTS; i++)
		fake->bound[i].fd = -1;
}

#endif
