/*
 * The server: two listening sockets and a thread per client.
 *
 * The second socket is beside the image, IMAGE~control, and takes one line,
 * "snapshot NAME"; the answer is "ok" or a sentence.  So "disk snapshot" works
 * on a disk that is in use.
 */
#include "disk/nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "disk/nbd_connection.h"
#include "disk/tree.h"

#define CONTROL_END   "~control"
#define LINE_BYTES    512
#define CONTROL_WAITS 10 /* s, for a client's line */

struct server {
	struct nbd_shared shared;
	char *image; /* its path while it is served */
	int listening, control, signals;
	char control_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	pthread_mutex_t lock;
	pthread_cond_t gone;
	int clients[NBD_MAX_CONNECTIONS]; /* -1: free */
	unsigned int n;
};

struct visit {
	struct server *server;
	int slot, fd;
};

static int
socket_address(const char *path, struct sockaddr_un *address, struct err *err)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path))
		return err_set(err, -ENAMETOOLONG,
		    "%s: is too long for a socket; at most %zu bytes", path,
		    sizeof(address->sun_path) - 1);
	strcpy(address->sun_path, path);
	return 0;
}

/* Whether there is a socket on which nobody listens. */
static bool
is_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool stale = fd >= 0 &&
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)) <
		0 &&
	    errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return stale;
}

/* A listening socket; one that nobody listens on any more gives way. */
static int
listen_at(const char *path, struct err *err)
{
	struct sockaddr_un address;
	int fd, error = socket_address(path, &address, err);

	if (error != 0)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, -errno, NULL, "%s: no socket", path);
	if (is_stale(&address))
		unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		error = -errno;
	if (error == 0 && listen(fd, 16) < 0)
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return err_sys(err, error, NULL, "%s: cannot listen there", path);
}

/* ---- clients ---- */

static void *
receive_client(void *arg)
{
	struct visit *visit = arg;
	struct server *s = visit->server;

	nbd_connection(&s->shared, visit->fd);
	pthread_mutex_lock(&s->lock);
	close(visit->fd);
	s->clients[visit->slot] = -1;
	s->n--;
	pthread_cond_signal(&s->gone);
	pthread_mutex_unlock(&s->lock);
	free(visit);
	return NULL;
}

static void
accept_client(struct server *s)
{
	int fd = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC), slot = 0;
	struct visit *visit;
	pthread_t thread;

	if (fd < 0)
		return;
	visit = malloc(sizeof(*visit));
	pthread_mutex_lock(&s->lock);
	while (slot < NBD_MAX_CONNECTIONS && s->clients[slot] >= 0)
		slot++;
	if (visit == NULL || slot == NBD_MAX_CONNECTIONS)
		goto refuse;
	*visit = (struct visit){ s, slot, fd };
	if (pthread_create(&thread, NULL, receive_client, visit) != 0)
		goto refuse;
	pthread_detach(thread);
	s->clients[slot] = fd;
	s->n++;
	pthread_mutex_unlock(&s->lock);
	return;
refuse:
	pthread_mutex_unlock(&s->lock);
	log_warn("%s: a client was refused: %d are served", s->image,
	    NBD_MAX_CONNECTIONS);
	close(fd);
	free(visit);
}

static void
end_clients(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < NBD_MAX_CONNECTIONS; i++)
		if (s->clients[i] >= 0)
			shutdown(s->clients[i], SHUT_RDWR);
	while (s->n > 0)
		pthread_cond_wait(&s->gone, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the control socket ---- */

static bool
read_line(int fd, char *line, size_t len)
{
	size_t at = 0;

	while (at + 1 < len) {
		ssize_t n = recv(fd, line + at, 1, 0);

		if (n <= 0)
			return false;
		if (line[at] == '\n') {
			line[at] = '\0';
			return true;
		}
		at++;
	}
	return false;
}

static void
do_control(struct server *s)
{
	static const char word[] = "snapshot ";
	struct timeval patience = { .tv_sec = CONTROL_WAITS };
	int fd = accept4(s->control, NULL, NULL, SOCK_CLOEXEC);
	const char *disks[] = { s->image };
	char line[LINE_BYTES];
	struct err err = { 0 };

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!read_line(fd, line, sizeof(line)) ||
	    strncmp(line, word, strlen(word)) != 0)
		err_set(&err, -EINVAL, "%s: no such request", s->image);
	else
		tree_snapshot(
		    disks, 1, line + strlen(word), s->shared.disk, &err);
	dprintf(fd, "%s\n", err.text[0] != '\0' ? err.text : "ok");
	close(fd);
}

int
nbd_ask_snapshot(const char *image, const char *name, struct err *err)
{
	struct sockaddr_un address;
	char path[sizeof(address.sun_path) + 1], line[LINE_BYTES];
	int fd, error = -ECONNREFUSED;

	if ((size_t)snprintf(path, sizeof(path), "%s%s", image, CONTROL_END) >=
		sizeof(path) ||
	    socket_address(path, &address, NULL) != 0)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		dprintf(fd, "snapshot %s\n", name);
		if (!read_line(fd, line, sizeof(line)))
			error = err_set(err, -EPIPE,
			    "%s: whoever serves it hung up", image);
		else if (strcmp(line, "ok") == 0)
			error = 0;
		else
			error = err_set(err, -EIO, "%s", line);
	}
	close(fd);
	return error;
}

/* ---- the server ---- */

/* SIGINT and SIGTERM arrive as something to read. */
static int
watch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void
open_control(struct server *s)
{
	struct err err = { 0 };

	s->control = -1;
	if (s->shared.read_only)
		return;
	if ((size_t)snprintf(s->control_path, sizeof(s->control_path), "%s%s",
		s->image, CONTROL_END) >= sizeof(s->control_path)) {
		log_warn("%s: its path is too long to take snapshots while it "
			 "is served",
		    s->image);
		return;
	}
	s->control = listen_at(s->control_path, &err);
	if (s->control < 0)
		log_warn("%s; no snapshots while it is served", err.text);
}

static void
serve_all(struct server *s)
{
	struct pollfd fds[] = { { .fd = s->signals, .events = POLLIN },
		{ .fd = s->listening, .events = POLLIN },
		{ .fd = s->control, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents != 0)
			return;
		if (fds[1].revents != 0)
			accept_client(s);
		if (fds[2].revents != 0)
			do_control(s);
	}
}

int
nbd_serve(struct disk *disk, const struct nbd_options *options, struct err *err)
{
	struct server s = { .shared = { .disk = disk,
				.export = options->export,
				.read_only = options->read_only },
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.gone = PTHREAD_COND_INITIALIZER };
	struct disk_info info;
	int error = 0;

	disk_info(disk, &info);
	s.image = strdup(info.path);
	for (int i = 0; i < NBD_MAX_CONNECTIONS; i++)
		s.clients[i] = -1;
	s.signals = watch_signals();
	s.shared.queue = disk_queue_new(options->threads);
	s.listening = listen_at(options->socket, err);
	if (s.image == NULL || s.signals < 0 || s.shared.queue == NULL)
		error = err_set(err, -ENOMEM, "%s: out of memory", info.path);
	else if (s.listening < 0)
		error = s.listening;
	if (error == 0) {
		open_control(&s);
		serve_all(&s);
		end_clients(&s);
		if (s.control >= 0) {
			close(s.control);
			unlink(s.control_path);
		}
	}
	if (s.listening >= 0) {
		close(s.listening);
		unlink(options->socket);
	}
	disk_queue_free(s.shared.queue);
	if (s.signals >= 0)
		close(s.signals);
	free(s.image);
	return error;
}
