/*
 * crash_rig.h - a directory whose states after a crash are made in another one.
 *
 * Failures are those of the test that calls.
 */
#ifndef TESTS_DISK_CRASH_RIG_H
#define TESTS_DISK_CRASH_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/disk.h"

#define RIG_BYTES   (256u << 10) /* of its disks */
#define RIG_SECTORS (RIG_BYTES / 512)

struct rig {
	char directory[64], scratch[64];
	struct disk_set *set;
};

/* For cmocka: *state is a struct rig. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

void rig_path(const char *directory, const char *file, char *path, size_t len);
bool rig_is_there(const char *directory, const char *file);

/* An empty disk of clusters of 4 KiB; backing NULL: it stands on none. */
void rig_create(struct rig *r, const char *file, const char *backing);
struct disk *rig_open(
    struct rig *r, const char *directory, const char *file, unsigned int flags);
/* n sectors of one value. */
void rig_fill(struct disk *disk, uint8_t value, size_t sector, size_t n);

/* There may be leaks. */
void rig_no_corruption(const char *directory, const char *file);

#endif
