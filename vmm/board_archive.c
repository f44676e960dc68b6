/*
 * The board's devices, one after another, each in a section of its own.
 *
 * Lines follow from what the devices say: one that is loaded drives its own.
 * What is on its way between a queue and the guest (a kick, a call, a message)
 * is not kept, since each queue is kicked and called when it goes on.
 */
#include "vmm/board.h"

#include <stdio.h>
#include <string.h>

void
board_pause(struct board *board)
{
	for (unsigned int i = 0; i < board->ndevices; i++)
		virtio_pause(board->device[i].device);
}

void
board_resume(struct board *board)
{
	pthread_mutex_lock(&board->machine.lock);
	for (unsigned int i = 0; i < board->ndevices; i++)
		virtio_resume(board->device[i].device);
	pthread_mutex_unlock(&board->machine.lock);
}

static void
archive_com(struct board_com *com, struct archive *a)
{
	unsigned int most = com->last_words != NULL
	    ? (unsigned int)strlen(com->last_words) - 1
	    : 0;

	archive_uint(a, &com->said, most, "what the agent has said");
	console_archive(com->console, a);
	uart_archive(&com->uart, a);
}

static void
archive_pc(struct board *board, struct archive *a)
{
	for (unsigned int i = 0; i < BOARD_COMS; i++) {
		char name[ARCHIVE_NAME_BYTES];

		snprintf(name, sizeof(name), "com%u", i + 1);
		archive_begin(a, name);
		archive_com(&board->com[i], a);
		archive_finish(a);
	}
	archive_begin(a, "pc");
	cmos_archive(&board->cmos, a);
	power_archive(&board->power, a);
	fw_cfg_archive(&board->fw_cfg, a);
	pci_archive(&board->pci, a);
	archive_finish(a);
}

void
board_archive(struct board *board, struct archive *a)
{
	unsigned int kind = 0;

	pthread_mutex_lock(&board->machine.lock);
	archive_pc(board, a);
	for (unsigned int i = 0; i < board->ndevices; i++) {
		struct board_device *d = &board->device[i];
		char name[ARCHIVE_NAME_BYTES];

		kind = i > 0 && d->kind == d[-1].kind ? kind + 1 : 0;
		snprintf(
		    name, sizeof(name), "%s%u", d->device->ops->name, kind);
		archive_begin(a, name);
		board_archive_device(d, a);
		archive_finish(a);
	}
	pthread_mutex_unlock(&board->machine.lock);
}
