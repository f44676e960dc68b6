/*
 * slot.h - descriptors of images deep in long chains, when a process may not
 * have as many as the chain is long.
 *
 * A file in a slot is opened when it is read, and the one that was read longest
 * ago is closed for it.  While it is closed nothing holds its lock; a file that
 * is another one when it is opened again, or has been changed, is refused.
 *
 * Any thread.
 */
#ifndef DISK_SLOT_H
#define DISK_SLOT_H

#include <stdbool.h>

#include "base/err.h"

struct slots;
struct slot;

struct slots *slots_new(void); /* NULL: no memory */
void slots_free(struct slots *slots);

/* Whether so few descriptors are left that fd should be put into a slot. */
bool slots_needed(int fd);

/* Takes fd, of the file at path, which is borrowed; locks: it is locked while it
 * is open.  NULL: no memory, and fd is still the caller's. */
struct slot *slot_new(
    struct slots *slots, int fd, const char *path, bool locks);
void slot_free(struct slot *slot); /* NULL is fine */

/* The descriptor, until slot_unpin(); or -Exxx. */
int slot_pin(struct slot *slot, struct err *err);
void slot_unpin(struct slot *slot);

#endif
