/*
 * libext2fs reads through a struct io_manager, whose open() is given a name and
 * nothing else; so the file system that is being opened is known to the thread.
 *
 * What a loop in a file system's structures could cost is bounded by what may be
 * read.
 */
#include "vmm/ext_files.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/le.h"

#define PIECE_BYTES   (256u << 10)
#define NAMES_MAX     4096
#define SECTOR        512
#define SUPER_AT      1024
#define SUPER_BYTES   1024
#define LOG_BLOCK_MAX 6 /* 64 KiB */

struct ext_files {
	struct partitions_disk disk;
	struct partition partition;
	uint64_t budget;
	ext2_filsys fs;
	char uuid[37], label[EXT2_LABEL_LEN + 1];
};

static _Thread_local struct ext_files *opening;
static struct struct_io_manager manager;

/* ---- what libext2fs reads by ---- */

static errcode_t
io_open(const char *name, int flags, io_channel *channel)
{
	io_channel io = calloc(1, sizeof(*io));

	(void)flags;
	if (io == NULL)
		return EXT2_ET_NO_MEMORY;
	io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	io->manager = &manager;
	io->name = strdup(name);
	io->block_size = SUPER_BYTES;
	io->refcount = 1;
	io->private_data = opening;
	*channel = io;
	return 0;
}

static errcode_t
io_close(io_channel io)
{
	if (--io->refcount > 0)
		return 0;
	free(io->name);
	free(io);
	return 0;
}

static errcode_t
io_set_blksize(io_channel io, int bytes)
{
	io->block_size = bytes;
	return 0;
}

static errcode_t
read_at(struct ext_files *f, uint64_t at, void *to, uint64_t bytes)
{
	uint64_t whole = bytes / SECTOR * SECTOR;
	uint8_t sector[SECTOR];

	if (at % SECTOR != 0 || at > f->partition.bytes ||
	    bytes > f->partition.bytes - at || bytes > f->budget)
		return EXT2_ET_SHORT_READ;
	f->budget -= bytes;
	at += f->partition.start;
	if (whole > 0 && f->disk.read(f->disk.arg, at, to, whole) < 0)
		return EXT2_ET_SHORT_READ;
	if (whole == bytes)
		return 0;
	if (f->disk.read(f->disk.arg, at + whole, sector, SECTOR) < 0)
		return EXT2_ET_SHORT_READ;
	memcpy((uint8_t *)to + whole, sector, bytes - whole);
	return 0;
}

/* A negative count is one of bytes. */
static errcode_t
io_read_blk64(io_channel io, unsigned long long block, int count, void *to)
{
	uint64_t size = (uint64_t)io->block_size;
	uint64_t bytes =
	    count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * size;

	if (block > UINT64_MAX / size)
		return EXT2_ET_SHORT_READ;
	return read_at(io->private_data, block * size, to, bytes);
}

static errcode_t
io_read_blk(io_channel io, unsigned long block, int count, void *to)
{
	return io_read_blk64(io, block, count, to);
}

static errcode_t
io_write_blk64(
    io_channel io, unsigned long long block, int count, const void *from)
{
	(void)io;
	(void)block;
	(void)count;
	(void)from;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t
io_write_blk(io_channel io, unsigned long block, int count, const void *from)
{
	return io_write_blk64(io, block, count, from);
}

static errcode_t
io_flush(io_channel io)
{
	(void)io;
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "disk",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read_blk,
	.read_blk64 = io_read_blk64,
	.write_blk = io_write_blk,
	.write_blk64 = io_write_blk64,
	.flush = io_flush,
};

/* ---- opening ---- */

/* A file system that is not larger than its partition. */
static bool
is_plausible(struct ext_files *f)
{
	uint8_t super[SUPER_BYTES];
	uint64_t blocks, most;
	uint32_t log;

	if (f->partition.bytes < SUPER_AT + SUPER_BYTES ||
	    read_at(f, SUPER_AT, super, sizeof(super)) != 0 ||
	    get_le16(super + 56) != EXT2_SUPER_MAGIC)
		return false;
	log = get_le32(super + 24);
	if (log > LOG_BLOCK_MAX)
		return false;
	blocks = get_le32(super + 4);
	if (get_le32(super + 96) & EXT4_FEATURE_INCOMPAT_64BIT)
		blocks |= (uint64_t)get_le32(super + 336) << 32;
	most = f->partition.bytes >> (10 + log);
	return blocks > 0 && blocks <= most;
}

struct ext_files *
ext_files_open(const struct partitions_disk *disk,
    const struct partition *partition, uint64_t budget_bytes)
{
	struct ext_files *f = calloc(1, sizeof(*f));
	const uint8_t *u;
	errcode_t error;

	if (f == NULL)
		return NULL;
	f->disk = *disk;
	f->partition = *partition;
	f->budget = budget_bytes;
	if (!is_plausible(f)) {
		free(f);
		return NULL;
	}
	opening = f;
	error = ext2fs_open2(
	    "disk", NULL, EXT2_FLAG_64BITS, 0, 0, &manager, &f->fs);
	opening = NULL;
	if (error != 0) {
		free(f);
		return NULL;
	}
	u = f->fs->super->s_uuid;
	snprintf(f->uuid, sizeof(f->uuid),
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x"
	    "%02x",
	    u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10],
	    u[11], u[12], u[13], u[14], u[15]);
	snprintf(f->label, sizeof(f->label), "%.*s", EXT2_LABEL_LEN,
	    (const char *)f->fs->super->s_volume_name);
	return f;
}

void
ext_files_close(struct ext_files *f)
{
	if (f == NULL)
		return;
	ext2fs_close_free(&f->fs);
	free(f);
}

const char *
ext_files_uuid(const struct ext_files *f)
{
	return f->uuid;
}

const char *
ext_files_label(const struct ext_files *f)
{
	return f->label;
}

/* ---- files ---- */

/* An errcode_t that stands for nothing but its absence. */
static int
find(struct ext_files *f, const char *path, ext2_ino_t *inode)
{
	errcode_t error = ext2fs_namei_follow(
	    f->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, inode);

	if (error == 0)
		return 0;
	return error == EXT2_ET_FILE_NOT_FOUND || error == EXT2_ET_NO_DIRECTORY
	    ? -ENOENT
	    : -EIO;
}

bool
ext_files_has(struct ext_files *f, const char *path)
{
	ext2_ino_t number;

	return find(f, path, &number) == 0;
}

static int
read_pieces(ext2_file_t file, uint64_t bytes,
    int (*take)(void *arg, const void *bytes, size_t n), void *arg)
{
	uint8_t *piece = malloc(PIECE_BYTES);
	int r = piece != NULL ? 0 : -ENOMEM;

	while (r == 0 && bytes > 0) {
		unsigned int n =
		    bytes < PIECE_BYTES ? (unsigned int)bytes : PIECE_BYTES;
		unsigned int got = 0;

		if (ext2fs_file_read(file, piece, n, &got) != 0 || got != n)
			r = -EIO;
		else
			r = take(arg, piece, n);
		bytes -= n;
	}
	free(piece);
	return r;
}

int
ext_files_read(struct ext_files *f, const char *path, uint64_t most,
    int (*take)(void *arg, const void *bytes, size_t n), void *arg)
{
	struct ext2_inode inode;
	ext2_file_t file;
	ext2_ino_t number;
	uint64_t bytes;
	int r = find(f, path, &number);

	if (r < 0)
		return r;
	if (ext2fs_read_inode(f->fs, number, &inode) != 0)
		return -EIO;
	if (!LINUX_S_ISREG(inode.i_mode))
		return -EINVAL;
	bytes = EXT2_I_SIZE(&inode);
	if (bytes > most)
		return -EFBIG;
	if (ext2fs_file_open2(f->fs, number, &inode, 0, &file) != 0)
		return -EIO;
	r = read_pieces(file, bytes, take, arg);
	ext2fs_file_close(file);
	return r;
}

struct listing {
	bool (*each)(void *arg, const char *name);
	void *arg;
	unsigned int names;
};

static int
list_name(struct ext2_dir_entry *entry, int offset, int block_bytes,
    char *block, void *arg)
{
	struct listing *list = arg;
	char name[EXT2_NAME_LEN + 1];

	(void)offset;
	(void)block_bytes;
	(void)block;
	snprintf(name, sizeof(name), "%.*s", ext2fs_dirent_name_len(entry),
	    entry->name);
	return list->each(list->arg, name) && ++list->names < NAMES_MAX
	    ? 0
	    : DIRENT_ABORT;
}

void
ext_files_list(struct ext_files *f, const char *path,
    bool (*each)(void *arg, const char *name), void *arg)
{
	struct listing list = { each, arg, 0 };
	ext2_ino_t number;

	if (find(f, path, &number) == 0 &&
	    ext2fs_check_directory(f->fs, number) == 0)
		ext2fs_dir_iterate(f->fs, number, 0, NULL, list_name, &list);
}
