#include "lab/vm_args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lab/argv.h"
#include "lab/guest_ip.h"
#include "vmm/linux_image.h"
#include "vmm/vm.h"

#define ARGS_MAX (40 + 2 * (VM_NICS_MAX + VM_DISKS_MAX))

char *
vm_args_cmdline(
    struct arena *arena, const struct lab *lab, const struct lab_vm *vm)
{
	char *line = arena_printf(arena, "lanyard.name=%s", vm->item.name);
	struct segments segments;

	segments_init(&segments, lab);
	segments_join_all(&segments);
	for (unsigned int k = 0; k < vm->nports && line != NULL; k++)
		line = guest_ip_words(arena, &segments, &vm->ports[k], line);
	if (line != NULL && vm->cmdline != NULL)
		line = arena_printf(arena, "%s %s", line, vm->cmdline);
	return line;
}

int
vm_args_file(struct arena *arena, const struct lab *lab,
    const struct lab_vm *vm, const char *path, const char **found,
    struct err *err)
{
	*found = NULL;
	if (path == NULL)
		return 0;
	*found = lab_path(arena, lab, path);
	if (*found != NULL && access(*found, R_OK) < 0)
		return err_sys(err, -errno, "correct its path in the lab file",
		    "vm %s: %s cannot be read", vm->item.name, *found);
	return 0;
}

int
vm_args_disk(struct arena *arena, const struct lab *lab,
    const struct lab_vm *vm, const struct lab_disk *disk, const char **found,
    struct err *err)
{
	int right = disk->read_only ? R_OK : R_OK | W_OK;

	*found = lab_path(arena, lab, disk->file);
	if (*found != NULL && access(*found, right) < 0)
		return err_sys(err, -errno,
		    disk->read_only
			? "correct its path in the lab file"
			: "correct its path in the lab file, or add "
			  "\"read-only: true\"",
		    "vm %s: disk %s cannot be used", vm->item.name, *found);
	return 0;
}

static int
add_file(struct argv *b, const char *name, const struct lab *lab,
    const struct lab_vm *vm, const char *path, struct err *err)
{
	const char *found;
	int e = vm_args_file(b->arena, lab, vm, path, &found, err);

	argv_pair(b, name, found);
	return e;
}

/* The kernel's command line, and its files unless it is built in. */
static int
add_guest(struct argv *b, const struct lab *lab, const struct lab_vm *vm,
    struct err *err)
{
	char *cmdline = vm_args_cmdline(b->arena, lab, vm);
	struct linux_image image;
	int e;

	if (vm->kernel == NULL && vm->guest == GUEST_LINUX) {
		e = linux_image_find(&image, "/proc/self/exe", err);
		if (e < 0)
			return e;
		argv_pair(b, "--kernel", image.kernel);
		argv_pair(b, "--initrd", image.initrd);
		if (cmdline != NULL)
			cmdline = arena_printf(
			    b->arena, "%s %s", image.cmdline, cmdline);
	}
	argv_pair(b, "--cmdline", cmdline);
	e = add_file(b, "--kernel", lab, vm, vm->kernel, err);
	if (e == 0)
		e = add_file(b, "--initrd", lab, vm, vm->initrd, err);
	return e;
}

static void
add_ports(struct argv *b, const struct lab_vm *vm, const char *dir)
{
	struct arena *arena = b->arena;

	for (unsigned int k = 0; k < vm->nports; k++) {
		const struct lab_port *port = &vm->ports[k];
		char mac[MAC_TEXT_BYTES];

		argv_pair(b, "--nic",
		    arena_printf(arena,
			"socket=%s/%s.sock,mac=%s,mtu=%" PRIu64
			",queues=%" PRIu64,
			dir, port->full, mac_text(mac, &port->mac), port->mtu,
			port->queues));
	}
}

static int
add_disks(struct argv *b, const struct lab *lab, const struct lab_vm *vm,
    struct err *err)
{
	for (unsigned int k = 0; k < vm->ndisks; k++) {
		const struct lab_disk *disk = &vm->disks[k];
		const char *found;
		int e = vm_args_disk(b->arena, lab, vm, disk, &found, err);

		if (e < 0)
			return e;
		argv_pair(b, "--disk",
		    found == NULL ? NULL
				  : arena_printf(b->arena, "%s%s", found,
					disk->read_only ? ",ro" : ""));
	}
	return 0;
}

char *
vm_args_checkpoints(struct arena *arena, const struct lab *lab)
{
	char *name = arena_printf(arena, "%s.checkpoints", lab->name);

	return name != NULL ? lab_path(arena, lab, name) : NULL;
}

int
vm_args_make(struct vm_args *args, const struct lab_vm *vm,
    const struct lab *lab, const char *dir, struct err *err)
{
	struct argv *b = &args->line;
	const char *name = vm->item.name;
	char number[UNITS_TEXT_BYTES];
	struct arena *arena = arena_new();
	int e;

	*args = (struct vm_args){ .arena = arena };
	if (arena == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	argv_init(b, arena, ARGS_MAX);
	argv_pair(b, "lanyard", "vm");
	argv_pair(b, "--name", name);
	argv_pair(b, "--engine", lab_engines[vm->engine]);
	argv_pair(b, "--memory", size_text(number, vm->memory_bytes));
	snprintf(number, sizeof(number), "%" PRIu64, vm->vcpus);
	argv_pair(b, "--vcpus", number);
	add_ports(b, vm, dir);
	argv_pair(b, "--console", arena_printf(arena, "%s/%s.con", dir, name));
	argv_pair(b, "--console-log",
	    arena_printf(arena, "%s/%s.console", dir, name));
	argv_pair(b, "--agent", arena_printf(arena, "%s/%s.agent", dir, name));
	argv_pair(b, "--control", arena_printf(arena, "%s/%s.ctl", dir, name));
	argv_pair(b, "--checkpoints", vm_args_checkpoints(arena, lab));
	if (yaml_get(vm->item.node, "balloon") != NULL)
		argv_pair(b, "--balloon",
		    arena_printf(
			arena, "%" PRIu64 "K", vm->balloon_bytes >> 10));
	if (vm->no_sandbox)
		argv_add(b, "--no-sandbox");
	e = add_guest(b, lab, vm, err);
	if (e == 0)
		e = add_disks(b, lab, vm, err);
	if (e == 0 && arena_failed(arena))
		e = err_set(err, -ENOMEM, "out of memory");
	if (e < 0)
		vm_args_free(args);
	return e;
}

json_t *
vm_args_json(const struct lab_vm *vm, const struct lab *lab, const char *dir,
    struct err *err)
{
	struct vm_args args;
	json_t *words;

	if (vm_args_make(&args, vm, lab, dir, err) < 0)
		return NULL;
	words = json_array();
	for (unsigned int i = 0; i < args.line.n; i++)
		json_array_append_new(words, json_string(args.line.word[i]));
	if (json_array_size(words) != args.line.n) {
		err_set(err, -ENOMEM, "out of memory");
		json_decref(words);
		words = NULL;
	}
	vm_args_free(&args);
	return words;
}

void
vm_args_restore(struct vm_args *args, const char *name)
{
	argv_pair(&args->line, "--restore", name);
}

void
vm_args_free(struct vm_args *args)
{
	arena_free(args->arena);
	*args = (struct vm_args){ .arena = NULL };
}
