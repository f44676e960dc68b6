/*
 * rundir.h - where running labs have their sockets.
 *
 *     $XDG_RUNTIME_DIR/lanyard/        else /run/lanyard for root, else
 *         nat/                         /tmp/lanyard-UID; all of mode 0700
 *             control                  the control socket
 *             alice.eth0.sock ...      of VMs
 *         nat.lock                     locked while the lab runs
 *
 * A lab is alive if its lock is held; whatever a dead one left is cleaned up by
 * the next command (remains.h).
 */
#ifndef LAB_RUNDIR_H
#define LAB_RUNDIR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define RUNDIR_BYTES 108 /* a path in it must fit into a socket's address */

struct rundir {
	char path[RUNDIR_BYTES];      /* of the lab, "" when not open */
	char lock_path[RUNDIR_BYTES]; /* of its lock */
	int lock;
};

/* Makes the lab's directory and takes its lock.  0; -EBUSY if the lab runs
 * already; else -Exxx; *err says what to do. */
int rundir_open(struct rundir *dir, const char *lab, struct err *err);
/* Removes all of it.  Fine when it is not open. */
void rundir_close(struct rundir *dir);

/* Removes what labs left whose processes have gone without.  Calls each before,
 * for every one; path is its directory, and pid what its process was. */
void rundir_clear(
    void (*each)(void *arg, const char *lab, const char *path, pid_t pid),
    void *arg);

/* Where the labs are.  0 or -Exxx. */
int rundir_base(char out[RUNDIR_BYTES], struct err *err);

/* The path of name in the directory of a lab that runs.  0, or -ENOENT with
 * *err naming the lab that was probably meant. */
int rundir_find(
    const char *lab, const char *name, char out[RUNDIR_BYTES], struct err *err);

/* Calls each for every lab that runs; pid is its process.  0 or -Exxx. */
int rundir_each(void (*each)(void *arg, const char *lab, pid_t pid), void *arg,
    struct err *err);

#endif
