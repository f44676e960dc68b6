/*
 * Chips come before the CPUs, as engines want it, and devices before the CPUs,
 * too: interrupts that they cause while they are loaded are lost when the local
 * APICs become what they were.  Their queues are called when they go on.
 */
#include "vmm/vm_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/engine_archive.h"

static const char magic[] = "lanyard machine\n";
#define MAGIC_BYTES (sizeof(magic) - 1)

/* ---- what it is made of ---- */

static void
archive_card(struct archive *a, const struct vm_nic *nic, unsigned int i)
{
	char what[40], was[MAC_TEXT_BYTES], is[MAC_TEXT_BYTES];
	struct mac mac = nic->mac;

	archive_bytes(a, mac.b, sizeof(mac.b));
	if (memcmp(mac.b, nic->mac.b, sizeof(mac.b)) != 0)
		archive_fail(a,
		    "the address of card %u was %s and is %s here; make it "
		    "the same",
		    i, mac_text(was, &mac), mac_text(is, &nic->mac));
	snprintf(what, sizeof(what), "the MTU of card %u", i);
	archive_same(a, nic->mtu_bytes, what);
}

static void
archive_disk(struct archive *a, const struct vm_disk *disk, unsigned int i)
{
	bool read_only = disk->read_only;

	archive_bool(a, &read_only);
	if (read_only != disk->read_only)
		archive_fail(a, "disk %u could %s be written; make it the same",
		    i, read_only ? "not" : "then");
}

static void
archive_made_of(struct archive *a, const struct vm_config *config)
{
	archive_same(a, config->memory_bytes, "memory in bytes");
	archive_same(a, config->vcpus, "the number of CPUs");
	archive_same(a, config->nnics, "the number of network cards");
	archive_same(a, config->ndisks, "the number of disks");
	archive_same(a, config->rng, "the number of entropy sources");
	archive_same(a, config->balloon, "the number of balloons");
	archive_same(
	    a, config->virtio_console != NULL, "the number of virtio consoles");
	archive_same(a, config->exit_port, "the exit port");
	for (unsigned int i = 0; i < config->nnics; i++)
		archive_card(a, &config->nic[i], i);
	for (unsigned int i = 0; i < config->ndisks; i++)
		archive_disk(a, &config->disk[i], i);
}

void
vm_state_head(struct archive *a, const struct vm_config *config)
{
	char found[MAGIC_BYTES];
	uint32_t version = VM_STATE_VERSION;

	memcpy(found, magic, MAGIC_BYTES);
	archive_bytes(a, found, MAGIC_BYTES);
	if (memcmp(found, magic, MAGIC_BYTES) != 0)
		archive_fail(a, "this is no saved machine");
	archive_u32(a, &version);
	if (version != VM_STATE_VERSION)
		archive_fail(a,
		    "was saved in format %" PRIu32
		    ", and this lanyard reads format %d; use the one that "
		    "saved it",
		    version, VM_STATE_VERSION);
	archive_begin(a, "machine");
	archive_made_of(a, config);
	archive_finish(a);
}

/* ---- what it does ---- */

static void
refused(struct archive *a, const struct err *err)
{
	archive_fail(a, "%s", err->text);
}

static void
archive_chips(struct archive *a, const struct vm_parts *parts)
{
	const struct engine *engine = parts->engine;
	struct chips_state *chips = calloc(1, sizeof(*chips));
	struct err err = { "" };

	archive_begin(a, "chips");
	if (chips == NULL)
		archive_fail(a, "out of memory");
	if (!a->failed && !a->loads &&
	    engine->chips_get(parts->vm, chips, &err) < 0)
		refused(a, &err);
	if (chips != NULL)
		chips_archive(chips, a);
	if (!a->failed && a->loads &&
	    engine->chips_set(parts->vm, chips, &err) < 0)
		refused(a, &err);
	archive_finish(a);
	free(chips);
}

static void
archive_cpu(struct archive *a, const struct vm_parts *parts, unsigned int i)
{
	const struct engine *engine = parts->engine;
	struct cpu_state *cpu = calloc(1, sizeof(*cpu));
	char name[ARCHIVE_NAME_BYTES];
	struct err err = { "" };

	snprintf(name, sizeof(name), "cpu%u", i);
	archive_begin(a, name);
	if (cpu == NULL)
		archive_fail(a, "out of memory");
	if (!a->failed && !a->loads &&
	    engine->state_get(parts->cpu[i], cpu, &err) < 0)
		refused(a, &err);
	if (cpu != NULL)
		cpu_archive(cpu, a);
	if (!a->failed && a->loads &&
	    engine->state_set(parts->cpu[i], cpu, &err) < 0)
		refused(a, &err);
	archive_finish(a);
	free(cpu);
}

void
vm_state_archive(struct archive *a, const struct vm_parts *parts)
{
	archive_chips(a, parts);
	board_archive(parts->board, a);
	for (unsigned int i = 0; i < parts->config->vcpus; i++)
		archive_cpu(a, parts, i);
	if (a->loads && !a->failed && a->at != a->whole)
		archive_fail(a, "has more than is known of it");
}
