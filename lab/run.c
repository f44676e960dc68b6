/*
 * Order of things, up and down:
 *
 *     run directory and lock   so that nothing is made twice
 *     loop, fabric             sockets are listened on ...
 *     captures, expectations   ... and watched before the first frame
 *     VMs                      which connect to the sockets
 *     events, control socket
 *
 * The loop's clock is read anew before time starts to count.  Each part has a
 * function that ends it, which is fine when it was never begun, so a start
 * that fails half-way goes the same way down as the end of a lab.
 *
 * Frames pass from node to node by nested calls; a TTL's worth of routers needs
 * more than the usual eight megabytes of stack.
 */
#include "lab/run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "bridge/privilege.h"
#include "lab/cabling.h"
#include "lab/capturing.h"
#include "lab/control.h"
#include "lab/event.h"
#include "lab/expect.h"
#include "lab/fabric.h"
#include "lab/guest.h"
#include "lab/leases.h"
#include "lab/port_kinds.h"
#include "lab/remains.h"
#include "lab/results.h"
#include "lab/rundir.h"
#include "pcap-tools/capture.h"

#define STACK_BYTES   ((rlim_t)256 << 20)
#define PROGRESS_NS   (100 * NS_PER_MS)
#define OUTPUT_LINES  40
#define EPITAPH_BYTES 2048

struct run {
	const struct lab *lab;
	const struct run_options *options;
	struct loop *loop;
	struct rundir dir;
	struct fabric *fabric;
	struct leases *leases;
	struct capture **captures;
	struct guests guests;
	struct expects expects;
	struct events events;
	struct control *control;
	struct loop_watch *on_int, *on_term, *on_hup;
	struct loop_timer for_timer, progress;
	uint64_t start_ns;
	bool with_guests, terminal, stopped; /* stopped: by a signal or call */
	bool up;                             /* everything is started */
	bool line_open; /* a line of progress is on the terminal */
	unsigned int ndied;
};

/* ---- what happens, as it happens ---- */

static void
wipe_progress(struct run *r)
{
	if (r->line_open)
		fputs("\r\033[K", r->options->notes);
	r->line_open = false;
}

/* "[  0.21 s] alice: ready" */
static void say(struct run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct run *r, const char *format, ...)
{
	uint64_t now = loop_now_ns(r->loop) - r->start_ns;
	va_list args;

	if (r->options->json)
		return;
	wipe_progress(r);
	fprintf(r->options->out, "[%6.2f s] ", (double)now / 1e9);
	va_start(args, format);
	vfprintf(r->options->out, format, args);
	va_end(args);
	fputc('\n', r->options->out);
	fflush(r->options->out);
}

static void
show_progress(void *arg)
{
	struct run *r = arg;
	uint64_t now = loop_now_ns(r->loop);

	wipe_progress(r);
	fprintf(r->options->notes, "%s: %.1f s", r->lab->name,
	    (double)(now - r->start_ns) / 1e9);
	if (r->lab->nvms > 0)
		fprintf(r->options->notes, ", %u of %u VMs ready",
		    r->guests.nready, r->lab->nvms);
	if (r->expects.nwithin > 0)
		fprintf(r->options->notes, ", %u of %u expectations decided",
		    r->expects.nwithin - r->expects.nopen, r->expects.nwithin);
	fflush(r->options->notes);
	r->line_open = true;
	loop_timer_set(&r->progress, now + PROGRESS_NS);
}

/* ---- the end ---- */

static bool
has_failed(const struct run *r)
{
	for (unsigned int i = 0; i < r->lab->nexpects; i++)
		if (r->expects.list[i].outcome == OUTCOME_FAILED)
			return true;
	return false;
}

/* Ends the lab when nothing is left to wait for.  Once all is decided, a lab
 * that has failed does not wait for its events: the VM that failed it may never
 * be ready for them. */
static void
check_end(struct run *r)
{
	/* Before everything is started, or with nothing to decide. */
	if (!r->up ||
	    (r->lab->nexpects == 0 ||
		r->expects.nwithin + r->lab->nevents == 0))
		return;
	if (r->expects.nopen == 0 && (r->events.nopen == 0 || has_failed(r)))
		loop_stop(r->loop);
}

static void
time_is_over(void *arg)
{
	struct run *r = arg;

	loop_stop(r->loop);
}

static void
stop(void *arg)
{
	struct run *r = arg;

	r->stopped = true;
	loop_stop(r->loop);
}

static void
signalled(void *arg, unsigned int events)
{
	(void)events;
	stop(arg);
}

static void
decided(void *arg, struct expectation *e)
{
	struct run *r = arg;
	char text[1024];

	if (e->outcome == OUTCOME_FAILED && r->up)
		say(r, "not met: %s (%s)",
		    expect_text(e->want, text, sizeof(text)), e->why);
	check_end(r);
}

/* "bob.eth0: the link is down", or what happens on its cable. */
static void
say_set(
    struct run *r, const struct lab_event *what, int status, const char *why)
{
	const struct port *port = fabric_port(r->fabric, what->set);
	uint64_t given = 0;

	if (status != 0) {
		say(r, "%s: cannot be set: %s", what->set, why);
		return;
	}
	if (what->sets_link)
		say(r, "%s: the link is %s", what->set,
		    what->down ? "down" : "up");
	if (what->rules.given != 0) {
		char text[400];

		say(r, "%s: the switch's port is set to: %s", what->set,
		    keyset_text(text, sizeof(text), &rules_keys, &what->rules));
	}
	for (int way = 0; way < WIRE_DIRECTIONS; way++)
		given |= what->wire[way].given;
	for (int way = WIRE_OUT; way <= WIRE_IN && given != 0; way++) {
		char text[400];

		wire_text(text, sizeof(text),
		    cable_settings(port->cable,
			cabling_side(port, (enum lab_direction)way)));
		say(r, "%s: the cable %s is now: %s", what->set,
		    wire_directions[way], text);
	}
}

static void
event_done(void *arg, struct event *event, int status)
{
	struct run *r = arg;
	const struct lab_event *what = event->what;
	char took[UNITS_TEXT_BYTES];

	if (what->set != NULL) {
		say_set(r, what, status, event->why.text);
	} else {
		duration_about(took, loop_now_ns(r->loop) - event->started_ns);
		if (status == JOB_GONE)
			say(r, "%s$ %s  (the VM has gone)", what->vm,
			    what->run);
		else
			say(r, "%s$ %s  (exit status %d after %s)", what->vm,
			    what->run, status, took);
		if (!r->options->json)
			output_print(&event->output, "           ",
			    OUTPUT_LINES, NULL, NULL, r->options->out);
	}
	check_end(r);
}

static void
guest_changed(void *arg, struct guest *g)
{
	struct run *r = arg;
	char text[EPITAPH_BYTES], took[UNITS_TEXT_BYTES];

	switch (g->state) {
	case VM_WAITING:
	case VM_STARTING: return;
	case VM_READY:
		say(r, "%s is ready, %s after its start", g->vm->item.name,
		    duration_about(took, g->ready_ns - g->started_ns));
		return;
	case VM_GONE:
		if (strcmp(guest_state_name(g), "off") == 0) {
			say(r, "%s has powered off", g->vm->item.name);
			return;
		}
		r->ndied++;
		say(r, "%s died: %s", g->vm->item.name,
		    guest_epitaph(g, text, sizeof(text)));
		return;
	case VM_NSTATES: return;
	}
}

/* ---- up ---- */

/* Files for a hundred VMs, stack for long ways. */
static void
raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (getrlimit(RLIMIT_STACK, &limit) == 0 &&
	    (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < STACK_BYTES)) {
		limit.rlim_cur =
		    limit.rlim_max < STACK_BYTES ? limit.rlim_max : STACK_BYTES;
		setrlimit(RLIMIT_STACK, &limit);
	}
}

static int
check_virtual(const struct lab *lab, struct err *err)
{
	if (lab->nvms > 0)
		return err_set(err, -EINVAL,
		    "lab \"%s\" has VMs (\"%s\"), which know real time only; "
		    "run it without --virtual-time",
		    lab->name, lab->vms[0].item.name);
	if (lab->nbridges > 0)
		return err_set(err, -EINVAL,
		    "lab \"%s\" has a bridge (\"%s\") to what knows real time "
		    "only; run it without --virtual-time",
		    lab->name, lab->bridges[0].item.name);
	for (unsigned int i = 0; i < lab->nplugs; i++) {
		const struct port_kind *kind =
		    port_kind_of(port_kinds, lab->plugs[i].locator);

		if (kind == NULL || !kind->virtual_time)
			return err_set(err, -EINVAL,
			    "lab \"%s\" has a plug (\"%s\") that knows real "
			    "time only; run it without --virtual-time",
			    lab->name, lab->plugs[i].item.name);
	}
	return 0;
}

static int
start_captures(struct run *r, struct err *err)
{
	const struct lab *lab = r->lab;
	int e = 0;

	r->captures = calloc(lab->ncaptures + 1, sizeof(r->captures[0]));
	if (r->captures == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < lab->ncaptures && e == 0; i++) {
		const struct lab_capture *c = &lab->captures[i];

		const struct capture_options options = {
			.snaplen_bytes = (uint32_t)c->snaplen,
			.file_bytes = c->file_bytes,
			.file_ns = c->file_ns,
			.files = (unsigned int)c->files,
		};

		r->captures[i] = capture_new(r->loop, c->file, &options, err);
		if (r->captures[i] == NULL)
			return -EIO;
		for (unsigned int k = 0; k < c->at.n && e == 0; k++)
			e = capturing_add(r->captures[i], r->fabric,
			    c->at.list[k].text, c->filter, err);
	}
	return e;
}

/* A virtual loop watches no signals: its handler stops it by hand. */
static struct loop *virtual_loop;

static void
stop_virtual_loop(int signal)
{
	(void)signal;
	loop_stop(virtual_loop);
}

static int
watch_signals(struct run *r, struct err *err)
{
	const struct sigaction act = { .sa_handler = stop_virtual_loop };

	signal(SIGPIPE, SIG_IGN);
	if (r->options->virtual_time) {
		virtual_loop = r->loop;
		sigaction(SIGINT, &act, NULL);
		sigaction(SIGTERM, &act, NULL);
		return 0;
	}
	r->on_int = loop_signal_new(r->loop, SIGINT, signalled, r, err);
	r->on_term = loop_signal_new(r->loop, SIGTERM, signalled, r, err);
	r->on_hup = loop_signal_new(r->loop, SIGHUP, signalled, r, err);
	return r->on_int == NULL || r->on_term == NULL || r->on_hup == NULL
	    ? -ENOMEM
	    : 0;
}

static int
start_control(struct run *r, struct err *err)
{
	char path[RUNDIR_BYTES + 16];
	struct control_config config = {
		.loop = r->loop,
		.path = path,
		.fabric = r->fabric,
		.guests = r->with_guests ? &r->guests : NULL,
		.stop = stop,
		.arg = r,
	};

	if (r->options->virtual_time)
		return 0;
	snprintf(path, sizeof(path), "%s/control", r->dir.path);
	r->control = control_new(&config, err);
	return r->control == NULL ? -EIO : 0;
}

static void
start_timers(struct run *r)
{
	if (r->options->for_ns != 0)
		loop_timer_set(&r->for_timer, r->start_ns + r->options->for_ns);
	if (r->terminal)
		loop_timer_set(&r->progress, r->start_ns + PROGRESS_NS);
}

static int
bring_up(struct run *r, struct err *err)
{
	const struct lab *lab = r->lab;
	bool is_virtual = r->options->virtual_time;
	int e = is_virtual ? check_virtual(lab, err)
			   : rundir_open(&r->dir, lab->name, err);

	if (e < 0)
		return e;
	r->loop = loop_new(is_virtual ? LOOP_VIRTUAL : LOOP_REAL, err);
	if (r->loop == NULL)
		return -ENOMEM;
	loop_timer_init(&r->for_timer, r->loop, time_is_over, r);
	loop_timer_init(&r->progress, r->loop, show_progress, r);
	e = watch_signals(r, err);
	if (e < 0)
		return e;
	r->fabric =
	    fabric_new(r->loop, lab, r->options->seed, r->dir.path, err);
	if (r->fabric == NULL)
		return -EIO;
	/* All that is of the host is open now. */
	e = remains_note(&r->dir, r->fabric, err);
	if (e == 0)
		e = privilege_drop(err);
	if (e < 0)
		return e;
	e = start_captures(r, err);
	if (e < 0)
		return e;
	r->leases = leases_new(r->loop, r->fabric, err);
	if (r->leases == NULL)
		return -EIO;
	loop_update_now(r->loop);
	r->start_ns = loop_now_ns(r->loop);
	e = guests_start(&r->guests, r->loop, lab, r->dir.path,
	    "/proc/self/exe", guest_changed, r, err);
	if (e < 0)
		return e;
	r->with_guests = true;
	e = start_control(r, err);
	if (e < 0)
		return e;
	/* Of what is due at once, events come first. */
	if (events_start(&r->events, r->loop, lab, r->fabric, &r->guests,
		event_done, r) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	e = expects_start(
	    &r->expects, r->loop, lab, r->fabric, &r->guests, decided, r, err);
	if (e < 0)
		return e;
	r->up = true;
	start_timers(r);
	return 0;
}

/* ---- down ---- */

/* In an order in which nothing refers to what has gone.  Returns -Exxx when a
 * capture or a file of leases is not whole. */
static int
bring_down(struct run *r, struct err *err)
{
	int e = 0;

	control_free(r->control);
	events_free(&r->events);
	expects_free(&r->expects);
	if (r->with_guests)
		guests_stop(&r->guests);
	if (r->fabric != NULL)
		fabric_stop(r->fabric);
	for (unsigned int i = 0; r->captures != NULL && i < r->lab->ncaptures;
	     i++)
		if (capture_free(r->captures[i], err) < 0)
			e = -EIO;
	free(r->captures);
	if (leases_free(r->leases, err) < 0)
		e = -EIO;
	fabric_free(r->fabric);
	loop_watch_free(r->on_int);
	loop_watch_free(r->on_term);
	loop_watch_free(r->on_hup);
	if (r->loop != NULL) {
		loop_timer_unset(&r->for_timer);
		loop_timer_unset(&r->progress);
	}
	if (r->options->virtual_time) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		virtual_loop = NULL;
	}
	loop_free(r->loop);
	rundir_close(&r->dir);
	return e;
}

static void
announce(struct run *r)
{
	const struct lab *lab = r->lab;
	char bridges[32] = "";

	if (lab->nbridges > 0)
		snprintf(bridges, sizeof(bridges), ", %u bridge%s",
		    lab->nbridges, lab->nbridges == 1 ? "" : "s");
	say(r, "%s: %u switch%s, %u router%s, %u VM%s, %u host%s, %u plug%s%s",
	    lab->name, lab->nswitches, lab->nswitches == 1 ? "" : "es",
	    lab->nrouters, lab->nrouters == 1 ? "" : "s", lab->nvms,
	    lab->nvms == 1 ? "" : "s", lab->nhosts, lab->nhosts == 1 ? "" : "s",
	    lab->nplugs, lab->nplugs == 1 ? "" : "s", bridges);
}

/* What became of an address that a router asked for. */
static void
say_address(void *arg, const char *sentence)
{
	say(arg, "%s", sentence);
}

int
run_lab(
    const struct lab *lab, const struct run_options *options, struct err *err)
{
	struct run r = {
		.lab = lab,
		.options = options,
		.dir = { .lock = -1 },
		.terminal = !options->json && !options->virtual_time &&
		    isatty(fileno(options->notes)),
	};
	int e, status = 0;

	raise_limits();
	e = bring_up(&r, err);
	if (e == 0) {
		struct results results;
		uint64_t ns;

		announce(&r);
		if (!options->json)
			fabric_on_address(r.fabric, say_address, &r);
		e = loop_run(r.loop);
		if (e < 0)
			err_set(err, e, "the event loop failed");
		ns = loop_now_ns(r.loop) - r.start_ns;
		wipe_progress(&r);
		r.up = false;
		expects_judge(&r.expects);
		results = (struct results){
			.lab = lab,
			.fabric = r.fabric,
			.guests = &r.guests,
			.expects = &r.expects,
			.captures = r.captures,
			.ran_ns = ns,
			.ndied = r.ndied,
			.virtual_time = options->virtual_time,
		};
		if (options->json)
			results_json(&results, options->out);
		else
			results_print(&results, options->out);
		fflush(options->out);
		status = expects_failed(&r.expects) > 0 || r.ndied > 0;
	}
	if (r.fabric != NULL)
		fabric_on_address(r.fabric, NULL, NULL);
	if (bring_down(&r, err) < 0 && e == 0)
		e = -EIO;
	return e < 0 ? e : status;
}
