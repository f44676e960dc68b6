/* libs: vmm/boot_disk.c vmm/ext_files.c vmm/grub_menu.c vmm/grub_script.c vmm/bls_menu.c vmm/partitions.c base */
/*
 * A disk with a damaged ext4 file system: the input says which of its bytes are
 * others (four bytes each: where, and what).  Whatever is found there has a
 * bounded size; what is not is a sentence.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/boot_disk.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK_BYTES (512u << 10)
#define MOST       (1u << 20)

static uint8_t pristine[DISK_BYTES], disk[DISK_BYTES];
static uint64_t bytes_read;

static int
read_disk(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	(void)store;
	for (unsigned int i = 0; i < n; i++) {
		assert(offset % 512 == 0 && piece[i].iov_len % 512 == 0);
		assert(offset <= DISK_BYTES);
		assert(piece[i].iov_len <= DISK_BYTES - offset);
		memcpy(piece[i].iov_base, disk + offset, piece[i].iov_len);
		offset += piece[i].iov_len;
		bytes_read += piece[i].iov_len;
	}
	return 0;
}

/* Made by mke2fs, as it would be. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char script[] =
	    "set -e; d=$(mktemp -d); mkdir -p $d/r/boot/grub $d/r/e; "
	    "echo 'set default=1; menuentry a { linux /a; }; menuentry b { "
	    "linux /boot/k x; initrd /i; }' >$d/r/boot/grub/grub.cfg; "
	    "seq 5000 >$d/r/boot/k; seq 3000 >$d/r/init; ln -s init $d/r/i; "
	    "for n in 1 2 3 4 5 6 7 8 9; do echo $n >$d/r/e/$n; done; "
	    "mke2fs -q -t ext4 -d $d/r $d/disk 512k >&2; cat $d/disk; "
	    "rm -r $d";
	FILE *f = popen(script, "r");

	(void)argc;
	(void)argv;
	log_set_level(LOG_ERROR);
	if (f == NULL || fread(pristine, 1, DISK_BYTES, f) != DISK_BYTES ||
	    pclose(f) != 0)
		abort();
	return 0;
}

static void
check_file(int fd)
{
	struct stat st;

	assert(fd >= 0 && fstat(fd, &st) == 0 && st.st_size <= MOST);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct blk_store_ops ops = { .read = read_disk };
	struct blk_store store = { &ops, DISK_BYTES, true };
	struct boot_disk found;
	struct err err = { "" };
	int r;

	memcpy(disk, pristine, DISK_BYTES);
	for (size_t i = 0; i + 4 <= size; i += 4)
		disk[(data[i] | data[i + 1] << 8 | data[i + 2] << 16) %
		    DISK_BYTES] = data[i + 3];
	bytes_read = 0;
	r = boot_disk_find(&found, &store, "disk", MOST, &err);
	assert((r == 0) == (err.text[0] == '\0'));
	if (size < 4)
		assert(r == 0);
	if (r == 0) {
		check_file(found.kernel_fd);
		assert(memchr(found.args, '\0', sizeof(found.args)) != NULL);
		if (found.initrd_fd >= 0)
			check_file(found.initrd_fd);
	}
	assert(bytes_read < (UINT64_C(300) << 20));
	boot_disk_close(&found);
	return 0;
}
