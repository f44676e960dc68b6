/* libs: vmm disk net base */
/*
 * A saved machine: whatever the bytes say, they are refused with a sentence or
 * become a machine that can be saved again, with the same bytes from then on,
 * and whose devices can go on.
 *
 * The first byte chooses: the input as it is, or what a fresh machine saves,
 * with pieces of the input put over it, which gets past the frame of it.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/fuzz/no_guest.h"
#include "vmm/chips/engine_chips.h"
#include "vmm/le.h"
#include "vmm/vm_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
	struct vm_config config;
	struct memory memory;
	struct loop *loop;
	struct board board;
	struct vm_parts parts;
};

static void
ignore(void *arg)
{
	(void)arg;
}

static void
rig_init(struct rig *rig)
{
	struct engine_config engine = { .memory = &rig->memory,
		.ncpus = 2,
		.chips = true,
		.io = &rig->board.machine.io };
	struct err err = { "" };
	static char console[64];

	/* Standard output is the fuzzer's. */
	snprintf(
	    console, sizeof(console), "/tmp/vm_state_fuzz.%ld", (long)getpid());
	rig->config = (struct vm_config){ .name = "fuzz",
		.cmdline = "",
		.memory_bytes = 2 << 20,
		.vcpus = 2,
		.rng = true,
		.balloon = true,
		.console = console };
	rig->loop = loop_new(LOOP_REAL, &err);
	if (rig->loop == NULL ||
	    memory_init(&rig->memory, rig->config.memory_bytes, &err) < 0 ||
	    board_init(&rig->board, &rig->config, &rig->memory, rig->loop,
		ignore, ignore, NULL, &err) < 0)
		abort();
	rig->parts = (struct vm_parts){ .config = &rig->config,
		.engine = &engine_emulate_pc,
		.board = &rig->board };
	rig->parts.vm = rig->parts.engine->vm_new(&engine, &err);
	for (unsigned int i = 0; i < rig->config.vcpus; i++)
		rig->parts.cpu[i] =
		    rig->parts.engine->cpu_new(rig->parts.vm, &err);
	rig->board.machine.vm = rig->parts.vm;
	board_start(&rig->board);
}

static void
rig_fini(struct rig *rig)
{
	board_stop(&rig->board);
	rig->board.machine.vm = NULL;
	for (unsigned int i = 0; i < rig->config.vcpus; i++)
		rig->parts.engine->cpu_free(rig->parts.cpu[i]);
	rig->parts.engine->vm_free(rig->parts.vm);
	board_fini(&rig->board);
	memory_free(&rig->memory);
	loop_free(rig->loop);
}

static struct archive
save(struct rig *rig)
{
	struct archive a;

	archive_save(&a);
	vm_state_head(&a, &rig->config);
	vm_state_archive(&a, &rig->parts);
	return a;
}

static bool
load(struct rig *rig, const uint8_t *bytes, size_t len)
{
	struct archive a;

	archive_load(&a, bytes, len);
	vm_state_head(&a, &rig->config);
	vm_state_archive(&a, &rig->parts);
	assert(a.failed == (a.err.text[0] != '\0'));
	return !a.failed;
}

/* Steps of four bytes: where, and two bytes to put there. */
static void
patch(struct archive *a, const uint8_t *data, size_t size)
{
	for (; size >= 4; data += 4, size -= 4) {
		size_t at = get_le16(data) % (a->at - 1);

		memcpy(a->bytes + at, data + 2, 2);
	}
}

static void
try(const uint8_t *bytes, size_t len)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_init(rig);
	if (load(rig, bytes, len)) {
		struct archive a;

		board_resume(&rig->board);
		board_pause(&rig->board);
		a = save(rig);
		assert(!a.failed && a.at == len);
		archive_free(&a);
	}
	rig_fini(rig);
	free(rig);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct archive fresh;
	struct archive a;

	log_set_level(LOG_ERROR);
	if (fresh.bytes == NULL) {
		struct rig *rig = calloc(1, sizeof(*rig));

		rig_init(rig);
		fresh = save(rig);
		assert(!fresh.failed);
		rig_fini(rig);
		free(rig);
		try(fresh.bytes, fresh.at);
	}
	if (size < 1)
		return 0;
	if (data[0] & 1) {
		try(data + 1, size - 1);
		return 0;
	}
	a = fresh;
	a.bytes = malloc(fresh.at);
	memcpy(a.bytes, fresh.bytes, fresh.at);
	patch(&a, data + 1, size - 1);
	try(a.bytes, a.at);
	free(a.bytes);
	return 0;
}
