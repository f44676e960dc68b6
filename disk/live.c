/*
 * One thread, which serves one asker after another: snapshots are rare, and two
 * at the same time would wait for each other anyway.  Who asks may take
 * ASK_MS for its line, which bounds how long it holds up the next one.
 *
 * A socket's path is short; an image's need not be.  One that does not fit is
 * reached through its directory, opened, by /proc/self/fd.
 */
#include "disk/live.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/ask_line.h"
#include "base/log.h"
#include "base/unix_listen.h"
#include "disk/file.h"
#include "disk/tree.h"

#define SOCKET_END  "~control"
#define WORD        "snapshot "
#define LINE_BYTES  512
#define ASK_MS      5000
#define NO_FILES_MS 100 /* until accept() is tried again */

struct live {
	struct disk *disk;
	char *image; /* its path */
	struct unix_listener listener;
	int directory; /* -1: the path needs none */
	int ending;    /* an eventfd */
	bool running;
	pthread_t thread;
	void (*begin)(void *arg);
	void *arg;
};

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int
live_socket(const char *image, char *path, size_t len)
{
	if ((size_t)snprintf(path, len, "%s" SOCKET_END, image) < len)
		return 0;
	return -ENAMETOOLONG;
}

/* The socket's path; *directory is to be closed when it is of no more use. */
static int
socket_path(const char *image, char *path, size_t len, int *directory)
{
	size_t bytes = file_directory_bytes(image);
	char name[PATH_MAX];

	*directory = -1;
	if (live_socket(image, path, len) == 0)
		return 0;
	if ((size_t)snprintf(name, sizeof(name), "%.*s", (int)bytes, image) >=
	    sizeof(name))
		return -ENAMETOOLONG;
	*directory =
	    open(bytes > 0 ? name : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*directory < 0)
		return -errno;
	if ((size_t)snprintf(path, len, "/proc/self/fd/%d/%s" SOCKET_END,
		*directory, image + bytes) < len)
		return 0;
	close(*directory);
	*directory = -1;
	return -ENAMETOOLONG;
}

/* ---- whoever has the disk ---- */

/* One line of somebody who may take ASK_MS for it. */
static bool
read_request(struct live *live, int fd, char line[LINE_BYTES])
{
	uint64_t until = now_us() / 1000 + ASK_MS;
	size_t at = 0;

	while (at < LINE_BYTES) {
		struct pollfd fds[] = { { .fd = live->ending,
					    .events = POLLIN },
			{ .fd = fd, .events = POLLIN } };
		uint64_t now = now_us() / 1000;
		char *end;
		ssize_t n;

		if (now >= until || poll(fds, 2, (int)(until - now)) <= 0 ||
		    fds[0].revents != 0)
			return false;
		n = recv(fd, line + at, LINE_BYTES - at, MSG_DONTWAIT);
		if (n <= 0)
			return false;
		end = memchr(line + at, '\n', (size_t)n);
		at += (size_t)n;
		if (end != NULL) {
			*end = '\0';
			return true;
		}
	}
	return false;
}

static void
answer(struct live *live, int fd)
{
	const char *disks[] = { live->image };
	size_t word = strlen(WORD);
	char line[LINE_BYTES];
	struct err err = { "" };
	uint64_t began;

	if (!read_request(live, fd, line) || strncmp(line, WORD, word) != 0) {
		err_set(&err, -EINVAL,
		    "%s: not understood; send \"" WORD "NAME\"", live->image);
	} else {
		began = now_us();
		if (tree_snapshot(disks, 1, line + word, &live->disk, &err) ==
		    0)
			log_info("%s: snapshot taken in %.1f ms", live->image,
			    (double)(now_us() - began) / 1000);
	}
	if (ask_line_send(
		fd, err.text[0] != '\0' ? err.text : "ok", MSG_DONTWAIT) < 0)
		log_debug("%s: who asked for a snapshot is gone", live->image);
}

static void *
serve(void *arg)
{
	struct live *live = arg;

	if (live->begin != NULL)
		live->begin(live->arg);
	for (;;) {
		struct pollfd fds[] = { { .fd = live->ending,
					    .events = POLLIN },
			{ .fd = live->listener.fd, .events = POLLIN } };
		int fd;

		poll(fds, 2, -1);
		if (fds[0].revents != 0)
			return NULL;
		if (fds[1].revents == 0)
			continue;
		fd = accept4(live->listener.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			poll(fds, 1, NO_FILES_MS);
			continue;
		}
		answer(live, fd);
		close(fd);
	}
}

/* No signal interrupts it. */
static int
start_thread(struct live *live)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&live->thread, NULL, serve, live);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	live->running = error == 0;
	return -error;
}

struct live *
live_new(
    struct disk *disk, void (*begin)(void *arg), void *arg, struct err *err)
{
	struct live *live = calloc(1, sizeof(*live));
	struct disk_info info;
	int error = 0;

	disk_info(disk, &info);
	if (live == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", info.path);
		return NULL;
	}
	live->disk = disk;
	live->begin = begin;
	live->arg = arg;
	live->listener.fd = live->directory = -1;
	live->image = strdup(info.path);
	live->ending = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (live->image == NULL || live->ending < 0)
		error = err_sys(err, -ENOMEM, NULL, "%s", info.path);
	if (error == 0) {
		char path[sizeof(live->listener.path)];

		error = socket_path(
		    live->image, path, sizeof(path), &live->directory);
		if (error != 0)
			err_sys(err, error, NULL, "%s" SOCKET_END, info.path);
		else
			error = unix_listen(&live->listener, path, err);
	}
	if (error == 0 && (error = start_thread(live)) != 0)
		err_sys(err, error, NULL, "%s: a thread", info.path);
	if (error == 0)
		return live;
	live_free(live);
	return NULL;
}

void
live_free(struct live *live)
{
	const uint64_t one = 1;

	if (live == NULL)
		return;
	if (live->running && write(live->ending, &one, sizeof(one)) > 0)
		pthread_join(live->thread, NULL);
	unix_listener_close(&live->listener);
	if (live->directory >= 0)
		close(live->directory);
	if (live->ending >= 0)
		close(live->ending);
	free(live->image);
	free(live);
}

/* ---- whoever asks ---- */

static int
connect_to(const char *image)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int directory, fd = -1;

	if (socket_path(image, address.sun_path, sizeof(address.sun_path),
		&directory) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		fd = -1;
	}
	if (directory >= 0)
		close(directory);
	return fd;
}

int
live_ask_snapshot(const char *image, const char *name, struct err *err)
{
	char request[LINE_BYTES], line[LINE_BYTES + 1];
	int fd = connect_to(image), error;

	if (fd < 0)
		return -ECONNREFUSED;
	if (strchr(name, '\n') != NULL ||
	    (size_t)snprintf(request, sizeof(request), WORD "%s", name) >=
		sizeof(request) - 1) {
		error = err_set(err, -EINVAL,
		    "%s: this cannot be the name of a snapshot", image);
	} else {
		if (ask_line(fd, request, line, sizeof(line)) < 0)
			error = err_set(err, -EPIPE,
			    "%s: whoever has it open hung up", image);
		else if (strcmp(line, "ok") == 0)
			error = 0;
		else
			error = err_set(err, -EIO, "%s", line);
	}
	close(fd);
	return error;
}
