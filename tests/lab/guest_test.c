/*
 * VMs as child processes: this program plays the VM when it is started as one.
 */
#include "lab/guest.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk/disk.h"
#include "lab/guest_ip.h"
#include "lab/output.h"
#include "lab/rundir.h"
#include "lab/qemu_args.h"
#include "lab/vm_args.h"
#include "lab/vm_disks.h"
#include "tests/lab/load.h"

#define PATIENCE_NS (20 * NS_PER_S)

/* ---- the VM that is played ---- */

static const char *
option(char **argv, const char *name)
{
	for (; argv[0] != NULL && argv[1] != NULL; argv++)
		if (strcmp(argv[0], name) == 0)
			return argv[1];
	return "";
}

static void
answer(FILE *line, const char *command)
{
	char byte;

	if (strcmp(command, "die") == 0) {
		fprintf(stderr, "the end of vm\n");
		_exit(3);
	}
	if (strcmp(command, "off") == 0)
		_exit(0);
	if (strcmp(command, "reboot") == 0) {
		fprintf(line, "half a li\x1e%s", "ready\n");
	} else if (strcmp(command, "hang") == 0) {
		/* until it is interrupted */
		if (read(fileno(line), &byte, 1) == 1 && byte == 3)
			fprintf(line, "^C\x1e%s", "130\n");
	} else {
		fprintf(line, "ran %s\n\x1e%d\n", command,
		    strcmp(command, "false") == 0);
	}
	fflush(line);
}

static int
play_vm(char **argv)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), c;
	char command[1024];
	size_t len = 0;
	FILE *line;

	if (strcmp(option(argv, "--name"), "broken") == 0) {
		fprintf(stderr, "no such engine\n");
		return 1;
	}
	snprintf(at.sun_path, sizeof(at.sun_path), "%.107s",
	    option(argv, "--agent"));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, 1) < 0 || (fd = accept(fd, NULL, NULL)) < 0)
		return 2;
	line = fdopen(fd, "w");
	fprintf(line, "\x1e%s", "ready\n");
	fflush(line);
	while (read(fd, &command[len], 1) == 1) {
		c = command[len];
		if (c != '\n') {
			len += len + 1 < sizeof(command);
			continue;
		}
		command[len] = '\0';
		len = 0;
		answer(line, command);
	}
	return 0;
}

/* ---- the lab around it ---- */

struct scene {
	char base[32], dir[64];
	struct loaded l;
	struct loop *loop;
	struct loop_timer patience;
	struct guests guests;
	unsigned int nchanges;
	/* what a job did */
	struct job job;
	struct output output;
	int status;
	bool done, stop_when_done;
};

static void
changed(void *arg, struct guest *g)
{
	struct scene *s = arg;

	(void)g;
	s->nchanges++;
	loop_stop(s->loop);
}

static void
too_late(void *arg)
{
	(void)arg;
	fprintf(stderr, "nothing happened\n");
	abort();
}

static void
on_output(void *arg, const char *bytes, size_t len)
{
	struct scene *s = arg;

	output_add(&s->output, bytes, len);
}

static void
on_done(void *arg, int status)
{
	struct scene *s = arg;

	s->status = status;
	s->done = true;
	loop_stop(s->loop);
}

static int
setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	static const char lab[] =
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "vms:\n"
	    "  good: {ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}\n"
	    "  broken: {ports: {eth0: {switch: lan, address: 10.0.0.2/24}}}\n";
	struct err err = { "" };

	strcpy(s->base, "/tmp/lanyard-test-XXXXXX");
	assert_non_null(mkdtemp(s->base));
	load_text(&s->l, "t.yaml", lab, strlen(lab));
	assert_non_null(s->l.lab);
	s->loop = loop_new(LOOP_REAL, &err);
	assert_non_null(s->loop);
	loop_timer_init(&s->patience, s->loop, too_late, s);
	loop_timer_set(&s->patience, PATIENCE_NS);
	if (guests_start(&s->guests, s->loop, s->l.lab, s->base,
		"/proc/self/exe", changed, s, &err) < 0)
		print_error("%s\n", err.text);
	assert_string_equal(err.text, "");
	s->job = (struct job){
		.output = on_output,
		.done = on_done,
		.arg = s,
	};
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *s = *state;
	char command[64];

	guests_stop(&s->guests);
	loop_timer_unset(&s->patience);
	loop_free(s->loop);
	load_free(&s->l);
	snprintf(command, sizeof(command), "rm -r %s", s->base);
	if (system(command) != 0)
		print_error("%s\n", command);
	free(s);
	return 0;
}

static void
until(struct scene *s, enum guest_state state, struct guest *g)
{
	while (g->state != state)
		assert_int_equal(loop_run(s->loop), 0);
}

/* Runs command in the VM, to its end. */
static int
run(struct scene *s, struct guest *g, const char *command)
{
	s->done = false;
	s->job.command = command;
	output_clear(&s->output);
	job_ask(&s->job, g);
	while (!s->done)
		assert_int_equal(loop_run(s->loop), 0);
	return s->status;
}

static void
commands_run_one_after_the_other(void **state)
{
	struct scene *s = *state;
	struct guest *g = guests_find(&s->guests, "good");

	/* Asked for before the VM is ready. */
	assert_int_equal(g->state, VM_STARTING);
	assert_int_equal(run(s, g, "true"), 0);
	assert_int_equal(g->state, VM_READY);
	assert_string_equal(s->output.text, "ran true\n");
	assert_int_equal(run(s, g, "false"), 1);
	assert_string_equal(s->output.text, "ran false\n");
	assert_int_equal(g->starts, 1);
}

static void
a_vm_that_dies_is_mourned(void **state)
{
	struct scene *s = *state;
	struct guest *g = guests_find(&s->guests, "broken");
	char text[1024];

	until(s, VM_GONE, g);
	assert_string_equal(guest_state_name(g), "died");
	assert_string_equal(guest_epitaph(g, text, sizeof(text)),
	    "exit status 1\nno such engine");
	/* Who asks too late is told as well. */
	assert_int_equal(run(s, g, "true"), JOB_GONE);
}

static void
a_command_dies_with_its_vm(void **state)
{
	struct scene *s = *state;
	struct guest *g = guests_find(&s->guests, "good");
	char text[1024];

	assert_int_equal(run(s, g, "die"), JOB_GONE);
	assert_int_equal(g->state, VM_GONE);
	assert_string_equal(guest_epitaph(g, text, sizeof(text)),
	    "exit status 3\nthe end of vm");
}

static void
a_vm_may_power_off(void **state)
{
	struct scene *s = *state;
	struct guest *g = guests_find(&s->guests, "good");

	assert_int_equal(run(s, g, "off"), JOB_GONE);
	assert_string_equal(guest_state_name(g), "off");
}

static void
a_command_does_not_outlive_a_reboot(void **state)
{
	struct scene *s = *state;
	struct guest *g = guests_find(&s->guests, "good");

	assert_int_equal(run(s, g, "reboot"), JOB_GONE);
	assert_int_equal(g->state, VM_READY);
	assert_int_equal(g->starts, 2);
	assert_int_equal(run(s, g, "true"), 0);
}

static void
a_command_that_is_cancelled_is_interrupted(void **state)
{
	struct scene *s = *state;
	struct guest *g = guests_find(&s->guests, "good");
	struct job hang = { .command = "hang", .done = on_done, .arg = s };

	until(s, VM_READY, g);
	job_ask(&hang, g);
	assert_true(g->running);
	job_cancel(&hang);
	/* The next one waits for the end of the first. */
	assert_int_equal(run(s, g, "true"), 0);
	assert_string_equal(s->output.text, "ran true\n");
}

static void
a_job_that_waits_can_be_cancelled(void **state)
{
	struct scene *s = *state;
	struct guest *g = guests_find(&s->guests, "good");
	struct job never = { .command = "die", .done = on_done, .arg = s };

	job_ask(&never, g);
	job_cancel(&never);
	job_cancel(&never);
	assert_int_equal(run(s, g, "true"), 0);
}

static void
no_process_is_left(void **state)
{
	struct scene *s = *state;
	struct guest *g = guests_find(&s->guests, "good");
	pid_t pid;

	until(s, VM_READY, g);
	pid = g->pid;
	assert_int_equal(kill(pid, 0), 0);
	guests_stop(&s->guests);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
a_guest_is_told_who_it_is(void **state)
{
	static const char lab[] =
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "plugs: {p: {switch: lan, locator: \"tap:x\"}}\n"
	    "vms:\n"
	    "  v: {kernel: /dev/null, engine: emulate, cmdline: quiet, memory: "
	    "64M, ports: {eth0: {switch: lan}, eth1: {switch: lan, address: "
	    "10.0.0.2/24, gateway: "
	    "10.0.0.1, dns: 10.0.0.9}}}\n"
	    "  w: {kernel: nowhere, ports: {eth0: {switch: lan}}}\n";
	struct loaded l;
	struct vm_args args;
	struct err err = { "" };

	(void)state;
	load_text(&l, "dir/t.yaml", lab, strlen(lab));
	assert_non_null(l.lab);
	assert_string_equal(vm_args_cmdline(l.arena, l.lab, &l.lab->vms[0]),
	    "lanyard.name=v lanyard.eth0=dhcp lanyard.eth1=10.0.0.2/24,"
	    "gw=10.0.0.1,dns=10.0.0.9 quiet");
	assert_int_equal(
	    vm_args_make(&args, &l.lab->vms[0], l.lab, "/run/x", &err), 0);
	assert_string_equal(option(args.line.word, "--kernel"), "/dev/null");
	assert_string_equal(option(args.line.word, "--memory"), "64M");
	assert_string_equal(option(args.line.word, "--engine"), "emulate");
	assert_string_equal(
	    option(args.line.word, "--agent"), "/run/x/v.agent");
	vm_args_free(&args);
	assert_int_equal(
	    vm_args_make(&args, &l.lab->vms[1], l.lab, "/run/x", &err),
	    -ENOENT);
	assert_non_null(strstr(err.text, "dir/nowhere cannot be read"));
	load_free(&l);
}

/* Is it among QEMU's, and which one? */
static const char *
has_value(char **argv, const char *begin)
{
	for (unsigned int i = 0; argv[i] != NULL; i++)
		if (strncmp(argv[i], begin, strlen(begin)) == 0)
			return argv[i];
	return "";
}

static void
qemu_is_told_the_same(void **state)
{
	static const char lab[] =
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "vms:\n"
	    "  v: {kernel: /dev/null, engine: qemu, cmdline: quiet, vcpus: 2, "
	    "memory: 64M, disks: [{file: /dev/null, read-only: true}], "
	    "ports: {eth0: {switch: lan, address: 10.0.0.2/24, queues: 2}}}\n";
	struct loaded l;
	struct vm_args args;
	struct err err = { "" };

	(void)state;
	load_text(&l, "dir/t.yaml", lab, strlen(lab));
	assert_non_null(l.lab);
	assert_int_equal(qemu_args_make(&args, &l.lab->vms[0], l.lab,
			     "/run/x,y", false, &err),
	    0);
	assert_string_equal(args.program, QEMU_PROGRAM);
	assert_string_equal(option(args.line.word, "-kernel"), "/dev/null");
	assert_string_equal(option(args.line.word, "-append"),
	    "lanyard.name=v lanyard.eth0=10.0.0.2/24 quiet");
	assert_string_equal(option(args.line.word, "-smp"), "2");
	assert_string_equal(option(args.line.word, "-accel"), "tcg");
	assert_string_equal(option(args.line.word, "-m"), "size=65536k");
	/* A comma would begin another setting. */
	assert_string_equal(has_value(args.line.word, "socket,id=eth0-port"),
	    "socket,id=eth0-port,path=/run/x,,y/v.eth0.sock");
	assert_non_null(strstr(has_value(args.line.word, "socket,id=agent"),
	    "path=/run/x,,y/v.agent,server=on,wait=on"));
	assert_non_null(
	    strstr(has_value(args.line.word, "vhost-user,"), ",queues=2"));
	assert_non_null(strstr(has_value(args.line.word, "if=none"),
	    "format=raw,file=/dev/null,"
	    "read-only=on"));
	assert_non_null(strstr(
	    has_value(args.line.word, "virtio-net-pci"), ",mq=on,vectors=0"));
	vm_args_free(&args);
	assert_int_equal(
	    qemu_args_make(&args, &l.lab->vms[0], l.lab, "/run/x", true, &err),
	    0);
	assert_string_equal(option(args.line.word, "-accel"), "kvm");
	assert_null(
	    strstr(has_value(args.line.word, "virtio-net-pci"), "vectors"));
	vm_args_free(&args);
	load_free(&l);
}

static void
a_guest_gets_its_disks_in_order(void **state)
{
	static const char lab[] =
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "vms:\n"
	    "  v: {disk: null, disks: [{file: /dev/null, read-only: true}], "
	    "balloon: 8M, ports: {eth0: {switch: lan, address: "
	    "10.0.0.1/24}}}\n"
	    "  w: {disk: nowhere, ports: {eth0: {switch: lan, address: "
	    "10.0.0.2/24}}}\n";
	struct loaded l;
	struct vm_args args;
	struct err err = { "" };
	unsigned int at = 0;

	(void)state;
	load_text(&l, "/dev/t.yaml", lab, strlen(lab));
	assert_non_null(l.lab);
	assert_int_equal(
	    vm_args_make(&args, &l.lab->vms[0], l.lab, "/run/x", &err), 0);
	while (strcmp(args.line.word[at], "--disk") != 0)
		at++;
	assert_string_equal(args.line.word[at + 1], "/dev/null");
	assert_string_equal(args.line.word[at + 2], "--disk");
	assert_string_equal(args.line.word[at + 3], "/dev/null,ro");
	/* It is what the guest boots from. */
	assert_string_equal(option(args.line.word, "--kernel"), "");
	assert_string_equal(option(args.line.word, "--memory"), "512M");
	assert_string_equal(option(args.line.word, "--balloon"), "8192K");
	vm_args_free(&args);
	assert_int_equal(
	    vm_args_make(&args, &l.lab->vms[1], l.lab, "/run/x", &err),
	    -ENOENT);
	assert_non_null(strstr(err.text, "disk /dev/nowhere cannot be used"));
	load_free(&l);
}

static void
missing_disks_are_made_once(void **state)
{
	static const char lab[] =
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "vms:\n"
	    "  v: {guest: linux, disks: [{file: a.qcow2, size: 5M}, {file: "
	    "b.raw, size: 1M}, {file: c.qcow2, base: d.qcow2}], ports: {eth0: "
	    "{switch: lan, address: 10.0.0.1/24}}}\n";
	static const char *const names[] = { "a.qcow2", "b.raw", "c.qcow2",
		"d.qcow2", "lanyard.disks" };
	const struct disk_options base = { .size = 3 << 20 };
	char dir[] = "/tmp/disks-XXXXXX", file[64], path[64];
	struct err err = { "" };
	struct stat first, again;
	struct loaded l;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/t.yaml", dir);
	load_text(&l, file, lab, strlen(lab));
	assert_non_null(l.lab);
	assert_int_equal(vm_disks_make(l.lab, &err), -ENOENT);
	assert_non_null(strstr(err.text, "d.qcow2"));
	snprintf(path, sizeof(path), "%s/d.qcow2", dir);
	assert_int_equal(disk_create(path, &base, &err), 0);
	assert_int_equal(vm_disks_make(l.lab, &err), 0);
	snprintf(path, sizeof(path), "%s/c.qcow2", dir);
	assert_int_equal(stat(path, &first), 0);
	assert_int_equal(vm_disks_make(l.lab, &err), 0);
	assert_int_equal(stat(path, &again), 0);
	assert_int_equal(first.st_ino, again.st_ino);
	snprintf(path, sizeof(path), "%s/b.raw", dir);
	assert_int_equal(stat(path, &first), 0);
	assert_int_equal(first.st_size, 1 << 20);
	for (unsigned int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
	load_free(&l);
}

/* A Linux guest that is not there; one that is there, in tests/labs. */
static void
a_linux_guest_that_was_not_made_is_told(void **state)
{
	static const char lab[] =
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "vms: {v: {guest: linux, ports: {eth0: {switch: lan, address: "
	    "10.0.0.1/24}}}}\n";
	struct loaded l;
	struct vm_args args;
	struct err err = { "" };

	(void)state;
	load_text(&l, "t.yaml", lab, strlen(lab));
	assert_non_null(l.lab);
	assert_int_equal(
	    vm_args_make(&args, &l.lab->vms[0], l.lab, "/run/x", &err),
	    -ENOENT);
	assert_non_null(strstr(err.text, "run \"make guest\""));
	load_free(&l);
}

/* ---- where labs have their sockets ---- */

static void
count_labs(void *arg, const char *lab, pid_t pid)
{
	unsigned int *n = arg;

	assert_string_equal(lab, "mylab");
	assert_int_equal(pid, getpid());
	++*n;
}

static void
a_lab_runs_once_and_leaves_nothing(void **state)
{
	char base[] = "/tmp/lanyard-test-XXXXXX", path[RUNDIR_BYTES], old[200];
	struct rundir dir, again;
	struct err err = { "" };
	unsigned int n = 0;
	FILE *stale;

	(void)state;
	assert_non_null(mkdtemp(base));
	setenv("XDG_RUNTIME_DIR", base, 1);
	assert_int_equal(rundir_open(&dir, "mylab", &err), 0);
	assert_int_equal(rundir_open(&again, "mylab", &err), -EBUSY);
	assert_non_null(strstr(err.text, "is running already"));
	assert_int_equal(rundir_each(count_labs, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rundir_find("mylab", "control", path, &err), 0);
	err_clear(&err);
	assert_int_equal(rundir_find("mylap", "control", path, &err), -ENOENT);
	assert_non_null(strstr(err.text, "did you mean \"mylab\"?"));
	/* As if its process had been killed. */
	snprintf(old, sizeof(old), "%s/old.sock", dir.path);
	stale = fopen(old, "w");
	fclose(stale);
	close(dir.lock);
	n = 0;
	assert_int_equal(rundir_each(count_labs, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(rundir_open(&again, "mylab", &err), 0);
	assert_int_equal(access(old, F_OK), -1);
	rundir_close(&again);
	rundir_close(&again);
	snprintf(old, sizeof(old), "%s/lanyard", base);
	assert_int_equal(rmdir(old), 0); /* it is empty */
	assert_int_equal(rmdir(base), 0);
}

static void
a_directory_of_others_is_not_used(void **state)
{
	char base[] = "/tmp/lanyard-test-XXXXXX", path[200];
	struct rundir dir;
	struct err err = { "" };

	(void)state;
	assert_non_null(mkdtemp(base));
	setenv("XDG_RUNTIME_DIR", base, 1);
	snprintf(path, sizeof(path), "%s/lanyard", base);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(rundir_open(&dir, "mylab", &err), -EPERM);
	assert_non_null(strstr(err.text, "is no directory of yours"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(base), 0);
}

/* Which kinds of IP a guest is told to speak. */
static void
a_guest_speaks_what_its_segment_does(void **state)
{
	static const char gw6[] = "address6: 2001:db8::1/64";
	static const char both[] =
	    "address: 10.0.0.1/24, address6: 2001:db8::1/64";
	static const char tap[] =
	    "plugs: {p: {switch: lan, locator: \"tap:x\"}}\n";
	static const struct {
		const char *what, *gw_switch, *gw, *more, *port, *words;
	} rows[] = {
		{ "nobody has IPv6", "lan", "address: 10.0.0.1/24", "", "",
		    "eth0=dhcp" },
		{ "a router has both", "lan", both, "", "",
		    "eth0=dhcp lanyard.eth0.ip6=auto" },
		{ "a router has IPv6 alone", "lan", gw6, "", "",
		    "eth0=none lanyard.eth0.ip6=auto" },
		{ "... behind an uplink", "far", gw6, "", "",
		    "eth0=none lanyard.eth0.ip6=auto" },
		{ "... elsewhere", "other", gw6, "", "", "eth0=dhcp" },
		{ "... and what is not of the lab may have IPv4", "lan", gw6,
		    tap, "", "eth0=dhcp lanyard.eth0.ip6=auto" },
		{ "the guest is to be silent", "lan", both, "",
		    ", address6: none", "eth0=dhcp lanyard.eth0.ip6=none" },
		{ "the file asks", "other", gw6, "", ", address6: auto",
		    "eth0=dhcp lanyard.eth0.ip6=auto" },
		{ "the file says which", "other", gw6, "",
		    ", address6: [2001:db8:5::5/64, fd00::5/48], gateway6: "
		    "fe80::1, dns6: [2001:db8::53, fd00::53]",
		    "eth0=none lanyard.eth0.ip6=2001:db8:5::5/64,fd00::5/48,"
		    "gw=fe80::1,dns=2001:db8::53,dns=fd00::53" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char lab[1024], want[256];
		struct loaded l;

		print_message("%s\n", rows[i].what);
		snprintf(lab, sizeof(lab),
		    "lab: t\n"
		    "switches: {lan: {uplinks: [far]}, far: , other: }\n"
		    "routers: {gw: {ports: {in: {switch: %s, %s}}}}\n"
		    "%s"
		    "vms: {v: {guest: tiny, ports: {eth0: {switch: lan%s}}}}\n",
		    rows[i].gw_switch, rows[i].gw, rows[i].more, rows[i].port);
		load_text(&l, "t.yaml", lab, strlen(lab));
		assert_non_null(l.lab);
		snprintf(want, sizeof(want), "lanyard.name=v lanyard.%s",
		    rows[i].words);
		assert_string_equal(
		    vm_args_cmdline(l.arena, l.lab, &l.lab->vms[0]), want);
		load_free(&l);
	}
}

/* The addresses by which a guest is known before it says anything. */
static void
a_guest_has_addresses_of_the_file_and_of_routers(void **state)
{
	static const char lab[] =
	    "lab: t\nswitches: {lan: }\n"
	    "routers: {gw: {ports: {in: {switch: lan, address6: "
	    "[2001:db8::1/64, \"fd00::1/48\"], ra: {}}}}}\n"
	    "vms: {v: {guest: tiny, ports: {eth0: {switch: lan, mac: "
	    "\"02:00:00:00:00:07\", address6: 2001:db8::5/64}}},"
	    " w: {guest: tiny, ports: {eth0: {switch: lan, address6: "
	    "none}}}}\n";
	struct ip6_addr addr[4];
	char text[IP6_TEXT_BYTES];
	struct loaded l;

	(void)state;
	load_text(&l, "t.yaml", lab, strlen(lab));
	assert_non_null(l.lab);
	assert_int_equal(guest_ip6(l.lab, &l.lab->vms[0].ports[0], addr, 4), 2);
	assert_string_equal(ip6_text(text, &addr[0]), "2001:db8::5");
	assert_string_equal(ip6_text(text, &addr[1]), "2001:db8::ff:fe00:7");
	assert_int_equal(guest_ip6(l.lab, &l.lab->vms[0].ports[0], addr, 1), 1);
	assert_int_equal(guest_ip6(l.lab, &l.lab->vms[1].ports[0], addr, 4), 0);
	load_free(&l);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_speaks_what_its_segment_does),
		cmocka_unit_test(
		    a_guest_has_addresses_of_the_file_and_of_routers),
		cmocka_unit_test_setup_teardown(
		    commands_run_one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_vm_that_dies_is_mourned, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_command_dies_with_its_vm, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_vm_may_power_off, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_command_does_not_outlive_a_reboot, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_command_that_is_cancelled_is_interrupted, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_job_that_waits_can_be_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    no_process_is_left, setup, teardown),
		cmocka_unit_test(a_guest_is_told_who_it_is),
		cmocka_unit_test(qemu_is_told_the_same),
		cmocka_unit_test(a_guest_gets_its_disks_in_order),
		cmocka_unit_test(missing_disks_are_made_once),
		cmocka_unit_test(a_linux_guest_that_was_not_made_is_told),
		cmocka_unit_test(a_lab_runs_once_and_leaves_nothing),
		cmocka_unit_test(a_directory_of_others_is_not_used),
	};

	if (argc > 1 && strcmp(argv[1], "vm") == 0)
		return play_vm(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
