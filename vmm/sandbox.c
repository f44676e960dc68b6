/*
 * Filters by kind, from one table of system calls.
 *
 * They are compiled by libseccomp once, before there are threads, and each
 * thread loads its own when it begins: a thread made by another one inherits
 * that one's and can only add.  So the loop's filter has what its children's
 * need.  Threads share their memory, so that a guest which has taken over one
 * of them may in time have another one act for it; the narrow filters make that
 * harder, the one that all have in common bounds it.
 *
 * clone3() hides its flags behind a pointer: it fails as on a kernel without,
 * and the library takes clone(), of which only threads pass.
 *
 * Landlock holds where a filter cannot look, at names: a snapshot's thread may
 * work in the directories of its image's chain and nowhere else.  A kernel
 * without it is accepted, since only that kind may name files at all.
 */
#include "vmm/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
const bool sandbox_sanitized = true;
#else
const bool sandbox_sanitized = false;
#endif

#define L       (1u << SANDBOX_LOOP)
#define C       (1u << SANDBOX_CPU)
#define D       (1u << SANDBOX_DISK)
#define F       (1u << SANDBOX_FILES)
#define P       (1u << SANDBOX_PORTER)
#define S       (1u << SANDBOX_KINDS) /* any kind with sanitizers */
#define THREADS (L | C | D | F)
#define ALL     (THREADS | P)

#define KVM_IOCTLS   0xae00
#define IOCTL_TYPE   0xff00
#define OPEN_FILES   1024
#define STATUS_BYTES 4096
#define ROOM_BYTES   (UINT64_C(64) << 20)

/* Landlock's, which older headers do not have all of. */
#define ACCESS_EXECUTE     (UINT64_C(1) << 0)
#define ACCESS_WRITE_FILE  (UINT64_C(1) << 1)
#define ACCESS_READ_FILE   (UINT64_C(1) << 2)
#define ACCESS_READ_DIR    (UINT64_C(1) << 3)
#define ACCESS_REMOVE_FILE (UINT64_C(1) << 5)
#define ACCESS_MAKE_REG    (UINT64_C(1) << 8)
#define ACCESS_TRUNCATE    (UINT64_C(1) << 14)
#define ACCESS_ABI_1       ((UINT64_C(1) << 13) - 1)
#define ACCESS_REFER       (UINT64_C(1) << 13)
#define ACCESS_READ        (ACCESS_READ_FILE | ACCESS_READ_DIR)
#define ACCESS_WRITE                                                \
	(ACCESS_WRITE_FILE | ACCESS_REMOVE_FILE | ACCESS_MAKE_REG | \
	    ACCESS_TRUNCATE)

struct filter {
	struct sock_filter *code;
	size_t bytes;
};

struct sandbox {
	struct filter filter[SANDBOX_KINDS];
	bool sanitizers;
	int landlock; /* its version, 0: none */
};

/* ---- system calls ---- */

struct rule {
	int call;
	unsigned int kinds;
	/* Only if this argument has this value in these bits; mask 0: always. */
	unsigned int argument;
	uint64_t mask, value;
};

#define ANY(name, kinds)                       \
	{                                      \
		SCMP_SYS(name), kinds, 0, 0, 0 \
	}
#define IF(name, kinds, argument, mask, value)               \
	{                                                    \
		SCMP_SYS(name), kinds, argument, mask, value \
	}
#define WHOLE UINT64_MAX
#define WORD  UINT64_C(0xffffffff)

static const struct rule rules[] = {
	/* Descriptors that are open. */
	ANY(read, ALL),
	ANY(write, ALL),
	ANY(readv, THREADS),
	ANY(writev, THREADS),
	ANY(close, ALL),
	ANY(pread64, THREADS),
	ANY(preadv, THREADS),
	ANY(preadv2, THREADS),
	ANY(pwrite64, L | D | F),
	ANY(pwritev, L | D | F),
	ANY(pwritev2, L | D | F),
	ANY(lseek, THREADS),
	ANY(fcntl, THREADS),
	ANY(fsync, L | D | F),
	ANY(fdatasync, L | D | F),
	ANY(sync_file_range, L | D | F),
	ANY(fallocate, THREADS), /* memory given back, too */
	ANY(ftruncate, L | D | F),
	IF(newfstatat, THREADS, 3, WORD, AT_EMPTY_PATH),
	ANY(fstat, THREADS),
	IF(ioctl, L | C, 1, IOCTL_TYPE, KVM_IOCTLS),
	IF(ioctl, L, 1, WORD, TCGETS),
	IF(ioctl, L, 1, WORD, TCSETS),
	IF(ioctl, L, 1, WORD, TCSETSW),
	/* Events. */
	ANY(poll, ALL),
	ANY(ppoll, THREADS),
	ANY(epoll_create1, L),
	ANY(epoll_ctl, L | C),
	ANY(epoll_wait, L),
	ANY(epoll_pwait, L),
	ANY(epoll_pwait2, L),
	ANY(eventfd2, L | C),
	ANY(timerfd_settime, L | C),
	/* Sockets that are open, and clients of those that listen. */
	ANY(sendmsg, L | C | F | P),
	ANY(recvmsg, L | P),
	ANY(sendto, L | C | F | P),
	ANY(recvfrom, L | C | F | P),
	ANY(accept4, L | F),
	ANY(shutdown, L | C),
	/* Memory, never to execute. */
	IF(mmap, ALL, 2, PROT_EXEC, 0),
	IF(mprotect, ALL, 2, PROT_EXEC, 0),
	ANY(munmap, ALL),
	ANY(mremap, THREADS),
	ANY(madvise, ALL),
	ANY(brk, ALL),
	ANY(memfd_create, L), /* a kernel from a disk, unpacked */
	/* Threads and time. */
	IF(clone, L | F, 0, CLONE_THREAD, CLONE_THREAD),
	ANY(set_robust_list, THREADS),
	ANY(rseq, THREADS),
	ANY(futex, ALL),
	ANY(sched_yield, THREADS),
	ANY(sched_getaffinity, THREADS),
	ANY(gettid, ALL),
	ANY(getpid, ALL),
	ANY(exit, ALL),
	ANY(exit_group, ALL),
	ANY(restart_syscall, ALL),
	ANY(clock_gettime, ALL),
	ANY(clock_nanosleep, THREADS),
	ANY(nanosleep, THREADS),
	ANY(getrandom, THREADS),
	/* Signals; see also own_process(). */
	ANY(rt_sigreturn, ALL),
	ANY(rt_sigprocmask, ALL),
	ANY(rt_sigaction, L | F), /* of a first thread */
	ANY(sigaltstack, ALL),
	/* Giving up more. */
	ANY(seccomp, L),
	ANY(landlock_restrict_self, L),
	ANY(capget, L),
	ANY(capset, L),
	/* Files with names. */
	ANY(openat, F),
	ANY(open, F),
	ANY(newfstatat, F),
	ANY(link, F),
	ANY(linkat, F),
	ANY(rename, F),
	ANY(renameat, F),
	ANY(renameat2, F),
	ANY(unlink, F | P),
	ANY(unlinkat, F),
	ANY(chmod, F),
	ANY(fchmod, F),
	ANY(fchmodat, F),
	ANY(utimensat, F),
	ANY(getdents64, F),
	ANY(flock, F),
	ANY(faccessat, F),
	ANY(access, F),
	ANY(newfstatat, P),
	/* Unix sockets. */
	IF(socket, P, 0, WORD, AF_UNIX),
	ANY(connect, P),
	/* What sanitizers do at an error and at the end. */
	ANY(open, S),
	ANY(openat, S),
	ANY(stat, S),
	ANY(getdents, S),
	ANY(readlink, S),
	ANY(clone, S),
	ANY(ptrace, S),
	ANY(wait4, S),
	ANY(prctl, S),
	ANY(getdents64, S),
	ANY(mremap, S),
	ANY(sched_yield, S),
	ANY(rt_sigaction, S),
	ANY(getppid, S),
	ANY(pipe2, S),
	ANY(pipe, S),
	ANY(getrusage, S),
	ANY(prlimit64, S),
	ANY(fstat, S),
	ANY(lseek, S),
	ANY(unlink, S),
	ANY(newfstatat, S),
};

/* These fail for who may not: libraries try them, and can do without. */
static const int names_files[] = {
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(unlink),
	SCMP_SYS(readlink),
	SCMP_SYS(access),
};

static int
add_rule(scmp_filter_ctx ctx, const struct rule *rule)
{
	struct scmp_arg_cmp cmp = { .arg = rule->argument,
		.op = SCMP_CMP_MASKED_EQ,
		.datum_a = rule->mask,
		.datum_b = rule->value };

	return seccomp_rule_add_array(
	    ctx, SCMP_ACT_ALLOW, rule->call, rule->mask != 0 ? 1 : 0, &cmp);
}

/* Signals may be sent within the process only. */
static int
own_process(scmp_filter_ctx ctx, enum sandbox_kind kind)
{
	struct rule own[] = {
		IF(tgkill, ALL, 0, WORD, (uint64_t)getpid()),
		IF(kill, L, 0, WORD, (uint64_t)getpid()),
	};
	int r = add_rule(ctx, &own[0]);

	return r == 0 && own[1].kinds & 1u << kind ? add_rule(ctx, &own[1]) : r;
}

static bool
may(unsigned int kinds, int call)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].call == call && rules[i].mask == 0 &&
		    rules[i].kinds & kinds)
			return true;
	return false;
}

static int
add_rules(scmp_filter_ctx ctx, enum sandbox_kind kind, bool sanitizers)
{
	unsigned int kinds = 1u << kind | (sanitizers ? S : 0);
	int r = own_process(ctx, kind);

	for (size_t i = 0; r == 0 && i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].kinds & kinds &&
		    (rules[i].mask == 0 || !may(kinds, rules[i].call)))
			r = add_rule(ctx, &rules[i]);
	for (size_t i = 0;
	     r == 0 && i < sizeof(names_files) / sizeof(names_files[0]); i++)
		if (names_files[i] == SCMP_SYS(newfstatat) &&
		    !may(kinds, names_files[i]))
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
			    names_files[i], 1,
			    SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0));
		else if (!may(kinds, names_files[i]))
			r = seccomp_rule_add(
			    ctx, SCMP_ACT_ERRNO(EACCES), names_files[i], 0);
	if (r == 0)
		r = seccomp_rule_add(
		    ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

/* libseccomp 2.5 writes programs to descriptors only. */
static int
take_code(scmp_filter_ctx ctx, struct filter *filter)
{
	int fd = memfd_create("filter", MFD_CLOEXEC), r = -errno;
	off_t bytes;

	if (fd < 0)
		return r;
	r = seccomp_export_bpf(ctx, fd);
	bytes = lseek(fd, 0, SEEK_END);
	if (r == 0 && bytes > 0)
		filter->code = malloc((size_t)bytes);
	if (r == 0 && filter->code == NULL)
		r = -ENOMEM;
	if (r == 0 && pread(fd, filter->code, (size_t)bytes, 0) != bytes)
		r = -EIO;
	filter->bytes = (size_t)bytes;
	close(fd);
	return r;
}

static int
compile(struct sandbox *sandbox, enum sandbox_kind kind)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int r;

	if (ctx == NULL)
		return -ENOMEM;
	/* The table is long, and most calls are few of them. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_rules(ctx, kind, sandbox->sanitizers);
	if (r == 0)
		r = take_code(ctx, &sandbox->filter[kind]);
	seccomp_release(ctx);
	return r;
}

struct sandbox *
sandbox_new(bool sanitizers, struct err *err)
{
	struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
	long version;
	int r = sandbox != NULL ? 0 : -ENOMEM;

	if (sandbox != NULL)
		sandbox->sanitizers = sanitizers;
	for (unsigned int k = 0; r == 0 && k < SANDBOX_KINDS; k++)
		r = compile(sandbox, (enum sandbox_kind)k);
	if (r < 0) {
		err_sys(err, r, NULL, "sandbox: its filters");
		sandbox_free(sandbox);
		return NULL;
	}
	version = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	sandbox->landlock = version > 0 ? (int)version : 0;
	return sandbox;
}

void
sandbox_free(struct sandbox *sandbox)
{
	if (sandbox == NULL)
		return;
	for (unsigned int k = 0; k < SANDBOX_KINDS; k++)
		free(sandbox->filter[k].code);
	free(sandbox);
}

/* ---- the process ---- */

static void
say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return; /* nobody listens */
}

/* A signal handler. */
static void
refused(int signal, siginfo_t *info, void *context)
{
	char digits[12];
	unsigned int at = sizeof(digits) - 1;
	unsigned int call = (unsigned int)info->si_syscall;

	(void)signal;
	(void)context;
	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + call % 10);
	while ((call /= 10) != 0);
	say("sandbox: system call ");
	say(digits + at);
	say(" is none that a VM makes; it ends here.  If its guest is not "
	    "hostile, this is a bug; --no-sandbox goes without\n");
	_exit(EXIT_FAILURE);
}

static int
limit(int resource, rlim_t most, const char *what, struct err *err)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
		return err_sys(err, -errno, NULL, "sandbox: %s", what);
	if (now.rlim_max < most)
		most = now.rlim_max;
	now.rlim_cur = now.rlim_max = most;
	if (setrlimit((__rlimit_resource_t)resource, &now) < 0)
		return err_sys(err, -errno, NULL, "sandbox: %s", what);
	return 0;
}

static uint64_t
mapped_bytes(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int
sandbox_limit(
    const struct sandbox *sandbox, uint64_t more_bytes, struct err *err)
{
	struct sigaction action = { .sa_sigaction = refused,
		.sa_flags = SA_SIGINFO };
	uint64_t mapped = mapped_bytes();
	int r = limit(RLIMIT_CORE, 0, "core dumps", err);

	if (r == 0)
		r = limit(RLIMIT_NOFILE, OPEN_FILES, "open files", err);
	/* Without /proc there is no telling what would be too little. */
	if (r == 0 && mapped > 0 && !sandbox_sanitized)
		r = limit(RLIMIT_AS, mapped + more_bytes, "memory", err);
	if (r == 0 && prctl(PR_SET_DUMPABLE, sandbox->sanitizers, 0, 0, 0) < 0)
		r = err_sys(err, -errno, NULL, "sandbox: core dumps");
	sigaction(SIGSYS, &action, NULL);
	return r;
}

/* ---- threads ---- */

static int
drop_capabilities(enum sandbox_kind kind)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];
	/* Root makes snapshots of other people's images, and connects to their
	 * sockets. */
	uint32_t kept = kind == SANDBOX_FILES || kind == SANDBOX_PORTER
	    ? 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER
	    : 0;

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].effective &= kept;
	data[0].permitted &= kept;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){ 0 };
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* As the kernel's struct landlock_ruleset_attr of version 4. */
struct ruleset {
	uint64_t files, network;
};

static int
add_place(int ruleset, uint64_t handled, const struct sandbox_place *place)
{
	struct landlock_path_beneath_attr rule = { .allowed_access =
						       ACCESS_READ };
	int r = 0;

	if (place->writable)
		rule.allowed_access |= ACCESS_WRITE;
	rule.allowed_access &= handled;
	rule.parent_fd =
	    open(place->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return -errno;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		&rule, 0) < 0)
		r = -errno;
	close(rule.parent_fd);
	return r;
}

static int
close_files(const struct sandbox *sandbox, enum sandbox_kind kind,
    const struct sandbox_place *place, unsigned int nplaces)
{
	struct ruleset handled = { .files = ACCESS_ABI_1, .network = 3 };
	size_t bytes =
	    sandbox->landlock >= 4 ? sizeof(handled) : sizeof(handled.files);
	int fd, r = 0;

	if (sandbox->landlock == 0 || sandbox->sanitizers)
		return 0;
	if (sandbox->landlock >= 2)
		handled.files |= ACCESS_REFER;
	if (sandbox->landlock >= 3)
		handled.files |= ACCESS_TRUNCATE;
	if (kind == SANDBOX_PORTER)
		handled.files &= ~ACCESS_REMOVE_FILE;
	fd = (int)syscall(SYS_landlock_create_ruleset, &handled, bytes, 0);
	if (fd < 0)
		return -errno;
	for (unsigned int i = 0; r == 0 && i < nplaces; i++)
		r = add_place(fd, handled.files, &place[i]);
	if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int
load(const struct filter *filter)
{
	sigset_t refusals;
	struct sock_fprog program = {
		.len =
		    (unsigned short)(filter->bytes / sizeof(filter->code[0])),
		.filter = filter->code,
	};

	/* Blocked, it would end the process without a word. */
	sigemptyset(&refusals);
	sigaddset(&refusals, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &refusals, NULL);
	/* Works inside an earlier sandbox, where prctl() does not. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	return 0;
}

void
sandbox_enter(const struct sandbox *sandbox, enum sandbox_kind kind,
    const struct sandbox_place *place, unsigned int nplaces)
{
	int r = 0;

	assert(kind < SANDBOX_KINDS);
	if (sandbox == NULL)
		return;
	/* A CPU's thread has this from the loop's. */
	if (kind != SANDBOX_CPU) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			r = -errno;
		if (r == 0)
			r = close_files(sandbox, kind, place, nplaces);
		if (r == 0)
			r = drop_capabilities(kind);
	}
	if (r == 0)
		r = load(&sandbox->filter[kind]);
	if (r == 0)
		return;
	log_error("sandbox: a thread cannot be confined: %s; use a kernel with "
		  "seccomp, or --no-sandbox",
	    strerror(-r));
	_exit(EXIT_FAILURE);
}

/* ---- what is in force ---- */

/* The number after a word at the beginning of a line; -1: none. */
static long long
status_number(const char *status, const char *word, int base)
{
	const char *at = strstr(status, word);

	return at != NULL ? strtoll(at + strlen(word), NULL, base) : -1;
}

char *
sandbox_seen(char *out, size_t len, int pid)
{
	char path[64], status[STATUS_BYTES];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, status, sizeof(status) - 1);
		close(fd);
	}
	if (n <= 0) {
		snprintf(out, len, "?");
		return out;
	}
	status[n] = '\0';
	if (status_number(status, "\nSeccomp:", 10) != SECCOMP_MODE_FILTER)
		snprintf(out, len, "none");
	else
		snprintf(out, len, "seccomp%s%s",
		    status_number(status, "\nNoNewPrivs:", 10) == 1
			? ", no new privileges"
			: "",
		    status_number(status, "\nCapEff:", 16) == 0
			? ", no capabilities"
			: "");
	return out;
}

/* In a process of its own.  Says so by a byte when it is confined, and ends
 * when it is let go. */
static void
be_confined(const struct sandbox *sandbox, int said, int go)
{
	struct err err = { "" };
	char byte = 0;

	if (sandbox_limit(sandbox, ROOM_BYTES, &err) < 0)
		_exit(EXIT_FAILURE);
	sandbox_enter(sandbox, SANDBOX_LOOP, NULL, 0);
	sandbox_enter(sandbox, SANDBOX_CPU, NULL, 0);
	if (open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0 &&
	    write(said, &byte, 1) == 1 && read(go, &byte, 1) >= 0)
		_exit(EXIT_SUCCESS);
	_exit(EXIT_FAILURE);
}

static int
try_out(const struct sandbox *sandbox, char *out, size_t len)
{
	int pair[2], status = -1;
	char byte;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		be_confined(sandbox, pair[1], pair[1]);
	}
	close(pair[1]);
	if (pid > 0 && read(pair[0], &byte, 1) == 1)
		sandbox_seen(out, len, pid);
	close(pair[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return -ENOTSUP;
	return 0;
}

int
sandbox_probe(char *out, size_t len, struct err *err)
{
	struct sandbox *sandbox = sandbox_new(false, err);
	char seen[128] = "";
	int r;

	if (sandbox == NULL)
		return -ENOMEM;
	r = try_out(sandbox, seen, sizeof(seen));
	if (r < 0)
		err_sys(err, r, "use a kernel with seccomp filters",
		    "a process cannot be confined");
	else if (sandbox->landlock > 0)
		snprintf(out, len, "%s, no files (Landlock %d)", seen,
		    sandbox->landlock);
	else
		snprintf(out, len,
		    "%s; this kernel has no Landlock, which would keep "
		    "snapshots to their directories",
		    seen);
	sandbox_free(sandbox);
	return r;
}
