/*
 * The machine is "pc", which has the serial ports, the power switch and the
 * interrupt controllers that our own has, so that the same guests run.  Guest
 * memory is a shared memfd: the fabric maps it.
 *
 * The agent's port waits for the lab to connect before the guest begins, for
 * QEMU throws away what is sent to nobody.  The console's does not, since nobody
 * may ever look; its log has everything.
 *
 * Cards have no MSI-X without hardware: Debian 12's QEMU crashes with vhost-user
 * and MSI-X under TCG.
 *
 * A comma within a value is written twice.
 */
#include "lab/qemu_args.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lab/argv.h"
#include "vmm/blk_image.h"
#include "vmm/linux_image.h"
#include "vmm/tiny_image.h"
#include "vmm/vm.h"

#define ARGS_MAX (60 + 6 * VM_NICS_MAX + 4 * VM_DISKS_MAX)

struct qemu {
	struct argv *argv;
	const struct lab *lab;
	const struct lab_vm *vm;
	const char *dir;
	bool hardware;
};

/* As part of an option's value. */
static const char *
value(struct qemu *q, const char *text)
{
	size_t len = strlen(text), n = 0;
	char *out = arena_array(q->argv->arena, 2 * len + 1, 1);

	for (size_t i = 0; out != NULL && i < len; i++) {
		if (text[i] == ',')
			out[n++] = ',';
		out[n++] = text[i];
	}
	return out;
}

static void
add_machine(struct qemu *q)
{
	struct arena *arena = q->argv->arena;
	uint64_t bytes = q->vm->memory_bytes;

	argv_pair(q->argv, "-name", value(q, q->vm->item.name));
	argv_add(q->argv, "-no-user-config");
	argv_add(q->argv, "-nodefaults");
	argv_pair(q->argv, "-display", "none");
	argv_pair(q->argv, "-machine", "pc,memory-backend=ram");
	argv_pair(q->argv, "-accel", q->hardware ? "kvm" : "tcg");
	argv_pair(q->argv, "-cpu", q->hardware ? "host" : "max");
	argv_pair(q->argv, "-m",
	    arena_printf(arena, "size=%" PRIu64 "k", bytes >> 10));
	argv_pair(q->argv, "-object",
	    arena_printf(arena,
		"memory-backend-memfd,id=ram,size=%" PRIu64 "k,share=on",
		bytes >> 10));
	argv_pair(
	    q->argv, "-smp", arena_printf(arena, "%" PRIu64, q->vm->vcpus));
	if (!q->vm->no_sandbox)
		argv_pair(q->argv, "-sandbox",
		    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
		    "resourcecontrol=deny");
}

static void
add_serial(struct qemu *q)
{
	struct arena *arena = q->argv->arena;
	const char *dir = value(q, q->dir), *name = q->vm->item.name;

	argv_pair(q->argv, "-chardev",
	    arena_printf(arena,
		"socket,id=console,path=%s/%s.con,server=on,wait=off,"
		"logfile=%s/%s.console",
		dir, name, dir, name));
	argv_pair(q->argv, "-serial", "chardev:console");
	argv_pair(q->argv, "-chardev",
	    arena_printf(arena,
		"socket,id=agent,path=%s/%s.agent,server=on,wait=on", dir,
		name));
	argv_pair(q->argv, "-serial", "chardev:agent");
}

static void
add_port(struct qemu *q, const struct lab_port *port)
{
	struct arena *arena = q->argv->arena;
	const char *name = port->item.name;
	const char *vectors = q->hardware ? "" : ",vectors=0";
	char mac[MAC_TEXT_BYTES];

	argv_pair(q->argv, "-chardev",
	    arena_printf(arena, "socket,id=%s-port,path=%s/%s.sock", name,
		value(q, q->dir), port->full));
	argv_pair(q->argv, "-netdev",
	    arena_printf(arena,
		"vhost-user,id=%s-net,chardev=%s-port,queues=%" PRIu64, name,
		name, port->queues));
	argv_pair(q->argv, "-device",
	    arena_printf(arena,
		"virtio-net-pci,disable-legacy=on,netdev=%s-net,mac=%s,"
		"host_mtu=%" PRIu64 ",mq=%s%s",
		name, mac_text(mac, &port->mac), port->mtu,
		port->queues > 1 ? "on" : "off", vectors));
}

static int
add_disk(struct qemu *q, unsigned int k, struct err *err)
{
	struct arena *arena = q->argv->arena;
	const struct lab_disk *disk = &q->vm->disks[k];
	const char *found;
	int e = vm_args_disk(arena, q->lab, q->vm, disk, &found, err);

	if (e < 0 || found == NULL)
		return e;
	argv_pair(q->argv, "-drive",
	    arena_printf(arena,
		"if=none,id=drive%u,format=%s,file=%s,read-only=%s,"
		"discard=unmap",
		k, blk_image_named(found) ? "qcow2" : "raw", value(q, found),
		disk->read_only ? "on" : "off"));
	argv_pair(q->argv, "-device",
	    arena_printf(arena,
		"virtio-blk-pci,disable-legacy=on,drive=drive%u,serial=disk%u"
		"%s",
		k, k, k == 0 ? ",bootindex=1" : ""));
	return 0;
}

/* The guest that is part of this program, as a file for QEMU. */
static int
write_tiny(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t bytes = (size_t)tiny_image_bytes;
	int e = 0;

	if (fd < 0)
		return err_sys(err, -errno, NULL, "%s", path);
	if (write(fd, tiny_image, bytes) != (ssize_t)bytes)
		e = err_sys(err, errno != 0 ? -errno : -EIO, NULL, "%s", path);
	close(fd);
	return e;
}

static int
add_kernel(struct qemu *q, struct err *err)
{
	struct arena *arena = q->argv->arena;
	const char *cmdline = vm_args_cmdline(arena, q->lab, q->vm);
	const char *kernel = NULL, *initrd = NULL;
	struct linux_image image;
	int e = 0;

	if (q->vm->kernel != NULL) {
		e = vm_args_file(
		    arena, q->lab, q->vm, q->vm->kernel, &kernel, err);
		if (e == 0)
			e = vm_args_file(
			    arena, q->lab, q->vm, q->vm->initrd, &initrd, err);
	} else if (q->vm->guest == GUEST_LINUX) {
		e = linux_image_find(&image, "/proc/self/exe", err);
		if (e == 0) {
			kernel = image.kernel;
			initrd = image.initrd;
			cmdline = arena_printf(arena, "%s %s", image.cmdline,
			    cmdline != NULL ? cmdline : "");
		}
	} else if (q->vm->guest == GUEST_TINY) {
		kernel =
		    arena_printf(arena, "%s/%s.elf", q->dir, q->vm->item.name);
		if (kernel != NULL)
			e = write_tiny(kernel, err);
	} else {
		return 0; /* the disk's own */
	}
	argv_pair(q->argv, "-kernel", kernel);
	argv_pair(q->argv, "-initrd", initrd);
	argv_pair(q->argv, "-append", cmdline);
	return e;
}

int
qemu_args_make(struct vm_args *args, const struct lab_vm *vm,
    const struct lab *lab, const char *dir, bool hardware, struct err *err)
{
	struct arena *arena = arena_new();
	struct qemu q = { .argv = &args->line,
		.lab = lab,
		.vm = vm,
		.dir = dir,
		.hardware = hardware };
	int e;

	*args = (struct vm_args){ .arena = arena, .program = QEMU_PROGRAM };
	if (arena == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	argv_init(q.argv, arena, ARGS_MAX);
	argv_add(q.argv, QEMU_PROGRAM);
	add_machine(&q);
	add_serial(&q);
	for (unsigned int k = 0; k < vm->nports; k++)
		add_port(&q, &vm->ports[k]);
	e = add_kernel(&q, err);
	for (unsigned int k = 0; e == 0 && k < vm->ndisks; k++)
		e = add_disk(&q, k, err);
	if (vm->kernel != NULL || vm->guest != GUEST_TINY)
		argv_pair(
		    q.argv, "-device", "virtio-rng-pci,disable-legacy=on");
	if (e == 0 && arena_failed(arena))
		e = err_set(err, -ENOMEM, "out of memory");
	if (e < 0)
		vm_args_free(args);
	return e;
}
