#include "vmm/guest/timer.h"

void
timer_init(struct timer *timer, void (*call)(void *arg), void *arg)
{
	*timer = (struct timer){ .call = call, .arg = arg };
}

void
timer_unset(struct timers *all, struct timer *timer)
{
	struct timer **at = &all->first;

	if (!timer->set)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->set = false;
}

void
timer_set(struct timers *all, struct timer *timer, uint64_t at_us)
{
	struct timer **at = &all->first;

	timer_unset(all, timer);
	if (at_us == TIMER_NEVER)
		return;
	while (*at != NULL && (*at)->at_us <= at_us)
		at = &(*at)->next;
	timer->at_us = at_us;
	timer->next = *at;
	timer->set = true;
	*at = timer;
}

uint64_t
timers_next(const struct timers *all)
{
	return all->first != NULL ? all->first->at_us : TIMER_NEVER;
}

void
timers_run(struct timers *all, uint64_t now_us)
{
	struct timer *timer;
	unsigned int limit = 256; /* a timer that sets itself for now */

	while ((timer = all->first) != NULL && timer->at_us <= now_us &&
	    limit-- > 0) {
		all->first = timer->next;
		timer->set = false;
		timer->call(timer->arg);
	}
}
