/*
 * A burst is read for each round of the loop in which the descriptor is ready
 * or looked at; what is left waits for the next round, where other ports have
 * their turn.
 *
 * A look costs a load from shared memory, or one system call.  To be woken
 * costs the sender an interrupt of another processor and us a few
 * microseconds, several times that where the processor is a virtual one that
 * has been halted.  So where frames are fast to be sent on, as small ones are,
 * the loop would sleep and be woken for each few of them.
 *
 * While it is looked at, the descriptor stays watched: watching it anew would
 * cost two system calls.
 */
#include "switch/lookout.h"

#include <errno.h>
#include <stddef.h>

static void
look(void *arg)
{
	struct lookout *lookout = arg;
	uint64_t now_ns = loop_now_ns(lookout->loop);

	if (lookout->ops->read(lookout->arg))
		patience_rewarded(&lookout->patience, now_ns);
	if (patience_lasts(&lookout->patience, now_ns) && !lookout->rests)
		loop_defer_again(&lookout->look);
}

static void
ready(void *arg, unsigned int events)
{
	struct lookout *lookout = arg;

	(void)events;
	if (loop_defer_is_asked(&lookout->look))
		return;
	if (lookout->ops->read(lookout->arg)) {
		patience_kicked(&lookout->patience, loop_now_ns(lookout->loop));
		if (lookout->patience.ns > 0 && !lookout->rests)
			loop_defer_again(&lookout->look);
	} else if (lookout->ops->empty != NULL) {
		lookout->ops->empty(lookout->arg);
	}
}

int
lookout_open(struct lookout *lookout, struct loop *loop, int fd,
    const struct lookout_ops *ops, void *arg, struct err *err)
{
	*lookout = (struct lookout){ .ops = ops, .arg = arg, .loop = loop };
	loop_defer_init(&lookout->look, loop, look, lookout);
	lookout->watch =
	    loop_watch_new(loop, fd, LOOP_READ, ready, lookout, err);
	return lookout->watch != NULL ? 0 : -ENOMEM;
}

void
lookout_rest(struct lookout *lookout)
{
	loop_watch_events(lookout->watch, 0);
	loop_defer_cancel(&lookout->look);
	lookout->rests = true;
}

void
lookout_close(struct lookout *lookout)
{
	if (lookout->watch == NULL)
		return;
	loop_watch_free(lookout->watch);
	lookout->watch = NULL;
	loop_defer_cancel(&lookout->look);
}
