/*
 * A lock rather than a pid in a file: it cannot be stale.  The lock lies
 * beside the directory, so that the directory can be emptied by who holds it.
 * Whoever locked a file that was removed meanwhile begins again.
 */
#include "lab/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/nearest.h"
#include "lab/schema.h"

/* The longest name of a socket is "VM.eth0.sock". */
#define NAME_ROOM (LAB_NAME_MAX + 10)

#define RETRIES  500
#define RETRY_US 2000

static int
too_long(const char *path, struct err *err)
{
	return err_set(err, -ENAMETOOLONG,
	    "%s: the path is too long for sockets in it; set XDG_RUNTIME_DIR "
	    "to a shorter one",
	    path);
}

/* path must be a directory of ours that nobody else can write to. */
static int
check_dir(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be looked at", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return err_set(err, -EPERM,
		    "%s: is no directory of yours with mode 0700; remove it or "
		    "set XDG_RUNTIME_DIR",
		    path);
	return 0;
}

static int
make_dir(const char *path, struct err *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "set XDG_RUNTIME_DIR",
		    "%s: cannot be made", path);
	return check_dir(path, err);
}

int
rundir_base(char out[RUNDIR_BYTES], struct err *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (xdg != NULL && xdg[0] == '/')
		n = snprintf(out, RUNDIR_BYTES, "%s/lanyard", xdg);
	else if (geteuid() == 0)
		n = snprintf(out, RUNDIR_BYTES, "/run/lanyard");
	else
		n = snprintf(out, RUNDIR_BYTES, "/tmp/lanyard-%u",
		    (unsigned int)geteuid());
	if (n >= RUNDIR_BYTES - 3 - LAB_NAME_MAX - NAME_ROOM)
		return too_long(xdg, err);
	return 0;
}

/* Removes the files in path, which has no directories in it. */
static void
empty_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* The pid that the lock's holder wrote into it, or 0. */
static pid_t
read_pid(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return (pid_t)atol(text);
}

/* Who looks whether a lab is alive, or cleans up after it, holds the lock for a
 * moment, and did not write itself into it. */
static bool
is_short(pid_t holder)
{
	return holder <= 0 || (kill(holder, 0) < 0 && errno == ESRCH);
}

static int
take_lock(struct rundir *dir, const char *lab, struct err *err)
{
	struct stat here, there;
	char pid[16];
	int tries = 0;

	for (;;) {
		dir->lock = open(dir->lock_path,
		    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (dir->lock < 0)
			return err_sys(err, -errno, NULL,
			    "%s: cannot be opened", dir->lock_path);
		if (flock(dir->lock, LOCK_EX | LOCK_NB) < 0) {
			pid_t other = read_pid(dir->lock);

			if (is_short(other) && tries++ < RETRIES) {
				close(dir->lock);
				usleep(RETRY_US);
				continue;
			}

			close(dir->lock);
			dir->lock = -1;
			return err_set(err, -EBUSY,
			    "lab \"%s\" is running already, in process %d; end "
			    "that one, or give this one another name",
			    lab, (int)other);
		}
		if (fstat(dir->lock, &here) == 0 &&
		    stat(dir->lock_path, &there) == 0 &&
		    here.st_ino == there.st_ino)
			break;
		close(dir->lock);
	}
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(dir->lock, 0) < 0 ||
	    pwrite(dir->lock, pid, strlen(pid), 0) < 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be written", dir->lock_path);
	return 0;
}

int
rundir_open(struct rundir *dir, const char *lab, struct err *err)
{
	char base[RUNDIR_BYTES];
	int e;

	*dir = (struct rundir){ .lock = -1 };
	e = rundir_base(base, err);
	if (e == 0)
		e = make_dir(base, err);
	if (e < 0)
		return e;
	snprintf(dir->lock_path, sizeof(dir->lock_path), "%.60s/%.20s.lock",
	    base, lab);
	e = take_lock(dir, lab, err);
	if (e < 0) {
		if (dir->lock >= 0)
			close(dir->lock);
		dir->lock = -1;
		return e;
	}
	snprintf(dir->path, sizeof(dir->path), "%.60s/%.20s", base, lab);
	e = make_dir(dir->path, err);
	if (e < 0) {
		rundir_close(dir);
		return e;
	}
	empty_dir(dir->path);
	return 0;
}

void
rundir_close(struct rundir *dir)
{
	if (dir->path[0] == '\0')
		return;
	empty_dir(dir->path);
	rmdir(dir->path);
	unlink(dir->lock_path);
	close(dir->lock);
	dir->path[0] = '\0';
	dir->lock = -1;
}

/* ---- labs of others ---- */

/* Is the lock of that path held?  Then *pid is its holder. */
static bool
is_held(const char *lock_path, pid_t *pid)
{
	int fd = open(lock_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool held;

	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	if (held)
		*pid = read_pid(fd);
	close(fd);
	return held;
}

/* Calls each for every lock file there is, of a lab's name. */
static int
each_lock(void (*each)(void *arg, const char *base, const char *lab), void *arg,
    struct err *err)
{
	char base[RUNDIR_BYTES];
	const struct dirent *entry;
	DIR *dir;
	int e = rundir_base(base, err);

	if (e < 0)
		return e;
	dir = opendir(base);
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);
		char lab[LAB_NAME_MAX + 1];

		if (len <= 5 || len - 5 > LAB_NAME_MAX ||
		    strcmp(entry->d_name + len - 5, ".lock") != 0)
			continue;
		memcpy(lab, entry->d_name, len - 5);
		lab[len - 5] = '\0';
		if (schema_is_name(lab))
			each(arg, base, lab);
	}
	closedir(dir);
	return 0;
}

struct visit {
	void (*alive)(void *arg, const char *lab, pid_t pid);
	void (*dead)(void *arg, const char *lab, const char *path, pid_t pid);
	void *arg;
};

static void
visit_alive(void *arg, const char *base, const char *lab)
{
	const struct visit *visit = arg;
	char path[RUNDIR_BYTES];
	pid_t pid;

	snprintf(path, sizeof(path), "%.60s/%.20s.lock", base, lab);
	if (is_held(path, &pid))
		visit->alive(visit->arg, lab, pid);
}

int
rundir_each(void (*each)(void *arg, const char *lab, pid_t pid), void *arg,
    struct err *err)
{
	struct visit visit = { .alive = each, .arg = arg };

	return each_lock(visit_alive, &visit, err);
}

/* Whoever gets the lock cleans up; another one leaves it to that. */
static void
visit_dead(void *arg, const char *base, const char *lab)
{
	const struct visit *visit = arg;
	struct rundir dir = { .lock = -1 };
	struct stat here, there;
	struct err err;

	snprintf(dir.lock_path, sizeof(dir.lock_path), "%.60s/%.20s.lock", base,
	    lab);
	dir.lock = open(dir.lock_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (dir.lock < 0)
		return;
	if (flock(dir.lock, LOCK_EX | LOCK_NB) < 0 ||
	    fstat(dir.lock, &here) < 0 || stat(dir.lock_path, &there) < 0 ||
	    here.st_ino != there.st_ino) {
		close(dir.lock);
		return;
	}
	snprintf(dir.path, sizeof(dir.path), "%.60s/%.20s", base, lab);
	if (check_dir(dir.path, &err) == 0)
		visit->dead(visit->arg, lab, dir.path, read_pid(dir.lock));
	rundir_close(&dir);
}

void
rundir_clear(
    void (*each)(void *arg, const char *lab, const char *path, pid_t pid),
    void *arg)
{
	struct visit visit = { .dead = each, .arg = arg };
	char base[RUNDIR_BYTES];
	struct err err;

	/* In a directory of somebody else's nothing is touched. */
	if (rundir_base(base, &err) == 0 && check_dir(base, &err) == 0)
		(void)each_lock(visit_dead, &visit, &err);
}

struct search {
	struct nearest near;
	char best[LAB_NAME_MAX + 1];
	bool found;
};

static void
consider(void *arg, const char *lab, pid_t pid)
{
	struct search *s = arg;

	(void)pid;
	s->found |= strcmp(lab, s->near.name) == 0;
	nearest_try(&s->near, lab);
	if (s->near.best == lab) /* the name does not last */
		snprintf(s->best, sizeof(s->best), "%s", lab);
	if (s->near.best != NULL)
		s->near.best = s->best;
}

int
rundir_find(
    const char *lab, const char *name, char out[RUNDIR_BYTES], struct err *err)
{
	char base[RUNDIR_BYTES];
	struct search s = { .found = false };
	int e = rundir_base(base, err);

	if (e < 0)
		return e;
	nearest_init(&s.near, lab);
	e = rundir_each(consider, &s, err);
	if (e < 0)
		return e;
	if (!s.found && s.near.best != NULL)
		return err_set(err, -ENOENT,
		    "lab \"%.40s\" is not running; did you mean \"%s\"?", lab,
		    s.best);
	if (!s.found)
		return err_set(err, -ENOENT,
		    "lab \"%.40s\" is not running; \"lanyard ls\" lists those "
		    "that are",
		    lab);
	snprintf(out, RUNDIR_BYTES, "%.60s/%.20s/%.25s", base, lab, name);
	return 0;
}
