#include "lab/command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "lab/rundir.h"
#include "lab/schema.h"

#define ESCAPE 0x1d /* Ctrl-] */

static volatile sig_atomic_t interrupted;

static void
on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool
write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR && !interrupted)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* From the terminal to the guest.  False: the user leaves. */
static bool
take_input(int fd)
{
	char bytes[512];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
	const char *escape;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	escape = memchr(bytes, ESCAPE, (size_t)n);
	if (escape != NULL)
		n = escape - bytes;
	return write_all(fd, bytes, (size_t)n) && escape == NULL;
}

/* From the guest to the terminal.  False: it has gone. */
static bool
take_output(int fd)
{
	char bytes[4096];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	if (n <= 0)
		return n < 0 && errno == EINTR;
	return write_all(STDOUT_FILENO, bytes, (size_t)n);
}

static void
talk(int fd)
{
	struct pollfd wait[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN } };

	while (!interrupted) {
		if (poll(wait, 2, -1) < 0 && errno != EINTR)
			return;
		if (interrupted || (wait[0].revents != 0 && !take_output(fd)))
			return;
		/* After the end of a file or pipe, output goes on. */
		if (wait[1].revents != 0 && !take_input(fd)) {
			if (isatty(STDIN_FILENO))
				return;
			wait[1].fd = -1;
		}
		wait[0].revents = wait[1].revents = 0;
	}
}

static int
connect_console(const char *lab, const char *vm, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char path[RUNDIR_BYTES], name[64];
	int fd;

	if (!schema_is_name(vm))
		return err_set(err, -EINVAL, "\"%.40s\" is no VM's name", vm);
	snprintf(name, sizeof(name), "%s.con", vm);
	if (rundir_find(lab, name, path, err) < 0)
		return -ENOENT;
	snprintf(to.sun_path, sizeof(to.sun_path), "%.107s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	err_set(err, -errno,
	    "VM \"%s\" of lab \"%s\" has no console (%s); \"lanyard show %s "
	    "vms\" lists those that run",
	    vm, lab, strerror(errno), lab);
	if (fd >= 0)
		close(fd);
	return -ENOENT;
}

static int
run_console(struct call *call)
{
	const struct sigaction act = { .sa_handler = on_signal };
	struct termios before, raw;
	bool tty = tcgetattr(STDIN_FILENO, &before) == 0;
	int fd = connect_console(
	    call->options.args[0], call->options.args[1], &call->err);

	if (fd < 0)
		return 2;
	fprintf(call->notes, "console of %s; Ctrl-] leaves it\n",
	    call->options.args[1]);
	fflush(call->out);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	if (tty) {
		raw = before;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	} else {
		sigaction(SIGINT, &act, NULL);
	}
	talk(fd);
	if (tty)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	close(fd);
	fprintf(call->notes, "\n");
	return 0;
}

const struct command command_console = {
	.name = "console",
	.arguments = "LAB VM",
	.summary = "the serial console of a VM",
	.help = "Joins the terminal to the serial console of a VM of a "
		"running lab.  Ctrl-] leaves\nit, the VM goes on.  One at a "
		"time.",
	.min_args = 2,
	.max_args = 2,
	.run = run_console,
};
