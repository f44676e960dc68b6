/*
 * The thread waits for one job after another, and the loop for it: the machine
 * stands still until its disks are frozen.
 *
 * Memory is written before that, by the pieces of the memfd that there are: what
 * a guest has never touched, or given back, is not read.  What comes later, the
 * writing to the device and the catalogue, the machine does not wait for.
 *
 * CPUs are asked for their states, and made to go on, by the loop's thread: this
 * one may not speak to an engine, and a thread that it makes would be confined
 * as it is.
 *
 * Rejected: writing while the guest runs and then what it changed, which needs
 * an engine that notes that; userfaultfd, which needs a privilege that a VM's
 * process is not to have.
 */
#include "vmm/vm_keeper.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/checkpoint.h"
#include "vmm/blk_image.h"
#include "vmm/vm_checkpoint.h"

enum job { JOB_NONE, JOB_ASKED, JOB_FROZEN, JOB_DONE };

struct vm_keeper {
	const struct vm_config *config;
	const struct board *board;
	char directory[PATH_MAX];
	pthread_t thread;
	pthread_mutex_t lock; /* for all below */
	pthread_cond_t changed;
	bool running, quit;
	enum job job;
	const char *name;
	const struct archive *state;
	int result;
	struct err err;
};

static void
set_job(struct vm_keeper *keeper, enum job job)
{
	pthread_mutex_lock(&keeper->lock);
	keeper->job = job;
	pthread_cond_broadcast(&keeper->changed);
	pthread_mutex_unlock(&keeper->lock);
}

static void
frozen(void *arg)
{
	set_job(arg, JOB_FROZEN);
}

/* ---- the thread ---- */

static int
write_memory(
    struct checkpoint *cp, const struct memory *memory, struct err *err)
{
	off_t at = 0, size = (off_t)memory->size_bytes;
	int r = 0;

	while (r == 0 && at < size) {
		off_t from = lseek(memory->fd, at, SEEK_DATA), to;

		if (from < 0 && errno == ENXIO)
			break; /* no more but holes */
		to = from < 0 ? -1 : lseek(memory->fd, from, SEEK_HOLE);
		if (to < 0)
			return err_sys(err, -errno, NULL, "guest memory");
		at = to;
		r = checkpoint_write(cp, 0, (uint64_t)from, memory->base + from,
		    (size_t)(to - from), err);
	}
	return r;
}

/* The disks that are part of it. */
struct kept {
	const char *path[VM_DISKS_MAX];
	struct disk *live[VM_DISKS_MAX];
	unsigned int n;
};

static void
find_kept(const struct vm_keeper *keeper, struct kept *kept)
{
	const struct vm_config *config = keeper->config;

	kept->n = 0;
	for (unsigned int i = 0; i < config->ndisks; i++) {
		if (!vm_checkpoint_keeps(&config->disk[i]))
			continue;
		kept->path[kept->n] = config->disk[i].path;
		kept->live[kept->n++] =
		    blk_image_disk(board_disk(keeper->board, i));
	}
}

static int
commit(struct vm_keeper *keeper, struct checkpoint *cp, struct err *err)
{
	struct kept kept;
	struct checkpoint_rest rest = { .config = keeper->state->bytes,
		.config_bytes = keeper->state->at,
		.disks = kept.path,
		.live = kept.live,
		.frozen = frozen,
		.arg = keeper };

	find_kept(keeper, &kept);
	rest.n = kept.n;
	return checkpoint_commit(cp, &rest, err);
}

static int
make(struct vm_keeper *keeper, struct err *err)
{
	const struct memory *memory = keeper->board->machine.memory;
	struct checkpoint_plan plan = { .directory = keeper->directory,
		.vm = keeper->config->name,
		.name = keeper->name,
		.n = 1,
		.memories = { { VM_CHECKPOINT_RAM, memory->size_bytes } } };
	int r = 0;
	struct checkpoint *cp = checkpoint_begin(&plan, &r, err);

	if (r == 0)
		r = write_memory(cp, memory, err);
	if (r == 0)
		r = commit(keeper, cp, err);
	checkpoint_free(cp);
	return r;
}

/* It makes files in the directory, and reads what disks stand on, which may lie
 * elsewhere. */
static void
confine(const struct vm_keeper *keeper)
{
	struct blk_image_places *places = calloc(VM_DISKS_MAX, sizeof(*places));
	struct sandbox_place place[1 + VM_DISKS_MAX * BLK_IMAGE_PLACES];
	unsigned int n = 0;
	struct kept kept;

	place[n++] = (struct sandbox_place){
		keeper->directory[0] != '\0' ? keeper->directory : ".", true
	};
	find_kept(keeper, &kept);
	for (unsigned int i = 0; places != NULL && i < kept.n; i++) {
		blk_image_places(kept.live[i], &places[i]);
		for (unsigned int k = 0; k < places[i].n; k++)
			place[n++] = places[i].place[k];
	}
	sandbox_enter(keeper->config->sandbox, SANDBOX_FILES, place, n);
	free(places);
}

static void *
keep(void *arg)
{
	struct vm_keeper *keeper = arg;

	confine(keeper);
	pthread_mutex_lock(&keeper->lock);
	while (!keeper->quit) {
		if (keeper->job != JOB_ASKED) {
			pthread_cond_wait(&keeper->changed, &keeper->lock);
			continue;
		}
		pthread_mutex_unlock(&keeper->lock);
		err_clear(&keeper->err);
		keeper->result = make(keeper, &keeper->err);
		set_job(keeper, JOB_DONE);
		pthread_mutex_lock(&keeper->lock);
	}
	pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

/* ---- the loop ---- */

static void
ask(struct vm_keeper *keeper, const char *name, const struct archive *state,
    void (*go_on)(void *arg), void *arg)
{
	keeper->name = name;
	keeper->state = state;
	set_job(keeper, JOB_ASKED);
	pthread_mutex_lock(&keeper->lock);
	while (keeper->job == JOB_ASKED)
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	if (keeper->job == JOB_FROZEN && go_on != NULL) {
		pthread_mutex_unlock(&keeper->lock);
		go_on(arg);
		pthread_mutex_lock(&keeper->lock);
	}
	while (keeper->job != JOB_DONE)
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	keeper->job = JOB_NONE;
	pthread_mutex_unlock(&keeper->lock);
}

int
vm_keeper_make(struct vm_keeper *keeper, const struct vm_parts *parts,
    const char *name, void (*go_on)(void *arg), void *arg, struct err *err)
{
	struct archive state;
	int r;

	archive_save(&state);
	vm_state_head(&state, parts->config);
	vm_state_archive(&state, parts);
	if (state.failed) {
		r = err_set(err, -EIO, "%s", state.err.text);
	} else {
		ask(keeper, name, &state, go_on, arg);
		r = keeper->result;
		if (r < 0)
			err_set(err, r, "%s", keeper->err.text);
	}
	archive_free(&state);
	return r;
}

/* No signal interrupts it. */
static int
start_thread(struct vm_keeper *keeper)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&keeper->thread, NULL, keep, keeper);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	keeper->running = error == 0;
	return -error;
}

struct vm_keeper *
vm_keeper_new(
    const struct vm_config *config, const struct board *board, struct err *err)
{
	struct vm_keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	if (keeper == NULL) {
		err_sys(err, -ENOMEM, NULL, "checkpoints");
		return NULL;
	}
	keeper->config = config;
	keeper->board = board;
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_cond_init(&keeper->changed, NULL);
	r = vm_checkpoint_directory(
	    config, keeper->directory, sizeof(keeper->directory), err);
	if (r == 0 && (r = start_thread(keeper)) < 0)
		err_sys(err, r, NULL, "checkpoints: a thread");
	if (r == 0)
		return keeper;
	vm_keeper_free(keeper);
	return NULL;
}

void
vm_keeper_free(struct vm_keeper *keeper)
{
	if (keeper == NULL)
		return;
	if (keeper->running) {
		pthread_mutex_lock(&keeper->lock);
		keeper->quit = true;
		pthread_cond_broadcast(&keeper->changed);
		pthread_mutex_unlock(&keeper->lock);
		pthread_join(keeper->thread, NULL);
	}
	pthread_cond_destroy(&keeper->changed);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}
