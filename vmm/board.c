/*
 * The board: devices made, wired and put on the buses.
 */
#include "vmm/board.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/blk_file.h"
#include "vmm/blk_image.h"
#include "vmm/virtio_balloon.h"
#include "vmm/virtio_blk.h"
#include "vmm/virtio_console.h"
#include "vmm/virtio_net.h"
#include "vmm/virtio_rng.h"

#define POST_PORT 0x80

/* What the agent on COM2 says when it has begun. */
#define AGENT_READY "\x1eready\n"

static const struct {
	uint16_t port;
	uint8_t line;
} com_place[BOARD_COMS] = { { 0x3f8, 4 }, { 0x2f8, 3 } };

/* ---- serial ports ---- */

static void
com_put(void *arg, uint8_t byte)
{
	struct board_com *com = arg;

	if (com->console != NULL)
		console_put(com->console, byte);
	if (com->last_words == NULL)
		return;
	if (byte == (uint8_t)com->last_words[com->said])
		com->said++;
	else
		com->said = byte == (uint8_t)com->last_words[0];
	if (com->last_words[com->said] == '\0') {
		com->said = 0;
		machine_ask(com->machine, MACHINE_STOP);
	}
}

static bool
com_room(void *arg)
{
	struct board_com *com = arg;

	/* Whether somebody reads in time is nothing a virtual clock can know:
	 * the ring then loses its oldest bytes. */
	return com->console == NULL || com->always_room ||
	    console_room(com->console);
}

static bool
com_get(void *arg, uint8_t *byte)
{
	struct board_com *com = arg;

	return com->console != NULL && console_get(com->console, byte);
}

static void
com_line(void *arg, bool level)
{
	struct board_com *com = arg;

	machine_irq(com->machine, com->line, level);
}

static const struct uart_ops com_ops = { com_put, com_room, com_get, com_line };

static void
com_input(void *arg)
{
	struct board_com *com = arg;

	uart_receive(&com->uart);
}

static void
com_drained(void *arg)
{
	struct board_com *com = arg;

	uart_send_on(&com->uart);
}

static void
add_com(struct board *board, unsigned int i)
{
	struct board_com *com = &board->com[i];

	com->machine = &board->machine;
	com->line = com_place[i].line;
	uart_init(&com->uart, com_place[i].port, &com_ops, com);
	bus_add(&board->machine.ports, &com->uart.range);
}

static int
add_consoles(struct board *board, const struct vm_config *config,
    struct loop *loop, void (*wake)(void *arg), void *arg, struct err *err)
{
	for (unsigned int i = 0; i < BOARD_COMS; i++) {
		struct console_config c = {
			.loop = loop,
			.lock = &board->machine.lock,
			.socket = i == 0 ? config->console : config->agent,
			.stdio = i == 0 && config->console == NULL,
			.log = i == 0 ? config->console_log : NULL,
			.patience_ns = CONSOLE_PATIENCE_NS,
			.input = com_input,
			.drained = com_drained,
			.wake = wake,
			.arg = &board->com[i],
			.wake_arg = arg,
		};

		if (c.socket == NULL && !c.stdio && c.log == NULL)
			continue;
		board->com[i].console = console_new(&c, err);
		if (board->com[i].console == NULL)
			return -EIO;
	}
	return 0;
}

/* ---- the rest of a PC ---- */

static void
ask_reset(void *arg)
{
	machine_ask(arg, MACHINE_RESET);
}

static void
ask_off(void *arg)
{
	machine_ask(arg, MACHINE_OFF);
}

/* A guest's clock is the wall's, whatever its loop's is, unless it is
 * virtual. */
static uint64_t
wall_seconds(void *arg)
{
	const struct board *board = arg;
	const struct engine_vm *vm = board->machine.vm;

	if (!board->virtual_clock)
		return (uint64_t)time(NULL);
	return ENGINE_VIRTUAL_START_S +
	    (vm == NULL ? 0 : vm->engine->virtual_ns(vm) / NS_PER_S);
}

static uint64_t
post_read(void *arg, uint64_t offset, unsigned int bytes)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	return 0xff;
}

static void
post_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	(void)value; /* kernels write here to pass some time */
}

static const struct bus_ops post_bus = { post_read, post_write, 1 };

static void
add_pc(struct board *board, const struct memory *memory)
{
	struct machine *machine = &board->machine;

	i8042_init(&board->i8042, ask_reset, machine);
	cmos_init(&board->cmos, memory->low_bytes,
	    memory->size_bytes - memory->low_bytes, wall_seconds, board);
	power_init(&board->power, ask_off, machine);
	bus_range_init(&board->post, &post_bus, NULL, POST_PORT, 1);
	bus_add(&machine->ports, &board->i8042.data);
	bus_add(&machine->ports, &board->i8042.command);
	bus_add(&machine->ports, &board->i8042.fast);
	bus_add(&machine->ports, &board->cmos.range);
	bus_add(&machine->ports, &board->power.range);
	bus_add(&machine->ports, &board->post);
}

static void
ask_exit(void *arg)
{
	machine_ask(arg, MACHINE_EXIT);
}

/* What helps kernels that know QEMU. */
static int
add_test_ports(struct board *board, const struct vm_config *config,
    const struct memory *memory, struct err *err)
{
	struct machine *machine = &board->machine;

	fw_cfg_init(&board->fw_cfg, memory, config->vcpus,
	    config->cmdline != NULL ? config->cmdline : "");
	bus_add(&machine->ports, &board->fw_cfg.range);
	if (config->exit_port == 0)
		return 0;
	exit_port_init(&board->exit_port, config->exit_port, ask_exit, machine);
	if (bus_add(&machine->ports, &board->exit_port.range) < 0)
		return err_set(err, -EINVAL,
		    "exit port 0x%x: another device has one of the %d ports "
		    "from there; use 0x%x",
		    config->exit_port, EXIT_PORT_BYTES, EXIT_PORT_DEFAULT);
	return 0;
}

/* ---- virtio devices ---- */

/* What they are made of. */
struct parts {
	const struct vm_config *config;
	struct memory *memory;
	struct machine *machine;
	struct loop *loop;
	void (*wake)(void *arg); /* lets board_work() be called */
	void *wake_arg;
};

/* A kind of them.  Their structs begin with a struct virtio_device and are all
 * zeros before init; fini is fine after any init. */
struct board_kind {
	size_t bytes;
	uint32_t class_code;
	unsigned int (*count)(const struct vm_config *config);
	int (*init)(struct virtio_device *device, const struct parts *parts,
	    unsigned int i, struct err *err);
	void (*fini)(struct virtio_device *device);
	/* The machine ends: nothing need be given back.  With the lock. */
	void (*leave)(struct virtio_device *device);
	/* Returns when its threads have no use for the engine any more. */
	void (*settle)(struct virtio_device *device);
	/* What it left to the loop's thread.  Without the lock. */
	void (*work)(struct virtio_device *device);
	/* What it is besides a virtio device.  With the lock. */
	void (*archive)(struct virtio_device *device, struct archive *a);
};

static unsigned int
count_nics(const struct vm_config *config)
{
	return config->nnics;
}

static int
init_nic(struct virtio_device *device, const struct parts *parts,
    unsigned int i, struct err *err)
{
	const struct vm_nic *nic = &parts->config->nic[i];
	char name[16];
	struct virtio_net_setup setup = {
		.name = name,
		.socket = nic->socket,
		.fd = -1,
		.mac = nic->mac,
		.mtu_bytes = nic->mtu_bytes,
		.pairs = nic->pairs,
		.machine = parts->machine,
		.loop = parts->loop,
	};

	snprintf(name, sizeof(name), "eth%u", i);
	return virtio_net_init((struct virtio_net *)device, &setup, err);
}

static void
fini_nic(struct virtio_device *device)
{
	virtio_net_fini((struct virtio_net *)device);
}

static void
leave_nic(struct virtio_device *device)
{
	virtio_net_leave((struct virtio_net *)device);
}

static unsigned int
count_disks(const struct vm_config *config)
{
	return config->ndisks;
}

static int
init_disk(struct virtio_device *device, const struct parts *parts,
    unsigned int i, struct err *err)
{
	const struct vm_disk *disk = &parts->config->disk[i];
	char name[16];
	struct virtio_blk_setup setup = { .name = name,
		.id = disk->id,
		.store = disk->image
		    ? blk_image_open(disk->path, disk->read_only,
			  parts->machine->sandbox, err)
		    : blk_file_open(disk->path, disk->read_only, err),
		.machine = parts->machine };

	if (setup.store == NULL)
		return -EINVAL; /* another path may do */
	snprintf(name, sizeof(name), "disk%u", i);
	return virtio_blk_init((struct virtio_blk *)device, &setup, err);
}

static void
fini_disk(struct virtio_device *device)
{
	virtio_blk_fini((struct virtio_blk *)device);
}

static void
settle_disk(struct virtio_device *device)
{
	virtio_blk_settle((struct virtio_blk *)device);
}

/* Entropy would end the sameness of runs, and so would a device that the loop's
 * thread serves when it comes to it. */
static unsigned int
count_rngs(const struct vm_config *config)
{
	return config->rng && !config->virtual_clock;
}

static int
init_rng(struct virtio_device *device, const struct parts *parts,
    unsigned int i, struct err *err)
{
	(void)i;
	return virtio_rng_init(
	    (struct virtio_rng *)device, parts->machine, parts->loop, err);
}

static void
fini_rng(struct virtio_device *device)
{
	virtio_rng_fini((struct virtio_rng *)device);
}

static unsigned int
count_balloons(const struct vm_config *config)
{
	return config->balloon && !config->virtual_clock;
}

static int
init_balloon(struct virtio_device *device, const struct parts *parts,
    unsigned int i, struct err *err)
{
	(void)i;
	return virtio_balloon_init((struct virtio_balloon *)device,
	    parts->machine, parts->config->balloon_bytes, parts->loop, err);
}

static void
fini_balloon(struct virtio_device *device)
{
	virtio_balloon_fini((struct virtio_balloon *)device);
}

/* As an entropy source, it is served when the loop comes to it. */
static unsigned int
count_consoles(const struct vm_config *config)
{
	return config->virtio_console != NULL && !config->virtual_clock;
}

static int
init_console(struct virtio_device *device, const struct parts *parts,
    unsigned int i, struct err *err)
{
	const struct virtio_console_setup setup = {
		.socket = parts->config->virtio_console,
		.machine = parts->machine,
		.loop = parts->loop,
		.wake = parts->wake,
		.wake_arg = parts->wake_arg,
	};

	(void)i;
	return virtio_console_init(
	    (struct virtio_console *)device, &setup, err);
}

static void
fini_console(struct virtio_device *device)
{
	virtio_console_fini((struct virtio_console *)device);
}

static void
work_console(struct virtio_device *device)
{
	virtio_console_work((struct virtio_console *)device);
}

static void
archive_console(struct virtio_device *device, struct archive *a)
{
	virtio_console_archive((struct virtio_console *)device, a);
}

/* In the order of their slots. */
static const struct board_kind kinds[] = {
	{ sizeof(struct virtio_net), VIRTIO_NET_CLASS, count_nics, init_nic,
	    fini_nic, .leave = leave_nic },
	{ sizeof(struct virtio_blk), VIRTIO_BLK_CLASS, count_disks, init_disk,
	    fini_disk, .settle = settle_disk },
	{ sizeof(struct virtio_rng), VIRTIO_RNG_CLASS, count_rngs, init_rng,
	    fini_rng, .leave = NULL },
	{ sizeof(struct virtio_balloon), VIRTIO_BALLOON_CLASS, count_balloons,
	    init_balloon, fini_balloon, .leave = NULL },
	{ sizeof(struct virtio_console), VIRTIO_CONSOLE_CLASS, count_consoles,
	    init_console, fini_console, .work = work_console,
	    .archive = archive_console },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int
add_device(struct board *board, const struct board_kind *kind,
    const struct parts *parts, unsigned int i, struct err *err)
{
	struct board_device *d = &board->device[board->ndevices];
	int r;

	d->kind = kind;
	d->device = calloc(1, kind->bytes);
	if (d->device == NULL)
		return err_sys(err, -ENOMEM, NULL, "virtio devices");
	board->ndevices++;
	r = kind->init(d->device, parts, i, err);
	if (r < 0)
		return r;
	return virtio_pci_init(&d->pci, d->device, &board->pci,
	    kind->class_code, parts->loop, err);
}

static int
add_devices(struct board *board, const struct parts *parts, struct err *err)
{
	unsigned int n = 0;
	int r = 0;

	for (unsigned int k = 0; k < KINDS; k++)
		n += kinds[k].count(parts->config);
	board->device = calloc(n + 1, sizeof(board->device[0]));
	if (board->device == NULL)
		return err_sys(err, -ENOMEM, NULL, "virtio devices");
	for (unsigned int k = 0; k < KINDS; k++)
		for (unsigned int i = 0;
		     r == 0 && i < kinds[k].count(parts->config); i++)
			r = add_device(board, &kinds[k], parts, i, err);
	return r;
}

/* ---- the whole ---- */

int
board_init(struct board *board, const struct vm_config *config,
    struct memory *memory, struct loop *loop, void (*ask)(void *arg),
    void (*wake)(void *arg), void *arg, struct err *err)
{
	const struct parts parts = { .config = config,
		.memory = memory,
		.machine = &board->machine,
		.loop = loop,
		.wake = wake,
		.wake_arg = arg };
	int r;

	memset(board, 0, sizeof(*board));
	machine_init(&board->machine, memory, ask, arg);
	board->machine.sandbox = config->sandbox;
	pci_init(&board->pci, &board->machine);
	board->virtual_clock = config->virtual_clock;
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		add_com(board, i);
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		board->com[i].always_room = config->virtual_clock;
	if (config->until_ready)
		board->com[1].last_words = AGENT_READY;
	add_pc(board, memory);
	r = add_test_ports(board, config, memory, err);
	if (r == 0)
		r = add_consoles(board, config, loop, wake, arg, err);
	return r < 0 ? r : add_devices(board, &parts, err);
}

void
board_fini(struct board *board)
{
	for (unsigned int i = 0; i < board->ndevices; i++) {
		struct board_device *d = &board->device[i];

		virtio_pci_fini(&d->pci);
		d->kind->fini(d->device);
		free(d->device);
	}
	free(board->device);
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		console_free(board->com[i].console);
	pci_fini(&board->pci);
	machine_fini(&board->machine);
}

struct blk_store *
board_disk(const struct board *board, unsigned int n)
{
	for (unsigned int i = 0; i < board->ndevices; i++)
		if (board->device[i].kind->init == init_disk && n-- == 0)
			return ((struct virtio_blk *)board->device[i].device)
			    ->store;
	return NULL;
}

void
board_start(struct board *board)
{
	pthread_mutex_lock(&board->machine.lock);
	pci_start(&board->pci);
	pthread_mutex_unlock(&board->machine.lock);
}

void
board_stop(struct board *board)
{
	pthread_mutex_lock(&board->machine.lock);
	for (unsigned int i = 0; i < board->ndevices; i++)
		if (board->device[i].pci.fn.pci != NULL)
			virtio_pci_reset(&board->device[i].pci);
	pci_stop(&board->pci);
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		uart_reset(&board->com[i].uart);
	power_reset(&board->power);
	fw_cfg_reset(&board->fw_cfg);
	pthread_mutex_unlock(&board->machine.lock);
	for (unsigned int i = 0; i < board->ndevices; i++)
		if (board->device[i].kind->settle != NULL)
			board->device[i].kind->settle(board->device[i].device);
}

void
board_leave(struct board *board)
{
	pthread_mutex_lock(&board->machine.lock);
	for (unsigned int i = 0; i < board->ndevices; i++)
		if (board->device[i].kind->leave != NULL)
			board->device[i].kind->leave(board->device[i].device);
	pthread_mutex_unlock(&board->machine.lock);
}

void
board_work(struct board *board)
{
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		if (board->com[i].console != NULL)
			console_work(board->com[i].console);
	for (unsigned int i = 0; i < board->ndevices; i++)
		if (board->device[i].kind->work != NULL)
			board->device[i].kind->work(board->device[i].device);
}

void
board_archive_device(struct board_device *device, struct archive *a)
{
	virtio_pci_archive(&device->pci, a);
	if (device->kind->archive != NULL)
		device->kind->archive(device->device, a);
}
