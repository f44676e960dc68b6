/*
 * rounds.h - a few rounds of a loop, for targets that drive ports by sockets.
 */
#ifndef TESTS_FUZZ_ROUNDS_H
#define TESTS_FUZZ_ROUNDS_H

#include "base/loop.h"

struct rounds {
	struct loop_defer again;
	unsigned int left;
};

static void
round_over(void *arg)
{
	struct rounds *rounds = arg;

	if (--rounds->left == 0)
		loop_stop(rounds->again.loop);
	else
		loop_defer_ask(&rounds->again);
}

/* Three: what was sent is read, answered, and the answer read. */
static void
run_rounds(struct loop *loop)
{
	struct rounds rounds = { .left = 3 };

	loop_defer_init(&rounds.again, loop, round_over, &rounds);
	loop_defer_ask(&rounds.again);
	loop_run(loop);
	loop_defer_cancel(&rounds.again);
}

#endif
