/*
 * What a confined process can still do: each try in a process of its own, which
 * enters the sandbox and makes one system call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/porter.h"
#include "vmm/sandbox.h"

#define WORKS  0
#define ENDS   1  /* the process: EXIT_FAILURE, with a sentence */
#define DENIED 77 /* fails with EACCES or EPERM */
#define KILLED (1000 + SIGSYS)
#define OTHER  78 /* fails otherwise */

#define PAGE 4096

static char dir[64];
static int null_fd; /* /dev/null, opened before */

static int
result(long r)
{
	if (r >= 0)
		return WORKS;
	return errno == EACCES || errno == EPERM ? DENIED : OTHER;
}

/* ---- tries ---- */

static int
try_read(void)
{
	char byte;

	return result(read(null_fd, &byte, 1));
}

static int
try_open(void)
{
	return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int
try_open_own(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/new", dir);
	return result(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static int
try_unlink(void)
{
	return result(unlink("/nonexistent"));
}

static int
try_exec(void)
{
	char *argv[] = { NULL };

	return result(syscall(SYS_execve, "/bin/true", argv, argv));
}

static int
try_fork(void)
{
	return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int
try_vfork(void)
{
	return result(
	    syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
}

static int
try_unix_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int
try_tcp_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int
try_raw_socket(void)
{
	return result(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int
try_connect(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX,
		.sun_path = "/nonexistent" };

	return result(connect(null_fd, (struct sockaddr *)&at, sizeof(at)));
}

static int
try_ptrace(void)
{
	return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int
try_peek(void)
{
	char byte;
	struct iovec iov = { &byte, 1 };

	return result(syscall(
	    SYS_process_vm_readv, getppid(), &iov, 1UL, &iov, 1UL, 0UL));
}

static int
try_kill_parent(void)
{
	return result(syscall(SYS_kill, getppid(), 0));
}

static int
try_map(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(p == MAP_FAILED ? -1 : 0);
}

static int
try_map_code(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(p == MAP_FAILED ? -1 : 0);
}

static int
try_make_code(void)
{
	static char page[2 * PAGE];
	char *at = page + PAGE - (uintptr_t)page % PAGE;

	return result(mprotect(at, PAGE, PROT_READ | PROT_EXEC));
}

static int
try_terminal(void)
{
	char byte = 'x';

	return result(ioctl(null_fd, TIOCSTI, &byte));
}

/* A request of KVM's gets as far as the device, which knows none. */
static int
try_kvm(void)
{
	return ioctl(null_fd, KVM_CHECK_EXTENSION, 0) < 0 && errno == ENOTTY
	    ? WORKS
	    : OTHER;
}

static int
try_uring(void)
{
	return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int
try_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int
try_namespace(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int
try_limits(void)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	return result(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &none, NULL));
}

static int
try_dumpable(void)
{
	return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int
try_old_calls(void)
{
	long r;

	/* As a 32-bit program: another table of numbers. */
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
	errno = r < 0 ? (int)-r : 0;
	return result(r);
}

static int
try_x32_calls(void)
{
	return result(syscall(0x40000000 | SYS_getpid));
}

static void *
do_nothing(void *arg)
{
	return arg;
}

static int
try_thread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, do_nothing, NULL);

	if (r == 0)
		pthread_join(thread, NULL);
	errno = r;
	return result(r == 0 ? 0 : -1);
}

/* ---- the table ---- */

static const struct {
	const char *what;
	int (*try)(void);
	int end[SANDBOX_KINDS]; /* LOOP, CPU, DISK, FILES, PORTER */
} tries[] = {
	{ "read", try_read, { WORKS, WORKS, WORKS, WORKS, WORKS } },
	{ "open a file of others", try_open,
	    { DENIED, DENIED, DENIED, DENIED, DENIED } },
	{ "make a file in its place", try_open_own,
	    { DENIED, DENIED, DENIED, WORKS, DENIED } },
	{ "unlink", try_unlink, { DENIED, DENIED, DENIED, OTHER, OTHER } },
	{ "execve", try_exec, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "fork", try_fork, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "vfork", try_vfork, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "a Unix socket", try_unix_socket, { ENDS, ENDS, ENDS, ENDS, WORKS } },
	{ "a TCP socket", try_tcp_socket, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "a raw socket", try_raw_socket, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "connect", try_connect, { ENDS, ENDS, ENDS, ENDS, OTHER } },
	{ "ptrace", try_ptrace, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "process_vm_readv", try_peek, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "kill its parent", try_kill_parent,
	    { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "memory", try_map, { WORKS, WORKS, WORKS, WORKS, WORKS } },
	{ "memory to execute", try_map_code, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "make memory executable", try_make_code,
	    { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "type on its terminal", try_terminal,
	    { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "ask KVM", try_kvm, { WORKS, WORKS, ENDS, ENDS, ENDS } },
	{ "io_uring", try_uring, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "bpf", try_bpf, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "a namespace", try_namespace, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "set limits", try_limits, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "be dumpable", try_dumpable, { ENDS, ENDS, ENDS, ENDS, ENDS } },
	{ "32-bit calls", try_old_calls,
	    { KILLED, KILLED, KILLED, KILLED, KILLED } },
	{ "x32 calls", try_x32_calls,
	    { KILLED, KILLED, KILLED, KILLED, KILLED } },
	{ "a thread", try_thread, { WORKS, ENDS, ENDS, WORKS, ENDS } },
};

static struct sandbox *
make(void)
{
	struct err err = { "" };
	/* All is given up: what is tried needs nothing of a sanitizer's. */
	struct sandbox *sandbox = sandbox_new(false, &err);

	assert_string_equal(err.text, "");
	return sandbox;
}

static void
enter(const struct sandbox *sandbox, enum sandbox_kind kind)
{
	const struct sandbox_place place = { dir, true };
	struct err err = { "" };

	if (sandbox_limit(sandbox, UINT64_C(1) << 30, &err) < 0)
		_exit(OTHER);
	if (kind == SANDBOX_CPU)
		sandbox_enter(sandbox, SANDBOX_LOOP, NULL, 0);
	sandbox_enter(sandbox, kind, &place, kind == SANDBOX_FILES ? 1 : 0);
}

/* Its exit status; what it said is in text. */
static int
run(const struct sandbox *sandbox, enum sandbox_kind kind, int (*try)(void),
    char *text, size_t len)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[1]);
		enter(sandbox, kind);
		_exit(try());
	}
	close(fds[1]);
	for (size_t at = 0; at < len - 1; at += (size_t)n) {
		n = read(fds[0], text + at, len - 1 - at);
		text[at + (n > 0 ? (size_t)n : 0)] = '\0';
		if (n <= 0)
			break;
	}
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		return 1000 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void
each_kind_of_thread_can_do_what_it_needs_and_nothing_else(void **state)
{
	struct sandbox *sandbox = make();
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		for (unsigned int k = 0; k < SANDBOX_KINDS; k++) {
			int end = run(sandbox, (enum sandbox_kind)k,
			    tries[i].try, text, sizeof(text));
			bool said =
			    strstr(text, "sandbox: system call ") != NULL;

			if (end != tries[i].end[k] || said != (end == ENDS))
				fail_msg("%s as kind %u: %d, not %d; %s",
				    tries[i].what, k, end, tries[i].end[k],
				    text);
		}
	sandbox_free(sandbox);
}

/* ---- the process ---- */

static void
a_process_is_not_dumped_and_maps_no_more_than_it_may(void **state)
{
	struct sandbox *sandbox = make();
	struct err err = { "" };
	struct rlimit core, files;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		uint64_t room = UINT64_C(64) << 20;
		void *p;

		if (sandbox_limit(sandbox, room, &err) < 0 ||
		    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 ||
		    getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0 ||
		    getrlimit(RLIMIT_NOFILE, &files) < 0 ||
		    files.rlim_max > 1024)
			_exit(1);
		p = mmap(NULL, 2 * room, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		/* A sanitizer's own memory has no limit. */
		_exit((p == MAP_FAILED) == !sandbox_sanitized ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	sandbox_free(sandbox);
}

static void
what_is_in_force_is_seen_from_outside(void **state)
{
	char line[256], self[128];
	struct err err = { "" };

	(void)state;
	assert_int_equal(sandbox_probe(line, sizeof(line), &err), 0);
	assert_non_null(
	    strstr(line, "seccomp, no new privileges, no capabilities"));
	assert_string_equal(
	    sandbox_seen(self, sizeof(self), (int)getpid()), "none");
}

/* ---- the porter ---- */

static int
listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void
a_porter_connects_and_removes_what_it_was_told_only(void **state)
{
	struct sandbox *sandbox = sandbox_new(sandbox_sanitized, NULL);
	char theirs[96], gone[96], ours[96], taken[96];
	struct porter_errands errands = { .connect = { theirs, gone },
		.nconnect = 2,
		.remove = { ours, taken },
		.nremove = 2 };
	struct err err = { "" };
	struct porter *porter;
	int listener, fds[2], fd;
	char byte;

	(void)state;
	snprintf(theirs, sizeof(theirs), "%s/theirs", dir);
	snprintf(gone, sizeof(gone), "%s/gone", dir);
	snprintf(ours, sizeof(ours), "%s/ours", dir);
	snprintf(taken, sizeof(taken), "%s/taken", dir);
	listener = listen_at(theirs);
	fds[0] = listen_at(ours);
	fds[1] = listen_at(taken);
	porter = porter_new(&errands, sandbox, &err);
	assert_string_equal(err.text, "");
	fd = porter_connect(porter, theirs);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(read(fd, &byte, 1), 1);
	close(fd);
	assert_int_equal(porter_connect(porter, gone), -ENOENT);
	assert_int_equal(porter_connect(porter, "/run/x"), -EINVAL);
	/* Somebody else's by now. */
	close(fds[1]);
	assert_int_equal(rename(taken, gone), 0);
	fds[1] = listen_at(taken);
	porter_free(porter);
	assert_int_equal(access(ours, F_OK), -1);
	assert_int_equal(access(taken, F_OK), 0);
	assert_int_equal(access(theirs, F_OK), 0);
	close(fds[0]);
	close(fds[1]);
	close(listener);
	sandbox_free(sandbox);
	while (waitpid(-1, NULL, 0) > 0)
		continue;
}

static int
set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/sandbox.XXXXXX");
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return mkdtemp(dir) != NULL && null_fd >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "new", "theirs", "taken", "gone" };
	char path[96];

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	close(null_fd);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    each_kind_of_thread_can_do_what_it_needs_and_nothing_else),
		cmocka_unit_test(
		    a_process_is_not_dumped_and_maps_no_more_than_it_may),
		cmocka_unit_test(what_is_in_force_is_seen_from_outside),
		cmocka_unit_test(
		    a_porter_connects_and_removes_what_it_was_told_only),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
