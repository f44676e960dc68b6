/*
 * Whole machines on KVM, with guests of a few instructions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/le.h"
#include "vmm/vm.h"
#include "vmm/vm_command.h"

#define GUEST(name, text)                                                \
	extern const uint8_t guest_##name[], guest_##name##_end[];       \
	__asm__(".pushsection .rodata\n.code64\nguest_" #name ":\n" text \
		"\nguest_" #name "_end:\n.popsection")

#define SAY(c)    "movb $'" c "', %al\nmovw $0x3f8, %dx\noutb %al, %dx\n"
#define POWER_OFF "movw $0x604, %dx\nmovw $0x2000, %ax\noutw %ax, %dx\nhlt\n"

GUEST(hello, SAY("h") SAY("e") SAY("y") POWER_OFF);

/* Starts anew once; the CMOS knows whether it has. */
GUEST(twice,
    SAY("b") "movb $0x50, %al\noutb %al, $0x70\ninb $0x71, %al\n"
	     "testb %al, %al\njnz 1f\nmovb $1, %al\noutb %al, $0x71\n"
	     "movb $0xfe, %al\noutb %al, $0x64\n2: jmp 2b\n1:\n" POWER_OFF);

GUEST(crash, "ud2\n");

/* Says so, ends with 5, and would say more. */
GUEST(leave, SAY("l") "movb $5, %al\noutb %al, $0xf4\n1: pause\njmp 1b\n");

GUEST(idle, SAY("R") "1: hlt\njmp 1b\n");

/* What comes in goes out; 'q' powers off. */
GUEST(echo,
    "1: movw $0x3fd, %dx\ninb %dx, %al\ntestb $1, %al\njz 1b\n"
    "movw $0x3f8, %dx\ninb %dx, %al\noutb %al, %dx\n"
    "cmpb $'q', %al\njne 1b\n" POWER_OFF);

/* The second CPU, in real mode at 0x8000, powers off. */
GUEST(two,
    "leaq 3f(%rip), %rsi\nmovl $0x8000, %edi\nmovl $16, %ecx\nrep movsb\n"
    "movl $0xfee00000, %ebp\nmovl $0x1ff, 0xf0(%rbp)\n"
    "movl $0x01000000, 0x310(%rbp)\nmovl $0x00004500, 0x300(%rbp)\n"
    "movl $0x01000000, 0x310(%rbp)\nmovl $0x00004608, 0x300(%rbp)\n" SAY(
	"2") "4: hlt\njmp 4b\n"
	     "3:\n.code16\nmovw $0x604, %dx\nmovw $0x2000, %ax\n"
	     "outw %ax, %dx\nhlt\n.space 16\n.code64\n");

struct rig {
	char dir[32], kernel[64], log[64], console[64];
	struct vm_config config;
};

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	strcpy(rig->dir, "/tmp/vmXXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->kernel, sizeof(rig->kernel), "%s/kernel", rig->dir);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->dir);
	snprintf(rig->console, sizeof(rig->console), "%s/con", rig->dir);
	rig->config = (struct vm_config){ .name = "test",
		.engine = "kvm",
		.kernel = rig->kernel,
		.cmdline = "",
		.memory_bytes = 4 << 20,
		.vcpus = 1,
		.console = rig->console,
		.console_log = rig->log };
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	unlink(rig->kernel);
	unlink(rig->log);
	assert_int_equal(rmdir(rig->dir), 0); /* the socket is gone too */
	free(rig);
	return 0;
}

static void
need_kvm(void)
{
	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		print_message("skipped: /dev/kvm cannot be opened\n");
		skip();
	}
}

/* An ELF file of the code, at 1 MiB. */
static void
write_kernel(struct rig *rig, const uint8_t *code, const uint8_t *end)
{
	uint8_t head[120] = "\x7f"
			    "ELF\x02\x01\x01";
	size_t n = (size_t)(end - code);
	int fd =
	    open(rig->kernel, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	put_le16(head + 16, 2);
	put_le16(head + 18, 62);
	put_le64(head + 24, 0x100000);
	put_le64(head + 32, 64);
	put_le16(head + 54, 56);
	put_le16(head + 56, 1);
	put_le32(head + 64, 1);
	put_le64(head + 64 + 8, sizeof(head));
	put_le64(head + 64 + 24, 0x100000);
	put_le64(head + 64 + 32, n);
	put_le64(head + 64 + 40, n);
	assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
	assert_int_equal(write(fd, code, n), n);
	close(fd);
}

#define KERNEL(rig, name) write_kernel(rig, guest_##name, guest_##name##_end)

static void
expect_log(struct rig *rig, const char *text)
{
	char got[256] = "";
	int fd = open(rig->log, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, got, sizeof(got) - 1);

	assert_true(n >= 0);
	assert_string_equal(got, text);
	close(fd);
}

static void
a_guest_prints_and_powers_off(void **state)
{
	struct rig *rig = *state;
	enum vm_end end;
	struct err err = { "" };

	need_kvm();
	KERNEL(rig, hello);
	assert_int_equal(vm_run(&rig->config, &end, &err), 0);
	assert_string_equal(err.text, "");
	assert_int_equal(end, VM_POWEROFF);
	expect_log(rig, "hey");
}

static void
a_reboot_starts_again_in_place(void **state)
{
	struct rig *rig = *state;
	enum vm_end end;

	need_kvm();
	KERNEL(rig, twice);
	assert_int_equal(vm_run(&rig->config, &end, NULL), 0);
	assert_int_equal(end, VM_POWEROFF);
	expect_log(rig, "bb");
}

static void
a_crash_is_told_with_registers(void **state)
{
	struct rig *rig = *state;
	enum vm_end end;
	struct err err = { "" };

	need_kvm();
	KERNEL(rig, crash);
	assert_int_equal(vm_run(&rig->config, &end, &err), -EIO);
	assert_int_equal(end, VM_CRASHED);
	assert_non_null(strstr(err.text,
	    "CPU 0: triple fault, the guest crashed; rip 0010:100000 rsp "
	    "8ff0"));
}

static void
the_exit_port_ends_it_with_a_status(void **state)
{
	struct rig *rig = *state;
	enum vm_end end;

	KERNEL(rig, leave);
	rig->config.exit_port = 0xf4;
	rig->config.engine = "emulate";
	assert_int_equal(vm_run(&rig->config, &end, NULL), 11);
	assert_int_equal(end, VM_EXITED);
	expect_log(rig, "l");
	rig->config.engine = "kvm";
	need_kvm();
	assert_int_equal(vm_run(&rig->config, &end, NULL), 11);
	assert_int_equal(end, VM_EXITED);
}

static void
two_cpus_work_in_one_machine(void **state)
{
	struct rig *rig = *state;
	enum vm_end end;

	need_kvm();
	KERNEL(rig, two);
	rig->config.vcpus = 2;
	assert_int_equal(vm_run(&rig->config, &end, NULL), 0);
	assert_int_equal(end, VM_POWEROFF);
	rig->config.vcpus = 1; /* nobody there to power off */
}

/* The other side of a console: waits for a byte, then does something. */
struct peer {
	const char *path;
	const char *send; /* or NULL: a SIGTERM */
	char got[64];
};

static void *
peer_thread(void *arg)
{
	struct peer *peer = arg;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;
	ssize_t r = 0;

	strcpy(at.sun_path, peer->path);
	while (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		sched_yield();
	if (peer->send != NULL)
		r = send(fd, peer->send, strlen(peer->send), MSG_NOSIGNAL);
	else if (recv(fd, peer->got, 1, 0) == 1)
		kill(getpid(), SIGTERM);
	while (r >= 0 && n < sizeof(peer->got) - 1 &&
	    (r = recv(fd, peer->got + n, 1, 0)) > 0)
		n++;
	close(fd);
	return NULL;
}

static void
sigterm_ends_it_cleanly(void **state)
{
	struct rig *rig = *state;
	struct peer peer = { .path = rig->console };
	pthread_t thread;
	sigset_t block, old;
	enum vm_end end;

	need_kvm();
	KERNEL(rig, idle);
	/* As in the program, signals are the main thread's. */
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	pthread_create(&thread, NULL, peer_thread, &peer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(vm_run(&rig->config, &end, NULL), 0);
	assert_int_equal(end, VM_STOPPED);
	pthread_join(thread, NULL);
}

static void
the_console_is_a_way_in_and_out(void **state)
{
	struct rig *rig = *state;
	struct peer peer = { .path = rig->console, .send = "to the guest q" };
	pthread_t thread;
	enum vm_end end;

	need_kvm();
	KERNEL(rig, echo);
	pthread_create(&thread, NULL, peer_thread, &peer);
	assert_int_equal(vm_run(&rig->config, &end, NULL), 0);
	pthread_join(thread, NULL);
	assert_string_equal(peer.got, "to the guest q");
	expect_log(rig, "to the guest q");
}

static void
what_cannot_be_run_is_refused(void **state)
{
	struct rig *rig = *state;
	static const struct {
		int result;
		uint64_t memory;
		unsigned int vcpus;
		const char *engine, *boot, *initrd, *sentence;
	} t[] = {
		{ -EINVAL, 4 << 20, 0, "kvm", NULL, NULL,
		    "0 virtual CPUs are out of range; use 1 to 64" },
		{ -EINVAL, 4 << 20, 65, "kvm", NULL, NULL,
		    "65 virtual CPUs are out of range; use 1 to 64" },
		{ -EINVAL, 4 << 20, 1, "kvm", "bios", NULL,
		    "boot protocol \"bios\" is not known; use auto, linux, "
		    "pvh or multiboot" },
		{ -EINVAL, 4 << 20, 1, "xen", NULL, NULL,
		    "engine \"xen\" is not known; use auto, kvm or emulate" },
		{ -EINVAL, 1000, 1, "kvm", NULL, NULL,
		    "memory of 1000 bytes is out of range; use 2M to "
		    "1024G" },
		{ -EINVAL, 4 << 20, 1, "kvm", NULL, "/nonexistent/initrd",
		    "/nonexistent/initrd: No such file or directory; give the "
		    "path of a file" },
	};
	enum vm_end end;

	KERNEL(rig, hello);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct err err = { "" };

		rig->config.memory_bytes = t[i].memory;
		rig->config.vcpus = t[i].vcpus;
		rig->config.engine = t[i].engine;
		rig->config.boot = t[i].boot;
		rig->config.initrd = t[i].initrd;
		assert_int_equal(vm_run(&rig->config, &end, &err), t[i].result);
		assert_string_equal(err.text, t[i].sentence);
	}
}

/* ---- the command ---- */

/* Runs it in a child; what it says on standard error is in said. */
static int
command(const char *const argv[], char *said, size_t len)
{
	int argc = 0, fd[2], status;
	char *copy[16] = { NULL };
	size_t n = 0;
	ssize_t r;
	pid_t pid;

	while (argv[argc] != NULL)
		argc++;
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		/* It may cut its arguments up, as they are its own. */
		for (int i = 0; i < argc; i++)
			copy[i] = strdup(argv[i]);
		dup2(fd[1], STDERR_FILENO);
		dup2(open("/dev/null", O_RDWR), STDOUT_FILENO);
		_exit(vm_command(argc, copy));
	}
	close(fd[1]);
	while (n < len - 1 && (r = read(fd[0], said + n, len - 1 - n)) > 0)
		n += (size_t)r;
	said[n] = '\0';
	close(fd[0]);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
wrong_command_lines_end_with_two(void **state)
{
	static const struct {
		const char *argv[6];
		const char *said;
	} t[] = {
		{ { "vm", "--memory", "12", NULL },
		    "vm vm: --memory 12: not a size; use a number with K, M "
		    "or G, as 16M\n" },
		{ { "vm", "--memory", "-4M", NULL },
		    "vm vm: --memory -4M: not a size; use a number with K, M "
		    "or G, as 16M\n" },
		{ { "vm", "--memory", "1K", NULL },
		    "vm vm: memory of 1024 bytes is out of range; use 2M to "
		    "1024G\n" },
		{ { "vm", "--vcpus", "two", NULL },
		    "vm vm: --vcpus two: not a number of CPUs; use 1 or "
		    "more\n" },
		{ { "vm", "--nic", "mac=52:54:00:00:00:01", NULL },
		    "vm vm: --nic: card 0 has no socket; add socket=PATH\n" },
		{ { "vm", "--nic", "socket=/x,mac=01:00:00:00:00:01", NULL },
		    "vm vm: --nic mac=01:00:00:00:00:01: not the address of "
		    "one card; use six pairs of hex digits, as "
		    "52:54:00:12:34:56\n" },
		{ { "vm", "--nic", "socket=/x,mtu=67", NULL },
		    "vm vm: --nic mtu=67: out of range; use 68 to 65521\n" },
		{ { "vm", "--nic", "socket=/x,speed=9", NULL },
		    "vm vm: --nic speed=9: not known; use socket=PATH, "
		    "mac=MAC, mtu=BYTES or queues=N\n" },
		{ { "vm", "--nic", "socket", NULL },
		    "vm vm: --nic socket: no value; use socket=PATH, mac=MAC, "
		    "mtu=BYTES or queues=N\n" },
		{ { "vm", "--exit-port=0", NULL },
		    "vm vm: --exit-port=0: not a port; use 0x1 to 0xfffc, as "
		    "0xf4\n" },
		{ { "vm", "--exit-port=65533", NULL },
		    "vm vm: --exit-port=65533: not a port; use 0x1 to 0xfffc, "
		    "as 0xf4\n" },
		{ { "vm", "--exit-port=-1", NULL },
		    "vm vm: --exit-port=-1: not a port; use 0x1 to 0xfffc, as "
		    "0xf4\n" },
		{ { "vm", "--exit-port=0x3f6", NULL },
		    "vm vm: exit port 0x3f6: another device has one of the 4 "
		    "ports from there; use 0xf4\n" },
		{ { "vm", "kernel", NULL },
		    "vm vm: kernel: not an option; try lanyard vm --help\n" },
		{ { "vm", "--name", "x", "--kernel", "/nonexistent", NULL },
		    "vm x: /nonexistent: No such file or directory; give the "
		    "path of a file\n" },
	};
	char said[512];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(command(t[i].argv, said, sizeof(said)), 2);
		assert_string_equal(said, t[i].said);
	}
}

static void
the_exit_code_tells_how_it_ended(void **state)
{
	struct rig *rig = *state;
	const char *help[] = { "vm", "--help", NULL };
	const char *run[] = { "vm", "--kernel", rig->kernel, "--memory", "4M",
		"--console", rig->console, NULL };
	const char *exit[] = { "vm", "--kernel", rig->kernel, "--memory", "4M",
		"--engine", "emulate", "--exit-port", "--console", rig->console,
		NULL };
	char said[1024];

	assert_int_equal(command(help, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	KERNEL(rig, leave);
	assert_int_equal(command(exit, said, sizeof(said)), 11);
	assert_string_equal(said, "");
	need_kvm();
	KERNEL(rig, hello);
	assert_int_equal(command(run, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	KERNEL(rig, crash);
	assert_int_equal(command(run, said, sizeof(said)), 1);
	assert_non_null(strstr(said, "vm vm: CPU 0: triple fault"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_guest_prints_and_powers_off),
		CASE(a_reboot_starts_again_in_place),
		CASE(a_crash_is_told_with_registers),
		CASE(the_exit_port_ends_it_with_a_status),
		CASE(two_cpus_work_in_one_machine),
		CASE(sigterm_ends_it_cleanly),
		CASE(the_console_is_a_way_in_and_out),
		CASE(what_cannot_be_run_is_refused),
		cmocka_unit_test(wrong_command_lines_end_with_two),
		CASE(the_exit_code_tells_how_it_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
