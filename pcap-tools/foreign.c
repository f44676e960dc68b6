/*
 * editcap's status alone does not tell that a file was cut off: it then ends
 * well and complains.  So what it says is read, after its output has ended; it
 * is a few lines, which a pipe holds.
 */
#include "pcap-tools/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int
spawn(char *path, bool ethernet, int out, int complaints, pid_t *child)
{
	char program[] = "editcap", as[] = "-F", pcapng[] = "pcapng";
	char type[] = "-T", ether[] = "ether", to[] = "-";
	char *const plain[] = { program, as, pcapng, path, to, NULL };
	char *const typed[] = { program, as, pcapng, type, ether, path, to,
		NULL };
	posix_spawn_file_actions_t files;
	int error = posix_spawn_file_actions_init(&files);

	if (error != 0)
		return error;
	error = posix_spawn_file_actions_addopen(
	    &files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(
		    &files, out, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(
		    &files, complaints, STDERR_FILENO);
	if (error == 0)
		error = posix_spawnp(child, program, &files, NULL,
		    ethernet ? typed : plain, environ);
	posix_spawn_file_actions_destroy(&files);
	return error;
}

int
foreign_start(
    struct foreign *f, const char *path, bool ethernet, struct err *err)
{
	int out[2] = { -1, -1 }, said[2] = { -1, -1 }, error = 0;
	char *from = NULL;

	/* A name that begins with "-" is no option. */
	if (asprintf(&from, "%s%s", path[0] == '-' ? "./" : "", path) < 0)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0)
		error = err_sys(err, -errno, NULL, "%s: no pipe", path);
	else if (spawn(from, ethernet, out[1], said[1], &f->child) != 0)
		error = err_set(err, -ENOENT,
		    "%s: neither pcapng nor pcap; install Wireshark's editcap "
		    "(wireshark-common), by which other formats are read",
		    path);
	free(from);
	if (out[1] >= 0)
		close(out[1]);
	if (said[1] >= 0)
		close(said[1]);
	if (error == 0) {
		f->complaints = said[0];
		return out[0];
	}
	if (out[0] >= 0)
		close(out[0]);
	if (said[0] >= 0)
		close(said[0]);
	f->child = 0;
	return error;
}

/* The first line, without the program's name, and what is not printable as
 * '?'. */
static void
read_complaint(int fd, char said[FOREIGN_SAID_BYTES])
{
	static const char name[] = "editcap: ";
	ssize_t n = read(fd, said, FOREIGN_SAID_BYTES - 1);
	size_t skip = sizeof(name) - 1;

	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (strncmp(said, name, skip) == 0)
		memmove(said, said + skip, strlen(said + skip) + 1);
	for (char *at = said; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

int
foreign_end(struct foreign *f, char said[FOREIGN_SAID_BYTES])
{
	int status = 0;

	said[0] = '\0';
	if (f->child == 0)
		return 0;
	read_complaint(f->complaints, said);
	close(f->complaints);
	while (waitpid(f->child, &status, 0) < 0 && errno == EINTR)
		;
	f->child = 0;
	return status == 0 && said[0] == '\0' ? 0 : -EINVAL;
}
