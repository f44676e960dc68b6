/*
 * The command line of one VM.
 */
#include "vmm/vm_command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "vmm/exit_port.h"
#include "vmm/blk_image.h"
#include "vmm/virtio_net.h"
#include "vmm/vm.h"

#define MEMORY_TINY  (UINT64_C(16) << 20)
#define MEMORY_DISK  (UINT64_C(512) << 20)
#define MTU_MIN      68
#define MTU_MAX      65521
#define EXIT_BAD_USE 2

static const char usage[] =
    "usage: lanyard vm [OPTION]...\n"
    "       lanyard vm save [--stop] SOCKET NAME\n"
    "       lanyard vm restore NAME [OPTION]...\n"
    "\n"
    "Runs one virtual machine until it powers off or is told to stop.\n"
    "\n"
    "  --name NAME         its name, for messages and addresses (vm)\n"
    "  --engine ENGINE     what executes its instructions: kvm, this "
    "machine's\n"
    "                      CPU; emulate, our own emulator; auto, kvm where "
    "the\n"
    "                      CPU virtualizes and emulate elsewhere (auto)\n"
    "  --memory SIZE       with K, M or G (16M; 512M if it boots a disk)\n"
    "  --vcpus N           virtual CPUs (1)\n"
    "  --kernel FILE       Linux bzImage, ELF or Multiboot kernel (what the\n"
    "                      first disk boots; without one, the tiny guest)\n"
    "  --initrd FILE       initial RAM disk\n"
    "  --cmdline TEXT      kernel command line\n"
    "  --boot PROTOCOL     auto, linux, pvh or multiboot (auto)\n"
    "  --acpi              ACPI tables for a guest with one CPU too\n"
    "  --virtual-clock     time is counted in instructions: two runs are the\n"
    "                      same (--engine emulate, one CPU)\n"
    "  --until-ready       ends when the guest's agent is ready\n"
    "  --exit-port[=PORT]  a guest that writes N there (0xf4) ends the VM "
    "with\n"
    "                      exit code N * 2 + 1, as QEMU's isa-debug-exit\n"
    "  --nic socket=PATH[,mac=MAC][,mtu=BYTES][,queues=N]\n"
    "                      a network card served by the vhost-user back end\n"
    "                      that listens there, with N pairs of queues (1);\n"
    "                      may be repeated\n"
    "  --disk FILE[,ro][,format=raw|qcow2][,id=NAME]\n"
    "                      a disk, vda first: an image if FILE ends in "
    ".qcow2,\n"
    "                      else a raw file or a block device; ro cannot be\n"
    "                      written; may be repeated\n"
    "  --balloon SIZE      asks the guest for so much of its memory (0M is\n"
    "                      fine), and gives what it does not use to the host\n"
    "  --no-rng            no entropy source; the tiny guest has none\n"
    "  --console PATH      COM1 on a Unix socket; - is standard input and\n"
    "                      output (-), where Ctrl-] ends the VM\n"
    "  --agent PATH        COM2 on a Unix socket\n"
    "  --virtio-console PATH\n"
    "                      a console more, hvc0 for Linux, on a Unix socket\n"
    "  --console-log FILE  what the guest writes to COM1, too\n"
    "  --tsc-host          time-stamp counters are as on this host's KVM, "
    "which\n"
    "                      may have no other: for a checkpoint that is to go "
    "on\n"
    "                      there\n"
    "  --control PATH      Unix socket for lanyard vm save\n"
    "  --checkpoints DIR   where a VM without disks that it writes has its\n"
    "                      checkpoints; those with disks are beside them\n"
    "  --restore NAME      begins at that checkpoint; the VM's name, memory,\n"
    "                      CPUs and devices have to be what they were\n"
    "  --save NAME         runs nothing: makes that checkpoint of the VM as it "
    "is,\n"
    "                      off, which is of its disks; from there it starts\n"
    "  --no-sandbox        keeps all rights that the process has, for "
    "debugging\n"
    "  --die-with-parent   ends when the process that started it does\n"
    "  --verbose           says what happens\n"
    "  --help\n"
    "\n"
    "Exit code: 0 powered off or stopped, 1 crashed or could not be run,\n"
    "2 wrong command line or file, an odd one by the exit port.\n";

enum {
	O_NAME = 256,
	O_ENGINE,
	O_MEMORY,
	O_VCPUS,
	O_KERNEL,
	O_INITRD,
	O_CMDLINE,
	O_BOOT,
	O_ACPI,
	O_EXIT_PORT,
	O_VIRTUAL_CLOCK,
	O_UNTIL_READY,
	O_NIC,
	O_DISK,
	O_BALLOON,
	O_NO_RNG,
	O_CONSOLE,
	O_AGENT,
	O_CONSOLE_LOG,
	O_VIRTIO_CONSOLE,
	O_TSC_HOST,
	O_CONTROL,
	O_CHECKPOINTS,
	O_RESTORE,
	O_SAVE,
	O_NO_SANDBOX,
	O_DIE_WITH_PARENT,
	O_VERBOSE,
	O_HELP,
};

static const struct option options[] = {
	{ "name", required_argument, NULL, O_NAME },
	{ "engine", required_argument, NULL, O_ENGINE },
	{ "memory", required_argument, NULL, O_MEMORY },
	{ "vcpus", required_argument, NULL, O_VCPUS },
	{ "kernel", required_argument, NULL, O_KERNEL },
	{ "initrd", required_argument, NULL, O_INITRD },
	{ "cmdline", required_argument, NULL, O_CMDLINE },
	{ "boot", required_argument, NULL, O_BOOT },
	{ "acpi", no_argument, NULL, O_ACPI },
	{ "exit-port", optional_argument, NULL, O_EXIT_PORT },
	{ "virtual-clock", no_argument, NULL, O_VIRTUAL_CLOCK },
	{ "until-ready", no_argument, NULL, O_UNTIL_READY },
	{ "nic", required_argument, NULL, O_NIC },
	{ "disk", required_argument, NULL, O_DISK },
	{ "balloon", required_argument, NULL, O_BALLOON },
	{ "no-rng", no_argument, NULL, O_NO_RNG },
	{ "console", required_argument, NULL, O_CONSOLE },
	{ "agent", required_argument, NULL, O_AGENT },
	{ "console-log", required_argument, NULL, O_CONSOLE_LOG },
	{ "virtio-console", required_argument, NULL, O_VIRTIO_CONSOLE },
	{ "tsc-host", no_argument, NULL, O_TSC_HOST },
	{ "control", required_argument, NULL, O_CONTROL },
	{ "checkpoints", required_argument, NULL, O_CHECKPOINTS },
	{ "restore", required_argument, NULL, O_RESTORE },
	{ "save", required_argument, NULL, O_SAVE },
	{ "no-sandbox", no_argument, NULL, O_NO_SANDBOX },
	{ "die-with-parent", no_argument, NULL, O_DIE_WITH_PARENT },
	{ "verbose", no_argument, NULL, O_VERBOSE },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 },
};

/* A whole decimal number within limits; unit, if not NULL, gets its end. */
static bool
read_number(const char *text, uint64_t least, uint64_t most, const char **unit,
    uint64_t *value)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (unit != NULL)
		*unit = end;
	else if (*end != '\0')
		return false;
	return errno == 0 && *value >= least && *value <= most;
}

static int
read_size(const char *option, const char *text, uint64_t least, uint64_t *bytes,
    struct err *err)
{
	static const struct {
		const char *unit;
		unsigned int shift;
	} units[] = { { "K", 10 }, { "M", 20 }, { "G", 30 } };
	const char *unit = "";
	uint64_t n;

	if (read_number(text, least, UINT32_MAX, &unit, &n))
		for (unsigned int i = 0; i < 3; i++)
			if (strcmp(unit, units[i].unit) == 0) {
				*bytes = n << units[i].shift;
				return 0;
			}
	return err_set(err, -EINVAL,
	    "--%s %s: not a size; use a number with K, M or G, as 16M", option,
	    text);
}

/* One setting of a card; text is "key=value". */
static int
read_nic_setting(struct vm_nic *nic, char *text, struct err *err)
{
	char *value = strchr(text, '=');
	uint64_t n;

	if (value == NULL)
		return err_set(err, -EINVAL,
		    "--nic %s: no value; use socket=PATH, mac=MAC, mtu=BYTES "
		    "or queues=N",
		    text);
	*value++ = '\0';
	if (strcmp(text, "socket") == 0 && *value != '\0') {
		nic->socket = value;
	} else if (strcmp(text, "mac") == 0) {
		if (!mac_read(&nic->mac, value) || mac_is_group(&nic->mac) ||
		    mac_is_zero(&nic->mac))
			return err_set(err, -EINVAL,
			    "--nic mac=%s: not the address of one card; use "
			    "six pairs of hex digits, as 52:54:00:12:34:56",
			    value);
	} else if (strcmp(text, "mtu") == 0) {
		if (!read_number(value, MTU_MIN, MTU_MAX, NULL, &n))
			return err_set(err, -EINVAL,
			    "--nic mtu=%s: out of range; use %d to %d", value,
			    MTU_MIN, MTU_MAX);
		nic->mtu_bytes = (uint16_t)n;
	} else if (strcmp(text, "queues") == 0) {
		if (!read_number(value, 1, VIRTIO_NET_PAIRS_MAX, NULL, &n))
			return err_set(err, -EINVAL,
			    "--nic queues=%s: out of range; use 1 to %d", value,
			    VIRTIO_NET_PAIRS_MAX);
		nic->pairs = (unsigned int)n;
	} else {
		return err_set(err, -EINVAL,
		    "--nic %s=%s: not known; use socket=PATH, mac=MAC, "
		    "mtu=BYTES or queues=N",
		    text, value);
	}
	return 0;
}

/* text is cut up; the card borrows from it. */
static int
read_nic(struct vm_config *config, char *text, struct err *err)
{
	struct vm_nic *nic = &config->nic[config->nnics];
	char *rest = text, *setting;

	if (config->nnics == VM_NICS_MAX)
		return err_set(err, -EINVAL,
		    "--nic %s: one too many; use at most %d", text,
		    VM_NICS_MAX);
	while ((setting = strsep(&rest, ",")) != NULL) {
		int r = read_nic_setting(nic, setting, err);

		if (r < 0)
			return r;
	}
	if (nic->socket == NULL)
		return err_set(err, -EINVAL,
		    "--nic: card %u has no socket; add socket=PATH",
		    config->nnics);
	config->nnics++;
	return 0;
}

/* text is cut up; the disk borrows from it.  A file whose name has a comma is
 * named by a link, or by its device. */
static int
read_disk(struct vm_config *config, char *text, struct err *err)
{
	struct vm_disk *disk = &config->disk[config->ndisks];
	char *rest = text, *setting;

	if (config->ndisks == VM_DISKS_MAX)
		return err_set(err, -EINVAL,
		    "--disk %s: one too many; use at most %d", text,
		    VM_DISKS_MAX);
	disk->path = strsep(&rest, ",");
	if (disk->path[0] == '\0')
		return err_set(err, -EINVAL,
		    "--disk: disk %u has no file; use FILE[,ro]"
		    "[,format=raw|qcow2][,id=NAME]",
		    config->ndisks);
	disk->image = blk_image_named(disk->path);
	while ((setting = strsep(&rest, ",")) != NULL) {
		if (strcmp(setting, "ro") == 0) {
			disk->read_only = true;
		} else if (strcmp(setting, "format=raw") == 0) {
			disk->image = false;
		} else if (strcmp(setting, "format=qcow2") == 0) {
			disk->image = true;
		} else if (strncmp(setting, "id=", 3) == 0 &&
		    strlen(setting) > 3 &&
		    strlen(setting) <= 3 + VM_DISK_ID_BYTES) {
			disk->id = setting + 3;
		} else {
			return err_set(err, -EINVAL,
			    "--disk %s,%s: not known; use ro, format=raw, "
			    "format=qcow2, or id=NAME of at most %d bytes",
			    disk->path, setting, VM_DISK_ID_BYTES);
		}
	}
	config->ndisks++;
	return 0;
}

/* A port's number in C's notation, or NULL: the usual one. */
static int
read_port(const char *text, uint16_t *port, struct err *err)
{
	char *end = NULL;
	unsigned long n = EXIT_PORT_DEFAULT;

	errno = 0;
	if (text != NULL)
		n = strtoul(text, &end, 0);
	if (text != NULL &&
	    (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
		n < 1 || n > 0x10000 - EXIT_PORT_BYTES))
		return err_set(err, -EINVAL,
		    "--exit-port=%s: not a port; use 0x1 to 0x%x, as 0x%x",
		    text, 0x10000 - EXIT_PORT_BYTES, EXIT_PORT_DEFAULT);
	*port = (uint16_t)n;
	return 0;
}

/* What is not wanted. */
struct wishes {
	bool no_rng, no_sandbox;
};

static int
read_option(int option, struct vm_config *config, struct wishes *wishes,
    struct err *err)
{
	uint64_t n;

	switch (option) {
	case O_NAME: config->name = optarg; break;
	case O_ENGINE: config->engine = optarg; break;
	case O_MEMORY:
		return read_size(
		    "memory", optarg, 1, &config->memory_bytes, err);
	case O_VCPUS:
		if (!read_number(optarg, 1, 1024, NULL, &n))
			return err_set(err, -EINVAL,
			    "--vcpus %s: not a number of CPUs; use 1 or more",
			    optarg);
		config->vcpus = (unsigned int)n;
		break;
	case O_KERNEL: config->kernel = optarg; break;
	case O_INITRD: config->initrd = optarg; break;
	case O_CMDLINE: config->cmdline = optarg; break;
	case O_BOOT: config->boot = optarg; break;
	case O_ACPI: config->acpi = true; break;
	case O_EXIT_PORT: return read_port(optarg, &config->exit_port, err);
	case O_VIRTUAL_CLOCK: config->virtual_clock = true; break;
	case O_UNTIL_READY: config->until_ready = true; break;
	case O_NIC: return read_nic(config, optarg, err);
	case O_DISK: return read_disk(config, optarg, err);
	case O_BALLOON:
		config->balloon = true;
		return read_size(
		    "balloon", optarg, 0, &config->balloon_bytes, err);
	case O_NO_RNG: wishes->no_rng = true; break;
	case O_NO_SANDBOX: wishes->no_sandbox = true; break;
	case O_CONSOLE:
		config->console = strcmp(optarg, "-") == 0 ? NULL : optarg;
		break;
	case O_AGENT: config->agent = optarg; break;
	case O_VIRTIO_CONSOLE: config->virtio_console = optarg; break;
	case O_CONSOLE_LOG: config->console_log = optarg; break;
	case O_TSC_HOST: config->tsc_host = true; break;
	case O_CONTROL: config->control = optarg; break;
	case O_CHECKPOINTS: config->checkpoints = optarg; break;
	case O_RESTORE: config->restore = optarg; break;
	case O_SAVE: config->save = optarg; break;
	case O_DIE_WITH_PARENT: prctl(PR_SET_PDEATHSIG, SIGTERM); break;
	case O_VERBOSE: log_set_level(LOG_INFO); break;
	default: /* getopt has said what is wrong */
		return err_set(err, -EINVAL, "try lanyard vm --help");
	}
	return 0;
}

/* A card without an address gets one that follows from its name. */
static void
name_cards(struct vm_config *config)
{
	char name[128];

	for (unsigned int i = 0; i < config->nnics; i++) {
		if (!mac_is_zero(&config->nic[i].mac))
			continue;
		snprintf(name, sizeof(name), "%s.eth%u", config->name, i);
		config->nic[i].mac = mac_of_name(name);
	}
}

/* 1: --help was printed. */
static int
read_options(int argc, char **argv, struct vm_config *config,
    struct wishes *wishes, struct err *err)
{
	int option, r;

	optind = 0; /* our caller may have used getopt */
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == O_HELP) {
			fputs(usage, stdout);
			return 1;
		}
		r = read_option(option, config, wishes, err);
		if (r < 0)
			return r;
	}
	if (optind < argc)
		return err_set(err, -EINVAL,
		    "%s: not an option; try lanyard vm --help", argv[optind]);
	name_cards(config);
	config->from_disk = config->kernel == NULL && config->ndisks > 0;
	/* The tiny guest has its own way to find numbers to begin with. */
	config->rng =
	    (config->kernel != NULL || config->from_disk) && !wishes->no_rng;
	if (config->memory_bytes == 0)
		config->memory_bytes =
		    config->from_disk ? MEMORY_DISK : MEMORY_TINY;
	return 0;
}

/* Errors that somebody who changes a word or a file can mend. */
static bool
is_bad_use(int r)
{
	return r == -EINVAL || r == -ENOEXEC || r == -ENAMETOOLONG;
}

/* Runs it, confined unless that is not wanted. */
static int
run(struct vm_config *config, const struct wishes *wishes, struct err *err)
{
	struct sandbox *sandbox = NULL;
	enum vm_end end;
	int r;

	if (wishes->no_sandbox) {
		log_warn("NO SANDBOX: a guest that takes this process over has "
			 "all rights of uid %d; leave out --no-sandbox",
		    (int)getuid());
	} else {
		sandbox = sandbox_new(sandbox_sanitized, err);
		if (sandbox == NULL)
			return -ENOMEM;
	}
	config->sandbox = sandbox;
	r = vm_run(config, &end, err);
	sandbox_free(sandbox);
	return r;
}

int
vm_command(int argc, char **argv)
{
	static char prefix[128];
	struct vm_config config = {
		.name = "vm", .engine = "auto", .cmdline = "", .vcpus = 1
	};
	struct wishes wishes = { false, false };
	struct err err = { "" };
	int r;

	if (argc > 1 && strcmp(argv[1], "save") == 0)
		return vm_save_command(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "restore") == 0) {
		if (argc < 3 || argv[2][0] == '-') {
			log_error("vm restore needs the name of a checkpoint; "
				  "try lanyard vm --help");
			return EXIT_BAD_USE;
		}
		config.restore = argv[2];
		argc -= 2;
		argv += 2;
	}
	r = read_options(argc, argv, &config, &wishes, &err);
	if (r > 0)
		return 0;
	snprintf(prefix, sizeof(prefix), "vm %s: ", config.name);
	log_set_prefix(prefix);
	if (r == 0) {
		/* Nothing that our parent left open is ours to keep. */
		close_range(3, ~0u, 0);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		signal(SIGPIPE, SIG_IGN);
		r = run(&config, &wishes, &err);
	}
	if (r >= 0)
		return r;
	log_error("%s", err.text);
	return is_bad_use(r) ? EXIT_BAD_USE : EXIT_FAILURE;
}
