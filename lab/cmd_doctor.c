/*
 * What this machine allows, each as a check of its own with the command that
 * grants what is missing.
 */
#include "lab/command.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/twin.h"
#include "lab/nearest.h"
#include "lab/program.h"
#include "lab/rundir.h"
#include "vmm/engine_kvm.h"
#include "vmm/linux_image.h"
#include "vmm/sandbox.h"

struct check {
	const char *name, *what;
	bool needed; /* without it something in labs does not work at all */
	/* 0, *said then having a remark, if there is one; or -Exxx and what is
	 * missing. */
	int (*look)(struct err *said);
};

static int
look_engine(struct err *said)
{
	const struct engine *engine = engine_find("auto", said);

	return engine == NULL ? -ENOTSUP
			      : err_set(said, 0, "auto takes %s", engine->name);
}

static int
look_kvm(struct err *said)
{
	struct kvm_probe probe;
	int e = kvm_probe(&probe, said);
	double ns;

	if (e < 0)
		return e;
	ns = (double)probe.instruction_ps / 1000;
	if (kvm_is_hardware(&probe))
		return err_set(said, 0, "%.1f ns for an instruction", ns);
	return err_set(said, -ENOTSUP,
	    "/dev/kvm is software here (%.0f ns for an instruction, system "
	    "calls from ring 3 go %s): tiny runs on it, %s; enable "
	    "virtualization in the firmware, or in the hypervisor that this "
	    "machine runs on",
	    ns, probe.calls_system ? "right" : "wrong",
	    probe.calls_system ? "slower than on engine emulate"
			       : "Linux programs do not");
}

static int
look_sandbox(struct err *said)
{
	char line[256];
	int e = sandbox_probe(line, sizeof(line), said);

	return e < 0 ? e : err_set(said, 0, "%s", line);
}

static int
look_linux(struct err *said)
{
	struct linux_image image;

	return linux_image_find(&image, "/proc/self/exe", said);
}

/* A TAP device that lasts as long as its descriptor. */
static int
look_tap(struct err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), e = 0;

	if (fd < 0)
		return err_sys(err, -errno,
		    "modprobe tun, and run as root or: setcap "
		    "cap_net_admin,cap_net_raw+ep $(command -v lanyard)",
		    "/dev/net/tun cannot be opened");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "lydoctor%%d");
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		e = err_sys(err, -errno,
		    "run as root or: setcap cap_net_admin,cap_net_raw+ep "
		    "$(command -v lanyard)",
		    "no TAP device can be made");
	close(fd);
	return e;
}

static int
look_raw(struct err *err)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, -errno,
		    "run as root or: setcap cap_net_admin,cap_net_raw+ep "
		    "$(command -v lanyard)",
		    "no raw socket can be opened");
	close(fd);
	return 0;
}

/* A socket for pings, as the port kind sockets: uses one. */
static int
look_ping(struct err *err)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	if (fd < 0)
		return err_sys(err, -errno,
		    "sysctl net.ipv4.ping_group_range=\"0 2147483647\"",
		    "no socket for pings can be opened");
	close(fd);
	return 0;
}

/* A way to the host that lasts for a moment; it leads to the loopback, where
 * nothing is sent by it. */
static int
look_host(struct err *said)
{
	struct twin *twin = twin_new("host", (int)if_nametoindex("lo"), said);

	if (twin == NULL)
		return -ENOTSUP;
	twin_free(twin);
	return err_set(said, 0,
	    "what a LAN sends by a NIC does not reach the NIC's own machine, "
	    "so a bridge with \"host: true\" leads that in by a TAP device");
}

static int
look_rundir(struct err *err)
{
	struct rundir dir;
	char name[32];
	int e;

	snprintf(name, sizeof(name), "doctor-%d", (int)getpid());
	e = rundir_open(&dir, name, err);
	rundir_close(&dir);
	return e;
}

static int
look_tshark(struct err *err)
{
	return program_find("tshark", "tshark", err);
}

static int
look_qemu(struct err *err)
{
	return program_find("qemu-system-x86_64", "qemu-system-x86", err);
}

static int
look_files(struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= 4096)
		return 0;
	return err_set(err, -EMFILE,
	    "only %llu open files are allowed, a hundred VMs need 2,000; "
	    "ulimit -Hn 8192",
	    (unsigned long long)limit.rlim_max);
}

static const struct check checks[] = {
	{ "engine", "virtual machines", true, look_engine },
	{ "kvm", "KVM by the hardware", false, look_kvm },
	{ "sandbox", "a sandbox for each VM", true, look_sandbox },
	{ "linux", "the Linux guest", false, look_linux },
	{ "rundir", "a place for the sockets of running labs", true,
	    look_rundir },
	{ "files", "open files for a hundred VMs", false, look_files },
	{ "tap", "TAP devices, for plugs to this machine", false, look_tap },
	{ "raw", "raw sockets, to see frames of real networks", false,
	    look_raw },
	{ "ping", "pings of guests that go out by sockets", false, look_ping },
	{ "host", "bridged LANs that reach this machine too", false,
	    look_host },
	{ "tshark", "tshark, to read captures", false, look_tshark },
	{ "qemu", "QEMU, for guests that our VMM does not run", false,
	    look_qemu },
};

#define NCHECKS (sizeof(checks) / sizeof(checks[0]))

static bool
is_asked(const struct call *call, const char *name)
{
	for (int i = 0; i < call->options.nargs; i++)
		if (strcmp(call->options.args[i], name) == 0)
			return true;
	return call->options.nargs == 0;
}

static int
check_names(struct call *call)
{
	for (int i = 0; i < call->options.nargs; i++) {
		struct nearest near;
		bool known = false;

		nearest_init(&near, call->options.args[i]);
		for (size_t k = 0; k < NCHECKS; k++) {
			known |=
			    strcmp(checks[k].name, call->options.args[i]) == 0;
			nearest_try(&near, checks[k].name);
		}
		if (!known)
			return err_set(&call->err, -EINVAL,
			    "\"%.40s\" is no check; %s%s%s",
			    call->options.args[i],
			    near.best != NULL ? "did you mean \""
					      : "see lanyard doctor",
			    near.best != NULL ? near.best : "",
			    near.best != NULL ? "\"?" : "");
	}
	return 0;
}

static int
run_doctor(struct call *call)
{
	bool quiet = option_get(&call->options, "quiet") != NULL;
	int status = 0;

	if (check_names(call) < 0)
		return 2;
	for (size_t i = 0; i < NCHECKS; i++) {
		struct err said = { "" };
		const char *sep = "";
		bool good;

		if (!is_asked(call, checks[i].name))
			continue;
		good = checks[i].look(&said) == 0;
		if (!good && (checks[i].needed || call->options.nargs > 0))
			status = 1;
		if (said.text[0] != '\0')
			sep = good ? ": " : ":\n            ";
		if (!good || !quiet)
			fprintf(quiet ? call->notes : call->out,
			    "%-3s %-7s %s%s%s\n", good ? "yes" : "no",
			    checks[i].name, checks[i].what, sep, said.text);
	}
	return status;
}

static const struct option_row options[] = {
	{ "quiet", 'q', NULL, "say only what is missing" },
	{ 0 },
};

const struct command command_doctor = {
	.name = "doctor",
	.arguments = "[engine|kvm|sandbox|linux|rundir|files|tap|raw|host|"
		     "tshark|qemu]...",
	.summary = "says what this machine allows",
	.help = "Looks at what this machine allows, and says how to get what "
		"is missing.  Exit\nstatus 1: something that labs need (or "
		"that was asked about) is missing.",
	.options = options,
	.max_args = -1,
	.run = run_doctor,
};
