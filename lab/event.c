#include "lab/event.h"

#include <errno.h>
#include <stdlib.h>

#include "lab/cabling.h"

static void
started(void *arg)
{
	struct event *e = arg;

	e->started_ns = loop_now_ns(e->all->loop);
}

static void
wrote(void *arg, const char *bytes, size_t len)
{
	struct event *e = arg;

	output_add(&e->output, bytes, len);
}

static void
done(void *arg, int status)
{
	struct event *e = arg;

	e->all->nopen--;
	e->all->done(e->all->arg, e, status);
}

/* 0, or 1 with why. */
static int
set(struct event *e)
{
	struct port *port = fabric_port(e->all->fabric, e->what->set);
	struct cabling_change change = { .sets_link = e->what->sets_link,
		.down = e->what->down };

	for (int way = 0; way < WIRE_DIRECTIONS; way++)
		change.wire[way] = e->what->wire[way];
	change.rules = e->what->rules;
	return cabling_change(port, &change, &e->why) < 0;
}

static void
now(void *arg)
{
	struct event *e = arg;

	e->started_ns = loop_now_ns(e->all->loop);
	if (e->what->set != NULL) {
		done(e, set(e));
	} else {
		job_ask(&e->job, guests_find(e->all->guests, e->what->vm));
	}
}

int
events_start(struct events *all, struct loop *loop, const struct lab *lab,
    struct fabric *fabric, struct guests *guests,
    void (*call)(void *arg, struct event *event, int status), void *arg)
{
	*all = (struct events){
		.loop = loop,
		.lab = lab,
		.fabric = fabric,
		.guests = guests,
		.done = call,
		.arg = arg,
	};
	all->list = calloc(lab->nevents + 1, sizeof(all->list[0]));
	if (all->list == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < lab->nevents; i++) {
		struct event *e = &all->list[i];

		e->all = all;
		e->what = &lab->events[i];
		e->job = (struct job){
			.command = e->what->run,
			.started = started,
			.output = wrote,
			.done = done,
			.arg = e,
		};
		loop_timer_init(&e->timer, loop, now, e);
		loop_timer_set(&e->timer, loop_now_ns(loop) + e->what->at_ns);
		all->nopen++;
	}
	return 0;
}

void
events_free(struct events *all)
{
	if (all->list == NULL)
		return;
	for (unsigned int i = 0; i < all->lab->nevents; i++) {
		loop_timer_unset(&all->list[i].timer);
		job_cancel(&all->list[i].job);
	}
	free(all->list);
	all->list = NULL;
}
