#include "tests/disk/recorder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR     512
#define MAX_EVENTS 20000
#define MAX_FILES  64
#define PICKS      6 /* random subsets for each moment, if not said */

enum what {
	WROTE,
	CUT,    /* to a size */
	ZEROED, /* a range */
	SYNCED,
	SYNCED_NAMES,
	NAMED,   /* a file got name */
	RENAMED, /* name became to */
	UNNAMED,
	MARKED
};

struct event {
	enum what what;
	ino_t file;
	uint64_t offset, len;
	uint8_t *data;
	char *name, *to;
};

struct file {
	ino_t file;
	char *name; /* at the start; NULL: made later */
	uint8_t *data;
	size_t len;
	int held; /* open, so that no other file gets the same number */
};

static struct {
	bool on;
	char directory[4096];
	dev_t device;
	ino_t self;
	struct event events[MAX_EVENTS];
	atomic_size_t n;
	struct file files[MAX_FILES];
	size_t nfiles;
} rec;

/* Any thread; what is filled in afterwards is not read before the end. */
static struct event *
note(enum what what, ino_t file)
{
	size_t i = atomic_fetch_add(&rec.n, 1);
	struct event *e = &rec.events[i];

	assert(i < MAX_EVENTS);
	memset(e, 0, sizeof(*e));
	e->what = what;
	e->file = file;
	return e;
}

/* The name within the directory, or NULL. */
static const char *
local(const char *path)
{
	size_t n = strlen(rec.directory);

	return rec.on && strncmp(path, rec.directory, n) == 0 ? path + n : NULL;
}

static struct file *
find_file(ino_t file)
{
	for (size_t i = 0; i < rec.nfiles; i++)
		if (rec.files[i].file == file)
			return &rec.files[i];
	return NULL;
}

/* Whether fd is a file of the directory. */
static bool
is_ours(int fd, ino_t *file)
{
	struct stat st;

	if (!rec.on || fstat(fd, &st) < 0)
		return false;
	*file = st.st_ino;
	return st.st_dev == rec.device && find_file(st.st_ino) != NULL;
}

/* Without a lock, and without sharing anybody's. */
static int
hold(const char *path)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
}

/* ---- the calls ---- */

static void
note_bytes(int fd, const void *p, size_t n, off_t offset)
{
	struct event *e;
	ino_t file;

	if (!is_ours(fd, &file))
		return;
	e = note(WROTE, file);
	e->offset = (uint64_t)offset;
	e->len = n;
	e->data = malloc(n);
	memcpy(e->data, p, n);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t offset)
{
	note_bytes(fd, p, n, offset);
	return syscall(SYS_pwrite64, fd, p, n, offset);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	ssize_t sum = 0;

	for (int i = 0; i < n; i++) {
		ssize_t one =
		    pwrite(fd, iov[i].iov_base, iov[i].iov_len, offset + sum);

		if (one < 0)
			return sum > 0 ? sum : -1;
		sum += one;
	}
	return sum;
}

int
ftruncate(int fd, off_t len)
{
	ino_t file;

	if (is_ours(fd, &file))
		note(CUT, file)->len = (uint64_t)len;
	return (int)syscall(SYS_ftruncate, fd, len);
}

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	struct event *e;
	ino_t file;

	assert(!rec.on || mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
	if (is_ours(fd, &file)) {
		e = note(ZEROED, file);
		e->offset = (uint64_t)offset;
		e->len = (uint64_t)len;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static void
note_sync(int fd)
{
	struct stat st;

	if (!rec.on || fstat(fd, &st) < 0)
		return;
	if (st.st_dev == rec.device && st.st_ino == rec.self)
		note(SYNCED_NAMES, 0);
	else if (find_file(st.st_ino) != NULL)
		note(SYNCED, st.st_ino);
}

/* Syncs are only noted: these tests need no disk. */
int
fdatasync(int fd)
{
	note_sync(fd);
	return 0;
}

int
fsync(int fd)
{
	note_sync(fd);
	return 0;
}

int
open(const char *path, int flags, ...)
{
	const char *name = local(path);
	mode_t mode = 0;
	struct stat st;
	bool is_new;
	va_list args;
	int fd;

	if ((flags & O_CREAT) != 0) {
		va_start(args, flags);
		mode = (mode_t)va_arg(args, int);
		va_end(args);
	}
	is_new = name != NULL && (flags & O_CREAT) != 0 &&
	    lstat(path, &st) < 0 && errno == ENOENT;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd < 0 || name == NULL || fstat(fd, &st) < 0)
		return fd;
	if (is_new) {
		struct file *f = &rec.files[rec.nfiles];

		assert(find_file(st.st_ino) == NULL && rec.nfiles < MAX_FILES);
		rec.nfiles++;
		f->file = st.st_ino;
		f->held = hold(path);
		note(NAMED, st.st_ino)->name = strdup(name);
	} else if ((flags & O_TRUNC) != 0) {
		note(CUT, st.st_ino);
	}
	return fd;
}

int
link(const char *from, const char *to)
{
	int result = (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
	struct stat st;

	if (result == 0 && local(to) != NULL && lstat(to, &st) == 0)
		note(NAMED, st.st_ino)->name = strdup(local(to));
	return result;
}

int
rename(const char *from, const char *to)
{
	int result = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);

	if (result == 0 && local(from) != NULL) {
		struct event *e = note(RENAMED, 0);

		e->name = strdup(local(from));
		e->to = strdup(local(to));
	}
	return result;
}

int
unlink(const char *path)
{
	int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);

	if (result == 0 && local(path) != NULL)
		note(UNNAMED, 0)->name = strdup(local(path));
	return result;
}

/* ---- recording ---- */

static void
keep_file(const char *name)
{
	char path[8192];
	struct file *f = &rec.files[rec.nfiles];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s%s", rec.directory, name);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
	assert(fd >= 0 && fstat(fd, &st) == 0 && find_file(st.st_ino) == NULL);
	f->file = st.st_ino;
	f->name = strdup(name);
	f->len = (size_t)st.st_size;
	f->data = malloc(f->len + 1);
	assert(pread(fd, f->data, f->len, 0) == st.st_size);
	close(fd);
	f->held = hold(path);
	rec.nfiles++;
}

void
recorder_start(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	struct stat st;

	snprintf(rec.directory, sizeof(rec.directory), "%s/", directory);
	assert(dir != NULL && stat(directory, &st) == 0);
	rec.device = st.st_dev;
	rec.self = st.st_ino;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			keep_file(entry->d_name);
	closedir(dir);
	rec.on = true;
}

void
recorder_mark(void)
{
	note(MARKED, 0);
}

void
recorder_stop(void)
{
	rec.on = false;
}

void
recorder_free(void)
{
	for (size_t i = 0; i < rec.n; i++) {
		free(rec.events[i].data);
		free(rec.events[i].name);
		free(rec.events[i].to);
	}
	for (size_t i = 0; i < rec.nfiles; i++) {
		free(rec.files[i].name);
		free(rec.files[i].data);
		close(rec.files[i].held);
	}
	memset(&rec, 0, sizeof(rec));
}

/* ---- replaying ---- */

struct state {
	struct file files[MAX_FILES];
	struct {
		char name[300];
		size_t file;
	} names[MAX_FILES];
	size_t nnames;
	unsigned int random;
};

static unsigned int
pick(struct state *s, unsigned int n)
{
	s->random = s->random * 1103515245 + 12345;
	return (s->random >> 16) % n;
}

static void
grow(struct file *f, size_t len)
{
	if (len <= f->len)
		return;
	f->data = realloc(f->data, len);
	memset(f->data + f->len, 0, len - f->len);
	f->len = len;
}

static void
change_file(struct state *s, const struct event *e, bool torn)
{
	size_t i = (size_t)(find_file(e->file) - rec.files);
	struct file *f = &s->files[i];
	uint64_t skip = 0, len = e->len;

	if (torn && e->what == WROTE && len > SECTOR) {
		skip = (uint64_t)pick(s, (unsigned int)(len / SECTOR)) * SECTOR;
		len = pick(s, 2) == 0 ? skip : len;
		skip = len == skip ? 0 : skip;
	}
	switch (e->what) {
	case WROTE:
		if (len == skip)
			return;
		grow(f, e->offset + len);
		memcpy(f->data + e->offset + skip, e->data + skip, len - skip);
		return;
	case CUT:
		grow(f, e->len);
		f->len = e->len;
		return;
	case ZEROED:
		if (e->offset < f->len)
			memset(f->data + e->offset, 0,
			    e->offset + e->len < f->len ? e->len
							: f->len - e->offset);
		return;
	case SYNCED:
	case SYNCED_NAMES:
	case NAMED:
	case RENAMED:
	case UNNAMED:
	case MARKED: return;
	}
}

static void
drop_name(struct state *s, const char *name)
{
	for (size_t i = 0; i < s->nnames; i++)
		if (strcmp(s->names[i].name, name) == 0) {
			s->names[i] = s->names[--s->nnames];
			return;
		}
}

static void
change_name(struct state *s, const struct event *e)
{
	if (e->what == NAMED) {
		drop_name(s, e->name);
		snprintf(s->names[s->nnames].name, 300, "%s", e->name);
		s->names[s->nnames++].file =
		    (size_t)(find_file(e->file) - rec.files);
	} else if (e->what == UNNAMED) {
		drop_name(s, e->name);
	} else if (e->what == RENAMED) {
		drop_name(s, e->to);
		for (size_t i = 0; i < s->nnames; i++)
			if (strcmp(s->names[i].name, e->name) == 0)
				snprintf(s->names[i].name, 300, "%s", e->to);
	}
}

static bool
is_name(const struct event *e)
{
	return e->what == NAMED || e->what == RENAMED || e->what == UNNAMED;
}

static bool
is_write(const struct event *e)
{
	return e->what == WROTE || e->what == CUT || e->what == ZEROED;
}

static bool
is_durable(size_t i, size_t moment)
{
	for (size_t k = i + 1; k <= moment; k++)
		if (rec.events[k].what == SYNCED &&
		    rec.events[k].file == rec.events[i].file)
			return true;
	return false;
}

static void
begin_state(struct state *s)
{
	s->nnames = 0;
	for (size_t i = 0; i < rec.nfiles; i++) {
		const struct file *f = &rec.files[i];

		s->files[i].len = 0;
		grow(&s->files[i], f->len);
		if (f->len > 0)
			memcpy(s->files[i].data, f->data, f->len);
		if (f->name == NULL)
			continue;
		snprintf(s->names[s->nnames].name, 300, "%s", f->name);
		s->names[s->nnames++].file = i;
	}
}

static void
write_state(const struct state *s, const char *scratch)
{
	DIR *dir = opendir(scratch);
	struct dirent *entry;
	char path[8192];

	assert(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", scratch,
			    entry->d_name);
			unlink(path);
		}
	closedir(dir);
	for (size_t i = 0; i < s->nnames; i++) {
		const struct file *f = &s->files[s->names[i].file];
		bool linked = false;
		char other[8192];
		FILE *out;

		snprintf(
		    path, sizeof(path), "%s/%s", scratch, s->names[i].name);
		for (size_t k = 0; k < i && !linked; k++)
			if (s->names[k].file == s->names[i].file) {
				snprintf(other, sizeof(other), "%s/%s", scratch,
				    s->names[k].name);
				linked = link(other, path) == 0;
			}
		if (linked)
			continue;
		out = fopen(path, "w");
		assert(out != NULL);
		if (f->len > 0)
			assert(fwrite(f->data, 1, f->len, out) == f->len);
		fclose(out);
	}
}

/* How a subset of the pending writes is chosen. */
enum choice { NONE, ALL, ONE, ALL_BUT_ONE, RANDOM };

static void
make_state(struct state *s, size_t moment, enum choice choice, size_t which,
    bool all_names, const char *scratch)
{
	size_t durable = 0, pending = 0;

	begin_state(s);
	for (size_t i = 0; i <= moment; i++)
		if (rec.events[i].what == SYNCED_NAMES)
			durable = i;
	for (size_t i = 0; i <= moment; i++) {
		const struct event *e = &rec.events[i];
		bool keep;

		if (is_name(e)) {
			if (i < durable || all_names)
				change_name(s, e);
			continue;
		}
		if (!is_write(e))
			continue;
		if (is_durable(i, moment)) {
			change_file(s, e, false);
			continue;
		}
		keep = choice == ALL || (choice == ONE && pending == which) ||
		    (choice == ALL_BUT_ONE && pending != which) ||
		    (choice == RANDOM && pick(s, 2) == 0);
		pending++;
		if (keep)
			change_file(s, e, choice == RANDOM && pick(s, 3) == 0);
	}
	write_state(s, scratch);
}

static size_t
count_pending(size_t moment)
{
	size_t n = 0;

	for (size_t i = 0; i <= moment; i++)
		n += is_write(&rec.events[i]) && !is_durable(i, moment);
	return n;
}

size_t
recorder_replay(const char *scratch, unsigned int seed,
    void (*judge)(void *arg, size_t marks), void *arg)
{
	struct state *s = calloc(1, sizeof(*s));
	size_t states = 0, marks = 0;
	const char *said = getenv("CRASH_PICKS");
	int picks = said != NULL ? atoi(said) : PICKS;

	s->random = seed;
	for (size_t moment = 0; moment < rec.n; moment++) {
		size_t pending = count_pending(moment);

		marks += rec.events[moment].what == MARKED;
		for (int names = 0; names < 2; names++) {
			make_state(s, moment, NONE, 0, names == 1, scratch);
			judge(arg, marks);
			make_state(s, moment, ALL, 0, names == 1, scratch);
			judge(arg, marks);
			states += 2;
		}
		/* Random ones of the single subsets: there are many. */
		for (int i = 0; i < picks && pending > 1; i++) {
			enum choice choice = (enum choice)(ONE + i % 3);

			make_state(s, moment, choice,
			    pick(s, (unsigned int)pending), pick(s, 2) == 0,
			    scratch);
			judge(arg, marks);
			states++;
		}
	}
	for (size_t i = 0; i < MAX_FILES; i++)
		free(s->files[i].data);
	free(s);
	return states;
}
