/*
 * sandbox.h - what the process of a VM keeps when guests' instructions begin.
 *
 * Each thread gives up, of its own accord and for good, all system calls that
 * its kind has no use for (seccomp), the file system but for what it is told
 * (Landlock, where the kernel has it) and its capabilities; the process, new
 * privileges, core dumps, tracing by others of its user, and memory without
 * end.  No kind can execute a program or machine code, open a socket, connect
 * or trace.  What was opened before stays: guest memory, disks, back ends,
 * consoles, KVM.
 *
 * A system call that is refused ends the process with a sentence; one that
 * names a file fails with EACCES.  Programs built with sanitizers have no memory
 * limit.
 */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sandbox_kind {
	SANDBOX_LOOP,   /* consoles, connections, reboots; makes threads */
	SANDBOX_CPU,    /* a guest's CPU and the devices that it touches */
	SANDBOX_DISK,   /* reads and writes disks that are open */
	SANDBOX_FILES,  /* snapshots: makes files in images' directories */
	SANDBOX_PORTER, /* porter.h: connects Unix sockets, removes them */
	SANDBOX_KINDS
};

struct sandbox;

/* This program was built with sanitizers, which read files, trace threads and
 * map memory without end. */
extern const bool sandbox_sanitized;

/* Prepares the filters; nothing is given up yet.  With sanitizers, what those
 * do is left out of what is given up.  NULL: *err.  The caller's. */
struct sandbox *sandbox_new(bool sanitizers, struct err *err);
void sandbox_free(struct sandbox *sandbox); /* NULL is fine */

/* For the whole process: limits.  It may map more_bytes besides what it has.
 * 0, or -Exxx with *err. */
int sandbox_limit(
    const struct sandbox *sandbox, uint64_t more_bytes, struct err *err);

/* A directory that threads of kind SANDBOX_FILES may use. */
struct sandbox_place {
	const char *directory;
	bool writable; /* files are made, written, renamed and removed there */
};

/* The calling thread, and those that it will make, are of this kind from now
 * on; places are for SANDBOX_FILES.  sandbox NULL: nothing happens.  A thread
 * that cannot give up what it should ends the process with a sentence. */
void sandbox_enter(const struct sandbox *sandbox, enum sandbox_kind kind,
    const struct sandbox_place *place, unsigned int nplaces);

/* One line of what a VM's process is confined by on this machine, tried out in
 * a process that is.  0, or -Exxx with *err: there cannot be a sandbox. */
int sandbox_probe(char *out, size_t len, struct err *err);

/* What confines the first thread of process pid, seen from outside: "seccomp, no
 * new privileges, no capabilities", or what holds of that, or "none".  "?": it
 * cannot be found out.  Returns out. */
char *sandbox_seen(char *out, size_t len, int pid);

#endif
