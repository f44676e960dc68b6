/*
 * The outer end of a serial port.
 *
 * Positions in the output count bytes since the start: head is where the next
 * byte goes, sent and logged are how far the client and the log have come.  A
 * byte is at its position modulo the ring.  Whoever falls a whole ring behind
 * loses the oldest bytes; lost counts the client's.
 *
 * Bytes leave on the loop's thread.  They are copied out under the lock and
 * written without it, so that a slow disk holds the guest back by
 * console_room() alone.  put() asks for that work once; what the guest writes
 * until it begins goes out in the same system call.
 *
 * A client that shut down its sending half still gets the output, since that
 * is what `echo command | nc -U` needs; but the next client takes its place.
 * We cannot tell it from a client that is gone for good until we send to it.
 *
 * Standard input and output are opened anew through /proc, so that our
 * O_NONBLOCK does not reach the shell's terminal; a socket cannot be, and is
 * used as it is, as is a file, whose offset we share with who comes after us.
 */
#include "vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"

#define COPY_BYTES  4096
#define ESCAPE_BYTE 0x1d /* Ctrl-] */

/* One direction of what the serial port is connected to. */
struct end {
	int fd; /* -1: none */
	struct loop_watch *watch;
	unsigned int events; /* that the watch waits for */
};

struct console {
	struct console_config config;
	int listen_fd;
	struct loop_watch *listen_watch;
	struct end in, out; /* a client is both: out.fd == in.fd */
	bool in_eof;
	bool blocked; /* the client took less than there was */
	bool stalled; /* for too long */
	struct loop_timer patience;
	int log_fd;
	struct termios tty;
	bool tty_raw;

	bool held;       /* room() was refused */
	bool work_asked; /* and not yet begun */
	uint64_t head, sent, logged, lost;
	uint8_t ring[CONSOLE_RING_BYTES];
	uint8_t input[CONSOLE_INPUT_BYTES];
	unsigned int input_head, input_count;
};

/* ---- the guest's side; under the lock ---- */

static void
ask_work(struct console *c)
{
	if (c->work_asked)
		return;
	c->work_asked = true;
	c->config.wake(c->config.wake_arg);
}

static bool
has_readers(const struct console *c)
{
	return c->listen_fd >= 0 || c->out.fd >= 0 || c->log_fd >= 0;
}

void
console_put(struct console *c, uint8_t byte)
{
	if (!has_readers(c))
		return;
	c->ring[c->head++ % CONSOLE_RING_BYTES] = byte;
	if (c->head - c->sent > CONSOLE_RING_BYTES) {
		c->sent++;
		if (c->out.fd >= 0 || c->listen_fd >= 0)
			c->lost++;
	}
	if (c->head - c->logged > CONSOLE_RING_BYTES)
		c->logged++;
	if (c->out.fd >= 0 || c->log_fd >= 0)
		ask_work(c);
}

bool
console_room(struct console *c)
{
	uint64_t behind = 0;

	if (c->log_fd >= 0)
		behind = c->head - c->logged;
	if (c->out.fd >= 0 && !c->stalled && c->head - c->sent > behind)
		behind = c->head - c->sent;
	c->held = behind >= CONSOLE_RING_BYTES / 2;
	return !c->held;
}

bool
console_get(struct console *c, uint8_t *byte)
{
	if (c->input_count == 0)
		return false;
	*byte = c->input[c->input_head];
	c->input_head = (c->input_head + 1) % CONSOLE_INPUT_BYTES;
	if (c->input_count-- == CONSOLE_INPUT_BYTES / 2)
		ask_work(c); /* there is room to read again */
	return true;
}

uint64_t
console_lost(const struct console *c)
{
	return c->lost;
}

/* ---- descriptors ---- */

/* Can it be waited for?  Regular files and /dev/null are always ready. */
static bool
pollable(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	bool yes =
	    epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;

	if (epoll >= 0)
		close(epoll);
	return yes;
}

static void
end_wait(struct end *end, unsigned int events)
{
	if (end->watch == NULL || end->events == events)
		return;
	end->events = events;
	loop_watch_events(end->watch, events);
}

static void
end_close(struct end *end)
{
	loop_watch_free(end->watch);
	if (end->fd >= 0)
		close(end->fd);
	*end = (struct end){ .fd = -1 };
}

static int
end_open(struct console *c, struct end *end, int fd,
    void (*call)(void *arg, unsigned int events), struct err *err)
{
	*end = (struct end){ .fd = fd };
	if (!pollable(fd))
		return 0;
	end->watch = loop_watch_new(c->config.loop, fd, 0, call, c, err);
	return end->watch != NULL ? 0 : -ENOMEM;
}

/* ---- the client; loop thread ---- */

static bool
is_client(const struct console *c)
{
	return c->listen_fd >= 0;
}

static void
listen_again(struct console *c)
{
	if (c->listen_watch != NULL)
		loop_watch_events(c->listen_watch, LOOP_READ);
}

/* The client left; what it did not read waits for the next one. */
static void
drop_client(struct console *c)
{
	bool one = c->in.fd == c->out.fd;

	end_close(&c->in);
	if (one)
		c->out = (struct end){ .fd = -1 };
	else
		end_close(&c->out);
	c->blocked = c->stalled = false;
	loop_timer_unset(&c->patience);
	listen_again(c);
}

static void
wait_for_client(struct console *c)
{
	unsigned int want_in = 0, want_out = 0;

	if (!c->in_eof && c->input_count < CONSOLE_INPUT_BYTES)
		want_in = LOOP_READ;
	if (c->blocked)
		want_out = LOOP_WRITE;
	if (c->in.fd == c->out.fd) {
		end_wait(&c->in, want_in | want_out);
	} else {
		end_wait(&c->in, want_in);
		end_wait(&c->out, want_out);
	}
}

static void
read_failed(struct console *c)
{
	c->in_eof = true;
	if (is_client(c))
		listen_again(c); /* somebody else may take its place */
}

/* Under the lock, from here on to send_output(): drops it while it writes. */
static void
read_input(struct console *c)
{
	uint8_t bytes[COPY_BYTES];

	while (c->in.fd >= 0 && !c->in_eof &&
	    c->input_count < CONSOLE_INPUT_BYTES) {
		size_t room = CONSOLE_INPUT_BYTES - c->input_count;
		ssize_t n = read(c->in.fd, bytes,
		    room < sizeof(bytes) ? room : sizeof(bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			read_failed(c);
			return;
		}
		for (ssize_t i = 0; i < n; i++) {
			if (c->tty_raw && bytes[i] == ESCAPE_BYTE)
				kill(getpid(), SIGTERM);
			c->input[(c->input_head + c->input_count++) %
			    CONSOLE_INPUT_BYTES] = bytes[i];
		}
	}
}

/* Copies out what lies from *position on, up to a buffer. */
static size_t
copy_out(const struct console *c, uint64_t position, uint8_t *to)
{
	size_t n = 0;

	while (n < COPY_BYTES && position + n < c->head) {
		to[n] = c->ring[(position + n) % CONSOLE_RING_BYTES];
		n++;
	}
	return n;
}

/* Notes that n bytes from was on were written; the guest may have overtaken us
 * meanwhile. */
static void
advance(uint64_t *position, uint64_t was, size_t n)
{
	if (was + n > *position)
		*position = was + n;
}

static ssize_t
write_end(struct console *c, const uint8_t *bytes, size_t n)
{
	int fd = c->out.fd;
	ssize_t r;

	pthread_mutex_unlock(c->config.lock);
	r = is_client(c) ? send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT)
			 : write(fd, bytes, n);
	r = r < 0 ? -errno : r;
	pthread_mutex_lock(c->config.lock);
	return r;
}

static void
send_output(struct console *c)
{
	uint8_t bytes[COPY_BYTES];

	c->blocked = false;
	while (c->out.fd >= 0 && c->sent < c->head) {
		uint64_t was = c->sent;
		ssize_t n = write_end(c, bytes, copy_out(c, was, bytes));

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN) {
			c->blocked = true;
			if (!c->stalled && !loop_timer_is_set(&c->patience))
				loop_timer_set(&c->patience,
				    loop_now_ns(c->config.loop) +
					c->config.patience_ns);
			return;
		}
		if (n <= 0) {
			drop_client(c);
			return;
		}
		advance(&c->sent, was, (size_t)n);
		c->stalled = false;
		loop_timer_unset(&c->patience);
	}
}

static void
write_log(struct console *c)
{
	uint8_t bytes[COPY_BYTES];

	while (c->log_fd >= 0 && c->logged < c->head) {
		uint64_t was = c->logged;
		size_t want = copy_out(c, was, bytes);
		ssize_t n;

		pthread_mutex_unlock(c->config.lock);
		n = write(c->log_fd, bytes, want);
		if (n < 0 && errno != EINTR)
			log_warn("%s: %s; the console log ends here",
			    c->config.log, strerror(errno));
		else if (n < 0)
			n = 0;
		pthread_mutex_lock(c->config.lock);
		if (n < 0) {
			close(c->log_fd);
			c->log_fd = -1;
			return;
		}
		advance(&c->logged, was, (size_t)n);
	}
}

static void
work(struct console *c)
{
	unsigned int had = c->input_count;

	c->work_asked = false;
	read_input(c);
	if (c->input_count > had)
		c->config.input(c->config.arg);
	send_output(c);
	write_log(c);
	if (c->held && console_room(c))
		c->config.drained(c->config.arg);
	wait_for_client(c);
}

void
console_work(struct console *c)
{
	pthread_mutex_lock(c->config.lock);
	work(c);
	pthread_mutex_unlock(c->config.lock);
}

static void
out_ready(void *arg, unsigned int events)
{
	(void)events;
	console_work(arg);
}

static void
patience_ends(void *arg)
{
	struct console *c = arg;

	pthread_mutex_lock(c->config.lock);
	c->stalled = true;
	if (c->held && console_room(c))
		c->config.drained(c->config.arg);
	pthread_mutex_unlock(c->config.lock);
}

static void
client_comes(void *arg, unsigned int events)
{
	struct console *c = arg;
	int fd =
	    accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	pthread_mutex_lock(c->config.lock);
	if (c->in.fd >= 0)
		drop_client(c);
	c->in_eof = false;
	if (end_open(c, &c->in, fd, out_ready, NULL) < 0) {
		end_close(&c->in);
	} else {
		c->out = (struct end){ .fd = fd };
		loop_watch_events(c->listen_watch, 0);
		work(c);
	}
	pthread_mutex_unlock(c->config.lock);
}

/* ---- opening and closing ---- */

static int
open_socket(struct console *c, const char *path, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(err, -ENAMETOOLONG,
		    "%s: a socket's path has at most %zu bytes; use a shorter "
		    "one",
		    path, sizeof(at.sun_path) - 1);
	strcpy(at.sun_path, path);
	/* A socket left behind is in the way; any other file is not ours. */
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, -errno, NULL, "%s", path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&at, sizeof(at));
	if (r < 0)
		r = -errno;
	umask(mask);
	if (r < 0 || listen(fd, 8) < 0) {
		close(fd);
		return err_sys(err, r < 0 ? r : -EIO, "use another path",
		    "%s: cannot listen", path);
	}
	c->listen_fd = fd; /* from now on the path is ours to remove */
	c->listen_watch = loop_watch_new(
	    c->config.loop, c->listen_fd, LOOP_READ, client_comes, c, err);
	return c->listen_watch != NULL ? 0 : -ENOMEM;
}

static int
open_anew(int fd, int flags)
{
	char path[32];
	struct stat st;
	int anew = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		anew = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return anew >= 0 ? anew : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Keys reach the guest one by one, Ctrl-C too. */
static void
make_raw(struct console *c)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &c->tty) < 0)
		return;
	raw = c->tty;
	raw.c_iflag &= (tcflag_t) ~(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
	raw.c_lflag &= (tcflag_t) ~(ECHO | ICANON | IEXTEN | ISIG);
	c->tty_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static int
open_stdio(struct console *c, struct err *err)
{
	int in = open_anew(STDIN_FILENO, O_RDONLY);
	int out = open_anew(STDOUT_FILENO, O_WRONLY);

	if (in >= 0 && end_open(c, &c->in, in, out_ready, err) < 0)
		return -ENOMEM;
	if (out >= 0 && end_open(c, &c->out, out, out_ready, err) < 0)
		return -ENOMEM;
	if (isatty(STDIN_FILENO))
		make_raw(c);
	return 0;
}

static int
console_open(struct console *c, struct err *err)
{
	const char *log = c->config.log;
	int r = 0;

	if (c->config.socket != NULL)
		r = open_socket(c, c->config.socket, err);
	else if (c->config.stdio)
		r = open_stdio(c, err);
	if (r < 0 || log == NULL)
		return r;
	c->log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (c->log_fd < 0)
		return err_sys(err, -errno, "use another path",
		    "%s: cannot open the console log", log);
	return 0;
}

struct console *
console_new(const struct console_config *config, struct err *err)
{
	struct console *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		err_sys(err, -ENOMEM, NULL, "console");
		return NULL;
	}
	c->config = *config;
	c->listen_fd = c->log_fd = c->in.fd = c->out.fd = -1;
	loop_timer_init(&c->patience, config->loop, patience_ends, c);
	if (console_open(c, err) < 0) {
		console_free(c);
		return NULL;
	}
	return c;
}

void
console_free(struct console *c)
{
	if (c == NULL)
		return;
	console_work(c);
	if (c->tty_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &c->tty);
	drop_client(c);
	loop_watch_free(c->listen_watch);
	if (c->listen_fd >= 0) {
		close(c->listen_fd);
		unlink(c->config.socket);
	}
	if (c->log_fd >= 0)
		close(c->log_fd);
	free(c);
}

/* ---- as a value ---- */

static void
archive_input(struct console *c, struct archive *a)
{
	uint8_t bytes[CONSOLE_INPUT_BYTES];
	unsigned int n = c != NULL ? c->input_count : 0;

	for (unsigned int i = 0; i < n; i++)
		bytes[i] = c->input[(c->input_head + i) % CONSOLE_INPUT_BYTES];
	archive_uint(a, &n, CONSOLE_INPUT_BYTES, "input");
	archive_bytes(a, bytes, n);
	if (!a->loads || c == NULL)
		return;
	memcpy(c->input, bytes, n);
	c->input_head = 0;
	c->input_count = n;
}

/* The log has them already. */
static void
archive_output(struct console *c, struct archive *a)
{
	unsigned int n = c != NULL ? (unsigned int)(c->head - c->sent) : 0;

	archive_uint(a, &n, CONSOLE_RING_BYTES, "output");
	for (unsigned int i = 0; i < n; i++) {
		uint8_t byte = 0;

		if (!a->loads)
			byte = c->ring[(c->sent + i) % CONSOLE_RING_BYTES];
		archive_u8(a, &byte);
		if (a->loads && c != NULL)
			c->ring[i] = byte;
	}
	if (!a->loads || c == NULL)
		return;
	c->sent = 0;
	c->head = c->logged = n;
	ask_work(c);
}

void
console_archive(struct console *c, struct archive *a)
{
	archive_input(c, a);
	archive_output(c, a);
}
