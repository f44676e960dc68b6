/*
 * The server: a listening socket, a thread for it, and one per client.
 *
 * Snapshots are asked for at a second socket (live.h), so that a program that
 * was given the disk has no say in them.
 *
 * When there are as many clients as there may be, the next one is left waiting
 * in the socket's queue for a while, since often one is about to leave; then it
 * is hung up on.  Left for longer, a program that opens several connections
 * would wait for itself.
 */
#include "disk/nbd.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/unix_listen.h"
#include "disk/file.h"
#include "disk/live.h"
#include "disk/nbd_connection.h"
#include "disk/queue.h"

#define HANDSHAKE_MS 30000
#define DRAIN_MS     5000
#define QUEUE_MS     3000
#define NO_FILES_MS  100 /* until accept() is tried again */

struct nbd_client {
	struct nbd_server *server;
	bool used; /* the acceptor's */
	bool gone; /* set by its thread, under the lock; then fd is closed */
	pthread_t thread;
	int fd;
};

struct nbd_server {
	struct nbd_shared shared;
	char *image; /* its path */
	char *export;
	char description[NAME_MAX + 1];
	struct unix_listener listener;
	struct live *live; /* NULL: nobody may ask for snapshots */
	unsigned int max, queue_ms;
	int gone; /* readable when a client has gone */
	bool accepting;
	pthread_t acceptor;
	pthread_mutex_t lock; /* of the clients' descriptors */
	struct nbd_client clients[NBD_MAX_CONNECTIONS];
	unsigned int n; /* clients that are used; the acceptor's */
};

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
notify(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		log_debug("nbd: eventfd: %s", strerror(errno));
}

/* A thread that no signal interrupts. */
static bool
start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error == 0;
}

/* ---- clients ---- */

static void *
serve_client(void *arg)
{
	struct nbd_client *client = arg;
	struct nbd_server *s = client->server;

	nbd_connection(&s->shared, client->fd);
	pthread_mutex_lock(&s->lock);
	close(client->fd);
	client->gone = true;
	pthread_mutex_unlock(&s->lock);
	notify(s->gone);
	return NULL;
}

/* Makes room of those who have gone. */
static void
reap_clients(struct nbd_server *s)
{
	for (unsigned int i = 0; i < s->max; i++) {
		struct nbd_client *client = &s->clients[i];
		bool gone;

		pthread_mutex_lock(&s->lock);
		gone = client->used && client->gone;
		pthread_mutex_unlock(&s->lock);
		if (!gone)
			continue;
		pthread_join(client->thread, NULL);
		client->used = false;
		s->n--;
	}
}

static void
admit_client(struct nbd_server *s, int fd)
{
	struct nbd_client *client = s->clients;

	while (client->used)
		client++;
	assert(client < s->clients + s->max);
	*client = (struct nbd_client){ .server = s, .used = true, .fd = fd };
	if (start_thread(&client->thread, serve_client, client)) {
		s->n++;
		return;
	}
	client->used = false;
	log_warn("%s: no thread for a client, which is hung up on", s->image);
	close(fd);
}

/* Takes the next client, or hangs up on it. */
static void
accept_client(struct nbd_server *s)
{
	struct pollfd ending = { .fd = s->shared.ending, .events = POLLIN };
	int fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
		log_warn("%s: a client waits: %s", s->image, strerror(errno));
		poll(&ending, 1, NO_FILES_MS);
	}
	if (fd < 0)
		return;
	if (s->n < s->max) {
		admit_client(s, fd);
		return;
	}
	log_warn("%s: %u clients are served; the next one is hung up on",
	    s->image, s->n);
	close(fd);
}

static void *
accept_clients(void *arg)
{
	struct nbd_server *s = arg;
	uint64_t patience = 0; /* until then somebody waits for room */
	uint64_t count;

	for (;;) {
		struct pollfd fds[] = { { .fd = s->shared.ending,
					    .events = POLLIN },
			{ .fd = s->gone, .events = POLLIN },
			{ .fd = s->listener.fd, .events = POLLIN } };
		uint64_t now = now_ms();
		int timeout = -1;

		if (s->n < s->max)
			patience = 0;
		if (patience > now) {
			fds[2].fd = -1;
			timeout = (int)(patience - now);
		}
		poll(fds, 3, timeout);
		if (fds[0].revents != 0)
			return NULL;
		if (fds[1].revents != 0 &&
		    read(s->gone, &count, sizeof(count)) > 0)
			reap_clients(s);
		if (fds[2].revents == 0)
			continue;
		if (s->n < s->max || patience != 0) {
			accept_client(s);
			patience = 0;
		} else {
			patience = now_ms() + s->queue_ms;
		}
	}
}

/* ---- the server ---- */

static unsigned int
or_else(unsigned int value, unsigned int otherwise)
{
	return value != 0 ? value : otherwise;
}

/* Copies what the options and the disk say. */
static bool
describe(struct nbd_server *s, const struct nbd_options *o)
{
	struct disk_info info;

	disk_info(s->shared.disk, &info);
	s->image = strdup(info.path);
	s->export = strdup(o->export != NULL ? o->export : "");
	if (s->image == NULL || s->export == NULL)
		return false;
	snprintf(s->description, sizeof(s->description), "%s",
	    s->image + file_directory_bytes(s->image));
	s->max = or_else(o->connections, NBD_DEFAULT_CONNECTIONS);
	s->queue_ms = or_else(o->queue_ms, QUEUE_MS);
	s->shared.handshake_ms = or_else(o->handshake_ms, HANDSHAKE_MS);
	s->shared.drain_ms = or_else(o->drain_ms, DRAIN_MS);
	/* All connections write by the one disk, and a flush is for all that
	 * it has been given. */
	s->shared.export = (struct nbd_export){ .name = s->export,
		.any_name = o->export == NULL,
		.description = s->description,
		.size = info.size,
		.cluster_bytes = info.cluster_bits != 0
		    ? UINT32_C(1) << info.cluster_bits
		    : 0,
		.read_only = o->read_only || !info.writable,
		.multi_conn = s->max > 1 };
	return true;
}

/* The queue's threads shall not take signals either. */
static struct disk_queue *
new_queue(unsigned int threads)
{
	struct disk_queue *queue;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	queue = disk_queue_new(threads);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return queue;
}

static void
start_live(struct nbd_server *s)
{
	struct err err = { "" };

	s->live = live_new(s->shared.disk, NULL, NULL, &err);
	if (s->live == NULL)
		log_warn("%s; no snapshots while it is served", err.text);
}

struct nbd_server *
nbd_server_new(struct disk *disk, const struct nbd_options *o, struct err *err)
{
	struct nbd_server *s = calloc(1, sizeof(*s));

	assert(o->connections <= NBD_MAX_CONNECTIONS);
	if (s == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", o->socket);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->shared.disk = disk;
	s->listener.fd = -1;
	s->shared.ending = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->gone = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->shared.queue = new_queue(or_else(o->threads, NBD_DEFAULT_THREADS));
	if (!describe(s, o) || s->shared.ending < 0 || s->gone < 0 ||
	    s->shared.queue == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", o->socket);
		goto fail;
	}
	if (o->export != NULL && strlen(o->export) > NAME_MAX) {
		err_set(err, -EINVAL,
		    "%.60s...: a name for clients has at most %d bytes",
		    o->export, NAME_MAX);
		goto fail;
	}
	if (unix_listen(&s->listener, o->socket, err) < 0)
		goto fail;
	s->accepting = start_thread(&s->acceptor, accept_clients, s);
	if (!s->accepting) {
		err_set(err, -EAGAIN, "%s: no thread to serve it", o->socket);
		goto fail;
	}
	if (!s->shared.export.read_only)
		start_live(s);
	return s;
fail:
	nbd_server_free(s);
	return NULL;
}

/* They do what they have received, and leave. */
static void
end_clients(struct nbd_server *s)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->max; i++)
		if (s->clients[i].used && !s->clients[i].gone)
			shutdown(s->clients[i].fd, SHUT_RD);
	pthread_mutex_unlock(&s->lock);
	for (unsigned int i = 0; i < s->max; i++)
		if (s->clients[i].used)
			pthread_join(s->clients[i].thread, NULL);
}

void
nbd_server_free(struct nbd_server *s)
{
	if (s == NULL)
		return;
	atomic_store(&s->shared.stopping, true);
	if (s->shared.ending >= 0)
		notify(s->shared.ending);
	if (s->accepting)
		pthread_join(s->acceptor, NULL);
	live_free(s->live);
	unix_listener_close(&s->listener);
	if (s->accepting)
		end_clients(s);
	disk_queue_free(s->shared.queue);
	if (s->shared.ending >= 0)
		close(s->shared.ending);
	if (s->gone >= 0)
		close(s->gone);
	pthread_mutex_destroy(&s->lock);
	free(s->export);
	free(s->image);
	free(s);
}

/* Writes text as part of a URI. */
static void
say_encoded(FILE *say, const char *text)
{
	static const char plain[] = "-._~/";

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || strchr(plain, c) != NULL)
			fputc(c, say);
		else
			fprintf(say, "%%%02X", c);
	}
}

static void
say_ready(FILE *say, const struct nbd_server *s)
{
	fprintf(say, "nbd+unix:///");
	say_encoded(say, s->export);
	fprintf(say, "?socket=");
	say_encoded(say, s->listener.path);
	fputc('\n', say);
	fflush(say);
}

int
nbd_serve(struct disk *disk, const struct nbd_options *options, FILE *say,
    struct err *err)
{
	struct nbd_server *server;
	sigset_t set, old;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	server = nbd_server_new(disk, options, err);
	if (server != NULL) {
		if (say != NULL)
			say_ready(say, server);
		sigwait(&set, &signal);
		nbd_server_free(server);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return server != NULL ? 0 : -EIO;
}
