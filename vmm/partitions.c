/*
 * Either table, or none.
 *
 * An MBR that has a partition of type 0xee says that there is a GPT; where both
 * copies of that are damaged, the MBR's others are what is left.  Sectors have
 * 512 bytes, as virtio-blk gives them.
 *
 * Logical partitions are a chain through the extended one, whose links count
 * from its start.  A link that leads back would go round for ever, so that the
 * number of steps ends it.
 */
#include "vmm/partitions.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "vmm/le.h"

#define SECTOR      512
#define MBR_TABLE   446
#define MBR_ENTRY   16
#define MBR_ENTRIES 4
#define TYPE_GPT    0xee

#define GPT_HEADER_MIN  92
#define GPT_ENTRY_MIN   128
#define GPT_TABLE_BYTES (1u << 20) /* more of a table is not believed */

static bool
is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* What lies within the disk. */
static void
add(struct partitions *p, const struct partitions_disk *disk,
    unsigned int number, uint64_t sector, uint64_t sectors)
{
	uint64_t all = disk->bytes / SECTOR;

	if (p->n == PARTITIONS_MAX || sectors == 0 || sector == 0 ||
	    sector >= all || sectors > all - sector)
		return;
	p->list[p->n++] =
	    (struct partition){ number, sector * SECTOR, sectors * SECTOR };
}

/* ---- GPT ---- */

struct gpt {
	uint64_t table; /* its sector */
	uint32_t entries, entry_bytes, checksum;
};

static bool
read_header(struct gpt *gpt, uint8_t sector[SECTOR], uint64_t at)
{
	uint32_t bytes = get_le32(sector + 12),
		 checksum = get_le32(sector + 16);

	if (memcmp(sector, "EFI PART", 8) != 0 || bytes < GPT_HEADER_MIN ||
	    bytes > SECTOR || get_le64(sector + 24) != at)
		return false;
	memset(sector + 16, 0, 4);
	if (crc32(0, sector, bytes) != checksum)
		return false;
	*gpt = (struct gpt){ .table = get_le64(sector + 72),
		.entries = get_le32(sector + 80),
		.entry_bytes = get_le32(sector + 84),
		.checksum = get_le32(sector + 88) };
	return gpt->entries > 0 && gpt->entry_bytes >= GPT_ENTRY_MIN &&
	    gpt->entry_bytes % 8 == 0 &&
	    (uint64_t)gpt->entries * gpt->entry_bytes <= GPT_TABLE_BYTES;
}

static void
add_entries(struct partitions *p, const struct partitions_disk *disk,
    const struct gpt *gpt, const uint8_t *table)
{
	static const uint8_t unused[16];

	for (uint32_t i = 0; i < gpt->entries; i++) {
		const uint8_t *entry = table + (size_t)i * gpt->entry_bytes;
		uint64_t first = get_le64(entry + 32);
		uint64_t last = get_le64(entry + 40);

		if (memcmp(entry, unused, sizeof(unused)) != 0 &&
		    last >= first && last < UINT64_MAX)
			add(p, disk, i + 1, first, last - first + 1);
	}
}

/* The copy whose header is at sector.  1: it is good, 0: it is not. */
static int
read_gpt(struct partitions *p, const struct partitions_disk *disk, uint64_t at)
{
	uint8_t sector[SECTOR], *table;
	uint64_t all = disk->bytes / SECTOR;
	struct gpt gpt;
	size_t bytes, room;
	int r = disk->read(disk->arg, at * SECTOR, sector, sizeof(sector));

	if (r < 0)
		return r;
	if (!read_header(&gpt, sector, at))
		return 0;
	bytes = (size_t)gpt.entries * gpt.entry_bytes;
	room = (bytes + SECTOR - 1) / SECTOR * SECTOR;
	if (gpt.table >= all || room / SECTOR > all - gpt.table)
		return 0;
	table = malloc(room);
	if (table == NULL)
		return 0;
	r = disk->read(disk->arg, gpt.table * SECTOR, table, room);
	if (r == 0 && crc32(0, table, (uInt)bytes) == gpt.checksum) {
		add_entries(p, disk, &gpt, table);
		r = 1;
	}
	free(table);
	return r;
}

/* ---- MBR ---- */

static bool
has_table(const uint8_t mbr[SECTOR])
{
	if (mbr[510] != 0x55 || mbr[511] != 0xaa)
		return false;
	/* A file system's boot sector ends so, too. */
	for (unsigned int i = 0; i < MBR_ENTRIES; i++)
		if (mbr[MBR_TABLE + i * MBR_ENTRY] & 0x7f)
			return false;
	return true;
}

static int
read_logical(
    struct partitions *p, const struct partitions_disk *disk, uint64_t extended)
{
	uint64_t all = disk->bytes / SECTOR, at = extended;
	uint8_t sector[SECTOR];

	for (unsigned int number = MBR_ENTRIES + 1;
	     number <= PARTITIONS_MAX && at < all; number++) {
		const uint8_t *first = sector + MBR_TABLE;
		const uint8_t *next = first + MBR_ENTRY;
		int r =
		    disk->read(disk->arg, at * SECTOR, sector, sizeof(sector));

		if (r < 0)
			return r;
		if (!has_table(sector))
			return 0;
		add(p, disk, number, at + get_le32(first + 8),
		    get_le32(first + 12));
		if (!is_extended(next[4]) || get_le32(next + 8) == 0)
			return 0;
		at = extended + get_le32(next + 8);
	}
	return 0;
}

static int
read_mbr(struct partitions *p, const struct partitions_disk *disk,
    const uint8_t mbr[SECTOR])
{
	int r = 0;

	for (unsigned int i = 0; i < MBR_ENTRIES; i++) {
		const uint8_t *entry = mbr + MBR_TABLE + i * MBR_ENTRY;

		if (entry[4] != 0 && entry[4] != TYPE_GPT &&
		    !is_extended(entry[4]))
			add(p, disk, i + 1, get_le32(entry + 8),
			    get_le32(entry + 12));
	}
	for (unsigned int i = 0; i < MBR_ENTRIES && r == 0; i++) {
		const uint8_t *entry = mbr + MBR_TABLE + i * MBR_ENTRY;

		if (is_extended(entry[4]))
			r = read_logical(p, disk, get_le32(entry + 8));
	}
	return r;
}

static bool
announces_gpt(const uint8_t mbr[SECTOR])
{
	for (unsigned int i = 0; i < MBR_ENTRIES; i++)
		if (mbr[MBR_TABLE + i * MBR_ENTRY + 4] == TYPE_GPT)
			return true;
	return false;
}

int
partitions_read(struct partitions *p, const struct partitions_disk *disk)
{
	uint64_t all = disk->bytes / SECTOR;
	uint8_t mbr[SECTOR];
	int r;

	p->n = 0;
	if (all == 0)
		return 0;
	r = disk->read(disk->arg, 0, mbr, sizeof(mbr));
	if (r < 0)
		return r;
	if (!has_table(mbr)) {
		p->list[p->n++] = (struct partition){ 0, 0, all * SECTOR };
		return 0;
	}
	if (announces_gpt(mbr) && all > 2) {
		r = read_gpt(p, disk, 1);
		if (r == 0)
			r = read_gpt(p, disk, all - 1);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return read_mbr(p, disk, mbr);
}
