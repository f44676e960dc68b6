/*
 * The board: devices made, wired and put on the buses.
 */
#include "vmm/board.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POST_PORT 0x80

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
}

static bool
com_room(void *arg)
{
	struct board_com *com = arg;

	return com->console == NULL || console_room(com->console);
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

/* A guest's clock is the wall's, whatever its loop's is. */
static uint64_t
wall_seconds(void *arg)
{
	(void)arg;
	return (uint64_t)time(NULL);
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
	    memory->size_bytes - memory->low_bytes, wall_seconds, NULL);
	power_init(&board->power, ask_off, machine);
	bus_range_init(&board->post, &post_bus, NULL, POST_PORT, 1);
	bus_add(&machine->ports, &board->i8042.data);
	bus_add(&machine->ports, &board->i8042.command);
	bus_add(&machine->ports, &board->cmos.range);
	bus_add(&machine->ports, &board->power.range);
	bus_add(&machine->ports, &board->post);
}

/* ---- network cards ---- */

static int
add_nic(struct board *board, const struct vm_nic *config, struct memory *memory,
    struct loop *loop, struct err *err)
{
	struct board_nic *nic = &board->nic[board->nnics];
	char name[16];
	struct virtio_net_setup setup = {
		.name = name,
		.socket = config->socket,
		.fd = -1,
		.mac = config->mac,
		.mtu_bytes = config->mtu_bytes,
		.memory = memory,
		.loop = loop,
		.lock = &board->machine.lock,
	};
	int r;

	snprintf(name, sizeof(name), "eth%u", board->nnics);
	board->nnics++;
	r = virtio_net_init(&nic->net, &setup, err);
	if (r < 0)
		return r;
	return virtio_pci_init(&nic->pci, &nic->net.device, &board->pci,
	    VIRTIO_NET_CLASS, loop, err);
}

/* ---- the whole ---- */

int
board_init(struct board *board, const struct vm_config *config,
    struct memory *memory, struct loop *loop, void (*ask)(void *arg),
    void (*wake)(void *arg), void *arg, struct err *err)
{
	int r;

	memset(board, 0, sizeof(*board));
	machine_init(&board->machine, memory, ask, arg);
	pci_init(&board->pci, &board->machine);
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		add_com(board, i);
	add_pc(board, memory);
	r = add_consoles(board, config, loop, wake, arg, err);
	if (r < 0 || config->nnics == 0)
		return r;
	board->nic = calloc(config->nnics, sizeof(board->nic[0]));
	if (board->nic == NULL)
		return err_sys(err, -ENOMEM, NULL, "network cards");
	for (unsigned int i = 0; r == 0 && i < config->nnics; i++)
		r = add_nic(board, &config->nic[i], memory, loop, err);
	return r;
}

void
board_fini(struct board *board)
{
	for (unsigned int i = 0; i < board->nnics; i++) {
		virtio_pci_fini(&board->nic[i].pci);
		virtio_net_fini(&board->nic[i].net);
	}
	free(board->nic);
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		console_free(board->com[i].console);
	pci_fini(&board->pci);
	machine_fini(&board->machine);
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
	for (unsigned int i = 0; i < board->nnics; i++)
		if (board->nic[i].pci.fn.pci != NULL)
			virtio_pci_reset(&board->nic[i].pci);
	pci_stop(&board->pci);
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		uart_reset(&board->com[i].uart);
	power_reset(&board->power);
	pthread_mutex_unlock(&board->machine.lock);
}

void
board_leave(struct board *board)
{
	pthread_mutex_lock(&board->machine.lock);
	for (unsigned int i = 0; i < board->nnics; i++)
		virtio_net_leave(&board->nic[i].net);
	pthread_mutex_unlock(&board->machine.lock);
}

void
board_work(struct board *board)
{
	for (unsigned int i = 0; i < BOARD_COMS; i++)
		if (board->com[i].console != NULL)
			console_work(board->com[i].console);
}
