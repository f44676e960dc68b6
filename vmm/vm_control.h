/*
 * vm_control.h - the socket by which others speak to a running machine.
 *
 * A question is a line: "save NAME", or "stop NAME", after which the machine does
 * not go on but ends, or "here", whether it runs.  The answer is one, too: "ok",
 * or a sentence; to "here" also "anew", of one that was to go on from a checkpoint
 * and begins at the beginning, since it was off then.  Loop thread only; who asks gets VM_CONTROL_MS for its line.
 */
#ifndef VMM_VM_CONTROL_H
#define VMM_VM_CONTROL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"

#define VM_CONTROL_HERE    "here"
#define VM_CONTROL_ANEW    "anew"
#define VM_CONTROL_LINE    512
#define VM_CONTROL_CLIENTS 4
#define VM_CONTROL_MS      5000

struct vm_control;

struct vm_control_config {
	const char *path; /* to listen on */
	struct loop *loop;
	bool anew;
	/* Makes a checkpoint.  0, or -Exxx with *err, and then nothing stops. */
	int (*save)(void *arg, const char *name, bool stop, struct err *err);
	void *arg;
};

/* NULL: *err. */
struct vm_control *vm_control_new(
    const struct vm_control_config *config, struct err *err);
void vm_control_free(struct vm_control *control); /* NULL is fine */

/* Asks the machine that listens at path for a checkpoint, and waits until it is
 * there.  0, or -Exxx with *err. */
int vm_control_ask_save(
    const char *path, const char *name, bool stop, struct err *err);

#endif
