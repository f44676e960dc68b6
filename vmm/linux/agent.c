/*
 *     IDLE --line--> RUNNING --exit--> DRAINING --no output left--> IDLE
 *
 * A command is one line for a login shell, in a process group of its own and
 * without input.  It has ended when the shell has: what processes left in the
 * background write later is read, so that they can go on, and goes nowhere.
 * What the host sends while a command runs, other than \x03, is lost.
 *
 * An interrupt is SIGINT, and SIGKILL when the command still runs after
 * KILL_MS or when it is sent again.
 *
 * Nothing here blocks but poll(): the line may be slow and the command fast,
 * and an interrupt must get through all the same.  Output is therefore taken
 * only when what was taken before has gone out.
 *
 * Rejected: a terminal for the command.  Programs would fold and colour what
 * others parse; people have the console for that.
 */
#include "vmm/linux/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define RS               0x1e
#define INTERRUPT        0x03
#define KILL_MS          1000
#define COMMAND_BYTES    (AGENT_COMMAND_MAX + 1)
#define OUT_BYTES        4096
#define LEFT_MAX         32  /* background outputs; one more ends the oldest */
#define STATUS_INTERRUPT 130 /* as of a shell: 128 + SIGINT */
#define STATUS_CANNOT    126

enum state { IDLE, RUNNING, DRAINING };

struct agent {
	enum state state;
	int tty, children; /* a signalfd that tells of SIGCHLD */
	char command[COMMAND_BYTES];
	size_t command_len;  /* COMMAND_BYTES: too long */
	char out[OUT_BYTES]; /* for the host: out[out_at] to out[out_len] */
	size_t out_at, out_len;
	pid_t child;
	int output;   /* its standard output and error; -1: none */
	size_t drain; /* DRAINING: so many bytes of it are still to come */
	int status;
	bool interrupted;
	uint64_t kill_ms;   /* when to kill it; 0: not */
	int left[LEFT_MAX]; /* outputs of commands that have ended */
	unsigned int nleft;
};

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- to the host ---- */

static bool
is_flushed(const struct agent *a)
{
	return a->out_at == a->out_len;
}

/* All before must have gone out. */
static void
say(struct agent *a, const char *text)
{
	size_t n = strlen(text);

	memcpy(a->out, text, n);
	a->out_at = 0;
	a->out_len = n;
}

static void
flush(struct agent *a)
{
	ssize_t n = write(a->tty, a->out + a->out_at, a->out_len - a->out_at);

	if (n > 0)
		a->out_at += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		exit(EXIT_FAILURE); /* init starts another one */
}

/* ---- commands ---- */

static void
be_command(const struct agent *a, const int output[2])
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, STDIN_FILENO);
	dup2(output[1], STDOUT_FILENO);
	dup2(output[1], STDERR_FILENO);
	/* The minus makes it read /etc/profile. */
	execl("/bin/sh", "-sh", "-c", a->command, (char *)NULL);
	dprintf(STDERR_FILENO, "/bin/sh: %s\n", strerror(errno));
	_exit(STATUS_CANNOT);
}

/* Ends a command that was never run. */
static void
refuse(struct agent *a, const char *why)
{
	char text[128];

	snprintf(text, sizeof(text), "lanyard-agent: %s\n", why);
	say(a, text);
	a->status = STATUS_CANNOT;
	a->drain = 0;
	a->state = DRAINING;
}

static void
run(struct agent *a)
{
	int output[2];

	if (a->command_len == COMMAND_BYTES) {
		refuse(a, "this command is too long");
		return;
	}
	a->command[a->command_len] = '\0';
	if (pipe2(output, O_CLOEXEC) < 0) {
		refuse(a, strerror(errno));
		return;
	}
	a->child = fork();
	if (a->child == 0)
		be_command(a, output);
	close(output[1]);
	if (a->child < 0) {
		close(output[0]);
		refuse(a, strerror(errno));
		return;
	}
	/* Here too: it may be interrupted before it has come that far. */
	setpgid(a->child, a->child);
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	a->output = output[0];
	a->interrupted = false;
	a->kill_ms = 0;
	a->state = RUNNING;
}

static void
interrupt(struct agent *a)
{
	if (a->state == IDLE) {
		a->command_len = 0;
	} else if (a->state == RUNNING) {
		kill(-a->child, a->interrupted ? SIGKILL : SIGINT);
		a->kill_ms = a->interrupted ? 0 : now_ms() + KILL_MS;
		a->interrupted = true;
	}
}

/* Somebody in the background may still write to it. */
static void
leave_output(struct agent *a)
{
	if (a->output < 0)
		return;
	if (a->nleft == LEFT_MAX) {
		close(a->left[0]);
		a->nleft--;
		memmove(a->left, a->left + 1, a->nleft * sizeof(a->left[0]));
	}
	a->left[a->nleft++] = a->output;
	a->output = -1;
}

static void
finish(struct agent *a)
{
	char text[16];

	leave_output(a);
	snprintf(text, sizeof(text), "%c%d\n", RS, a->status);
	say(a, text);
	a->command_len = 0;
	a->state = IDLE;
}

/* ---- what happens ---- */

static void
child_ended(struct agent *a)
{
	struct signalfd_siginfo info;
	int status, bytes = 0;

	/* Several may be one, so that this only says "look". */
	(void)!read(a->children, &info, sizeof(info));
	if (a->state != RUNNING || waitpid(a->child, &status, WNOHANG) <= 0)
		return;
	a->status = a->interrupted ? STATUS_INTERRUPT
	    : WIFSIGNALED(status)  ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
	/* All that it wrote is in the pipe now; there is always more of "yes &". */
	ioctl(a->output, FIONREAD, &bytes);
	a->drain = (size_t)bytes;
	a->kill_ms = 0;
	a->state = DRAINING;
}

static void
take_output(struct agent *a)
{
	size_t want = OUT_BYTES;
	ssize_t n;

	if (a->state == DRAINING && a->drain < want)
		want = a->drain;
	n = read(a->output, a->out, want);
	if (n == 0 && a->state == RUNNING) {
		/* It has closed them all and goes on. */
		close(a->output);
		a->output = -1;
	}
	if (n <= 0) {
		a->drain = 0;
		return;
	}
	if (a->state == DRAINING)
		a->drain -= (size_t)n;
	a->out_at = a->out_len = 0;
	for (ssize_t i = 0; i < n; i++)
		if (a->out[i] != RS)
			a->out[a->out_len++] = a->out[i];
}

static void
take_byte(struct agent *a, char c)
{
	if (c == INTERRUPT)
		interrupt(a);
	else if (a->state == IDLE && c == '\n')
		run(a);
	else if (a->state == IDLE && c != '\0' &&
	    a->command_len < COMMAND_BYTES)
		a->command[a->command_len++] = c;
}

static void
take_input(struct agent *a)
{
	char bytes[256];
	ssize_t n = read(a->tty, bytes, sizeof(bytes));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		exit(EXIT_FAILURE);
	for (ssize_t i = 0; i < n; i++)
		take_byte(a, bytes[i]);
}

static void
discard_left(struct agent *a, unsigned int i)
{
	char bytes[1024];
	ssize_t n = read(a->left[i], bytes, sizeof(bytes));

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	close(a->left[i]);
	a->nleft--;
	memmove(
	    a->left + i, a->left + i + 1, (a->nleft - i) * sizeof(a->left[0]));
}

static int
wait_ms(struct agent *a)
{
	uint64_t now;

	if (a->kill_ms == 0)
		return -1;
	now = now_ms();
	if (now < a->kill_ms)
		return (int)(a->kill_ms - now);
	kill(-a->child, SIGKILL);
	a->kill_ms = 0;
	return -1;
}

static void
turn(struct agent *a)
{
	enum { IN, CHILDREN, OUTPUT, LEFT };
	struct pollfd fds[LEFT + LEFT_MAX] = {
		[IN] = { .fd = a->tty, .events = POLLIN },
		[CHILDREN] = { .fd = a->children, .events = POLLIN },
		[OUTPUT] = { .fd = -1, .events = POLLIN },
	};
	unsigned int nleft = a->nleft;

	/* Commands wait until the answer to the last one is on its way. */
	if (!is_flushed(a))
		fds[IN].events = a->state == IDLE ? POLLOUT : POLLIN | POLLOUT;
	else if (a->state != IDLE)
		fds[OUTPUT].fd = a->output;
	for (unsigned int i = 0; i < nleft; i++)
		fds[LEFT + i] = (struct pollfd){ a->left[i], POLLIN, 0 };
	if (poll(fds, LEFT + nleft, wait_ms(a)) < 0)
		return;
	/* Backwards: each may remove its own. */
	for (unsigned int i = nleft; i-- > 0;)
		if (fds[LEFT + i].revents != 0)
			discard_left(a, i);
	if (fds[OUTPUT].revents != 0)
		take_output(a);
	if (fds[CHILDREN].revents != 0)
		child_ended(a);
	if (!is_flushed(a))
		flush(a);
	if (a->state == DRAINING && a->drain == 0 && is_flushed(a))
		finish(a);
	if (fds[IN].revents & ~POLLOUT)
		take_input(a);
}

/* ---- start ---- */

/* The serial port, with every byte as it is; or -1. */
static int
open_tty(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios t;

	if (fd < 0)
		return -1;
	if (tcgetattr(fd, &t) < 0) { /* a port that is not there says EIO */
		close(fd);
		return -1;
	}
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	t.c_cflag |= CLOCAL | CREAD;
	tcsetattr(fd, TCSANOW, &t);
	return fd;
}

int
agent_main(const char *path)
{
	static struct agent a = { .output = -1 };
	sigset_t chld;

	a.tty = open_tty(path);
	if (a.tty < 0) {
		fprintf(stderr,
		    "lanyard-agent: %s: %s; nobody can run "
		    "commands from outside\n",
		    path, strerror(errno));
		for (;;)
			pause(); /* else init would start another one */
	}
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	a.children = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a.children < 0) {
		perror("lanyard-agent: signalfd");
		return EXIT_FAILURE;
	}
	say(&a, "\x1eready\n");
	for (;;)
		turn(&a);
}
