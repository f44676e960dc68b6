/*
 * lookout.h - a descriptor that frames come by: read when it is ready, and looked
 * at for a while after the last ones before the loop sleeps (patience.h).
 *
 * Part of its owner's struct.  Loop thread only.
 */
#ifndef SWITCH_LOOKOUT_H
#define SWITCH_LOOKOUT_H

#include "switch/patience.h"

struct lookout_ops {
	/* Reads a burst and sends it.  False: there was nothing. */
	bool (*read)(void *arg);
	/* It is ready, but there was nothing: an error.  May be NULL. */
	void (*empty)(void *arg);
};

struct lookout {
	const struct lookout_ops *ops;
	void *arg;
	struct loop *loop;
	struct loop_watch *watch; /* NULL: closed */
	bool rests;               /* for good */
	struct loop_defer look;
	struct patience patience;
};

/* From now on ops->read is called for fd, which stays the caller's.  0, or
 * -ENOMEM with *err saying why. */
int lookout_open(struct lookout *lookout, struct loop *loop, int fd,
    const struct lookout_ops *ops, void *arg, struct err *err);
/* No call comes after these, not even in the present round. */
void lookout_rest(struct lookout *lookout);  /* for good, of one that is open */
void lookout_close(struct lookout *lookout); /* fine when it is all zeros */

#endif
