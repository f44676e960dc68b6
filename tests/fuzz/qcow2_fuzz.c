/* libs: disk base */
/*
 * Any file as a qcow2 image: opened, read, checked, then written to.  What was
 * written is what is read, an image that was consistent stays so, and nothing
 * is asked of memory or time that the file's size does not warrant.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk/check.h"
#include "disk/disk.h"
#include "disk/qcow2.h"

#define MOST (UINT64_C(4) << 20) /* of a disk that is read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static int fd = -1;

static void
put_image(const uint8_t *data, size_t size)
{
	if (fd < 0) {
		fd = memfd_create("image", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) < 0)
		abort();
}

static void
read_all(struct disk *disk)
{
	static uint8_t bytes[65536];
	uint64_t end = disk_size(disk);

	if (end > MOST)
		end = MOST;
	for (uint64_t at = 0; at < end;) {
		struct disk_extent x;
		struct err err = { 0 };
		size_t n = end - at < sizeof(bytes) ? (size_t)(end - at)
						    : sizeof(bytes);
		int code = disk_extent(disk, at, n, &x, &err);

		assert((code == 0) == (err.text[0] == '\0'));
		if (code != 0)
			return;
		assert(x.len > 0 && x.len <= n);
		assert(x.present || !x.data);
		code = disk_read(disk, bytes, (size_t)x.len, at, &err);
		assert((code == 0) == (err.text[0] == '\0'));
		if (code == 0 && !x.data)
			for (size_t i = 0; i < x.len; i++)
				assert(bytes[i] == 0);
		at += x.len;
	}
}

static void
write_some(struct disk *disk, const uint8_t *data, size_t size)
{
	static uint8_t back[5000];
	uint64_t end = disk_size(disk) < MOST ? disk_size(disk) : MOST;

	for (size_t i = 0; i < 4; i++) {
		size_t n = 700 + i * 900, from = size > n ? size - n : 0;
		uint64_t at = data[i % size] * UINT64_C(9973);

		if (n > size || n > end || at > end - n)
			continue;
		if (disk_write(disk, data + from, n, at, NULL) != 0)
			return;
		assert(disk_read(disk, back, n, at, NULL) == 0);
		assert(memcmp(back, data + from, n) == 0);
		if (disk_discard(disk, at, 4096 < end - at ? 4096 : 1, NULL) !=
		    0)
			return;
		if (disk_flush(disk, NULL) != 0)
			return;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct disk_set *set = disk_set_new();
	struct check before, after;
	struct err err = { 0 };
	struct disk *disk;
	int code, checked;

	if (size == 0) {
		disk_set_free(set);
		return 0;
	}
	put_image(data, size);
	disk = disk_open(set, path, DISK_ALONE, &code, &err);
	assert((disk != NULL) == (code == 0));
	assert((code == 0) == (err.text[0] == '\0'));
	if (disk != NULL) {
		read_all(disk);
		disk_close(disk, NULL);
	}
	if (disk != NULL && qcow2_is(data, size)) {
		checked = disk_check(path, false, &before, NULL);
		disk =
		    disk_open(set, path, DISK_ALONE | DISK_WRITE, &code, NULL);
		if (disk != NULL) {
			write_some(disk, data, size);
			read_all(disk);
			disk_close(disk, NULL);
			if (checked == 0 && before.corruptions == 0) {
				code = disk_check(path, false, &after, NULL);
				assert(code == 0 && after.corruptions == 0);
			}
		}
	}
	disk_set_free(set);
	return 0;
}
