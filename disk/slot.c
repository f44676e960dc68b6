#include "disk/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/lock.h"

#define MOST_OPEN 64
#define RESERVE   (MOST_OPEN + 128) /* descriptors for these and for others */

struct slot {
	TAILQ_ENTRY(slot)
	entry; /* of those that are open, the last used first */
	struct slots *slots;
	const char *path;
	struct stat seen;
	int fd; /* -1: closed */
	unsigned int pins;
	bool locks;
};

struct slots {
	pthread_mutex_t lock;
	TAILQ_HEAD(slot_list, slot) open;
	unsigned int n;
};

struct slots *
slots_new(void)
{
	struct slots *slots = calloc(1, sizeof(*slots));

	if (slots == NULL)
		return NULL;
	pthread_mutex_init(&slots->lock, NULL);
	TAILQ_INIT(&slots->open);
	return slots;
}

void
slots_free(struct slots *slots)
{
	if (slots == NULL)
		return;
	pthread_mutex_destroy(&slots->lock);
	free(slots);
}

bool
slots_needed(int fd)
{
	struct rlimit limit;

	/* Not worth a system call for most. */
	if (fd < 128 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return false;
	if (limit.rlim_cur < limit.rlim_max &&
	    (rlim_t)fd + RESERVE >= limit.rlim_cur) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return true;
	}
	return (rlim_t)fd + RESERVE >= limit.rlim_cur;
}

static void
close_slot(struct slot *s)
{
	TAILQ_REMOVE(&s->slots->open, s, entry);
	s->slots->n--;
	close(s->fd);
	s->fd = -1;
}

struct slot *
slot_new(struct slots *slots, int fd, const char *path, bool locks)
{
	struct slot *s = calloc(1, sizeof(*s));

	if (s == NULL || fstat(fd, &s->seen) < 0) {
		free(s);
		return NULL;
	}
	s->slots = slots;
	s->path = path;
	s->locks = locks;
	s->fd = -1;
	close(fd);
	return s;
}

void
slot_free(struct slot *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->slots->lock);
	if (s->fd >= 0)
		close_slot(s);
	pthread_mutex_unlock(&s->slots->lock);
	free(s);
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Closes those that were read longest ago; as many as there must be. */
static void
make_room(struct slots *slots)
{
	struct slot *s = TAILQ_LAST(&slots->open, slot_list);

	while (s != NULL && slots->n >= MOST_OPEN) {
		struct slot *before = TAILQ_PREV(s, slot_list, entry);

		if (s->pins == 0)
			close_slot(s);
		s = before;
	}
}

static int
open_slot(struct slot *s, struct err *err)
{
	struct stat now;
	int fd, error = 0;

	make_room(s->slots);
	fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &now) < 0)
		error = err_sys(
		    err, -errno, NULL, "%s: cannot be opened again", s->path);
	else if (!is_same(&s->seen, &now))
		error = err_set(err, -ESTALE,
		    "%s: has been changed while it was in use, by another "
		    "program",
		    s->path);
	else if (s->locks)
		error = lock_take(
		    fd, RIGHT_READ, RIGHT_WRITE | RIGHT_RESIZE, s->path, err);
	if (error != 0) {
		if (fd >= 0)
			close(fd);
		return error;
	}
	s->fd = fd;
	s->slots->n++;
	return 0;
}

int
slot_pin(struct slot *s, struct err *err)
{
	int result;

	pthread_mutex_lock(&s->slots->lock);
	if (s->fd >= 0)
		TAILQ_REMOVE(&s->slots->open, s, entry);
	result = s->fd >= 0 ? 0 : open_slot(s, err);
	if (result == 0) {
		TAILQ_INSERT_HEAD(&s->slots->open, s, entry);
		s->pins++;
		result = s->fd;
	}
	pthread_mutex_unlock(&s->slots->lock);
	return result;
}

void
slot_unpin(struct slot *s)
{
	pthread_mutex_lock(&s->slots->lock);
	s->pins--;
	pthread_mutex_unlock(&s->slots->lock);
}
