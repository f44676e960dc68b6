#include "tests/disk/crash_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <unistd.h>

#include "disk/check.h"
#include "tests/disk/recorder.h"

void
rig_path(const char *directory, const char *file, char *path, size_t len)
{
	assert_true(
	    (size_t)snprintf(path, len, "%s/%s", directory, file) < len);
}

static void
empty(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[512];

	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.') {
			rig_path(directory, entry->d_name, path, sizeof(path));
			unlink(path);
		}
	closedir(dir);
}

int
rig_set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	strcpy(r->directory, "/tmp/lanyard-crash-XXXXXX");
	strcpy(r->scratch, "/tmp/lanyard-crash-XXXXXX");
	assert_non_null(mkdtemp(r->directory));
	assert_non_null(mkdtemp(r->scratch));
	r->set = disk_set_new();
	*state = r;
	return 0;
}

int
rig_tear_down(void **state)
{
	struct rig *r = *state;

	recorder_stop();
	recorder_free();
	empty(r->directory);
	empty(r->scratch);
	rmdir(r->directory);
	rmdir(r->scratch);
	disk_set_free(r->set);
	free(r);
	return 0;
}

struct disk *
rig_open(
    struct rig *r, const char *directory, const char *file, unsigned int flags)
{
	struct err err = { 0 };
	char path[512];
	struct disk *disk;
	int code;

	rig_path(directory, file, path, sizeof(path));
	disk = disk_open(r->set, path, flags, &code, &err);
	if (disk == NULL)
		fail_msg("%s", err.text);
	return disk;
}

void
rig_create(struct rig *r, const char *file, const char *backing)
{
	struct disk_options options = {
		.size = RIG_BYTES, .cluster_bits = 12, .backing = backing
	};
	struct err err = { 0 };
	char path[512];

	rig_path(r->directory, file, path, sizeof(path));
	if (disk_create(path, &options, &err) != 0)
		fail_msg("%s", err.text);
}

void
rig_fill(struct disk *disk, uint8_t value, size_t sector, size_t n)
{
	uint8_t *bytes = malloc(n * 512);

	memset(bytes, value, n * 512);
	assert_int_equal(
	    disk_write(disk, bytes, n * 512, sector * 512, NULL), 0);
	free(bytes);
}

void
rig_no_corruption(const char *directory, const char *file)
{
	struct err err = { 0 };
	struct check check;
	char path[512];

	rig_path(directory, file, path, sizeof(path));
	if (disk_check(path, false, &check, &err) != 0)
		fail_msg("%s", err.text);
	if (check.corruptions != 0)
		fail_msg("%s: %s", file, check.first);
}

bool
rig_is_there(const char *directory, const char *file)
{
	char path[512];

	rig_path(directory, file, path, sizeof(path));
	return access(path, F_OK) == 0;
}
