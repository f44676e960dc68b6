/*
 * The copy is a fork.  In it, capture points are taken off all ports, and one
 * of ours is put there, which sees each frame twice at either end of a cable, as
 * every capture does: what it sees, in order, is the explanation.  The nodes
 * that reach outside get a take() that keeps the frame; nothing else of the
 * copy runs: no loop, no timer.  It writes JSON to a pipe and ends.
 *
 * A second set of functions that decide without acting was rejected: a router's
 * decision depends on what it did a moment ago (an entry made, a neighbour
 * asked, a fragment held), and two sets would drift apart.  Of a switch there is
 * such a set (decide.c), from which it is told here what the switch knew before.
 *
 * A copy that does not end is killed after ALARM_S.
 */
#include "lab/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "lab/cabling.h"
#include "lab/next_hop.h"
#include "net/arp.h"
#include "net/eth.h"
#include "pcap-tools/capture.h"
#include "switch/look.h"

#define ALARM_S     5
#define REPLY_BYTES (4u << 20)
#define DEPTH_MAX   256

/* ---- in the copy ---- */

/* A frame on one cable. */
struct step {
	const struct port *from, *to; /* to NULL: it did not leave */
	unsigned int depth;
	bool taken; /* the other end has decided */
	struct verdict verdict;
	char summary[SUMMARY_BYTES];
	char notes[400];
	size_t len;
};

struct stage {
	const struct fabric *f;
	struct watcher *watchers; /* one a port, by number */
	struct step *steps;
	unsigned int nsteps, left_out;
	unsigned int open[DEPTH_MAX], nopen; /* steps being decided upon */
};

/* One at a time, in a process of its own. */
static struct stage stage;

static void
add_note(struct step *s, const char *note)
{
	size_t used = strlen(s->notes);

	snprintf(s->notes + used, sizeof(s->notes) - used, "%s%s",
	    used > 0 ? "; " : "", note);
}

static void
note_cable(struct step *s)
{
	const struct cable_settings *settings;
	char text[300], note[320];

	if (s->from->cable == NULL)
		return;
	settings =
	    cable_settings(s->from->cable, cabling_side(s->from, WIRE_OUT));
	wire_text(text, sizeof(text), settings);
	if (strcmp(text, "plain") == 0)
		return;
	snprintf(note, sizeof(note), "on the cable: %s", text);
	add_note(s, note);
}

static uint32_t
begin_out(const struct port *port, const struct frame *frame)
{
	uint8_t bytes[FRAME_HEAD_BYTES];
	struct step *s;

	if (stage.nsteps == REHEARSAL_STEPS) {
		stage.left_out++;
		return 0;
	}
	s = &stage.steps[stage.nsteps++];
	*s = (struct step){
		.from = port, .depth = stage.nopen, .len = frame->len
	};
	memcpy(bytes, frame->data,
	    frame->head < sizeof(bytes) ? frame->head : sizeof(bytes));
	frame_summary(s->summary, sizeof(s->summary), bytes,
	    frame->head < sizeof(bytes) ? frame->head : sizeof(bytes));
	note_cable(s);
	return stage.nsteps;
}

/* The step that arrives at port: the first that left its other end and has not
 * arrived. */
static uint32_t
begin_in(const struct port *port, const struct frame *frame)
{
	char note[300];

	for (unsigned int i = 0; i < stage.nsteps; i++) {
		struct step *s = &stage.steps[i];

		if (s->from != port->peer || s->to != NULL || s->taken)
			continue;
		s->to = port;
		if (switch_look(port, frame, note, sizeof(note))[0] != '\0')
			add_note(s, note);
		if (stage.nopen < DEPTH_MAX)
			stage.open[stage.nopen] = i;
		stage.nopen++;
		return i + 1;
	}
	return 0;
}

static uint32_t
begin(struct watcher *watcher, const struct port *port, enum direction dir,
    const struct frame *frame)
{
	(void)watcher;
	return dir == DIR_OUT ? begin_out(port, frame) : begin_in(port, frame);
}

static void
end(struct watcher *watcher, uint32_t token, const struct frame *frame)
{
	struct step *s = &stage.steps[token - 1];

	(void)watcher;
	if (!s->taken)
		s->verdict = frame->verdict;
	if (s->to != NULL && !s->taken)
		stage.nopen--;
	s->taken = true;
}

/* ---- others, as far as they are known ---- */

static const struct lab_port *
lab_port_of(const struct port *port)
{
	return lab_port(stage.f->lab, port->name);
}

static void
answer_arp(struct port *port, const struct frame *frame)
{
	const struct lab_port *lp = lab_port_of(port);
	uint8_t bytes[ETH_MIN_BYTES], back[ETH_MIN_BYTES] = { 0 };
	struct writer w = { .at = back, .end = back + sizeof(back) };
	struct cursor c = cursor(bytes, sizeof(bytes));
	struct burst burst;
	struct eth eth;
	struct arp arp;

	if (lp == NULL || lp->kind == LAB_PLUG || lp->kind == LAB_BRIDGE ||
	    frame->len < sizeof(bytes))
		return;
	frame_copy(bytes, frame, 0, sizeof(bytes));
	if (eth_parse(&eth, &c) != DROP_NONE || eth.type != ETH_ARP ||
	    eth.nvlans > 0 || arp_parse(&arp, &c) != DROP_NONE ||
	    arp.op != ARP_REQUEST || arp.target_ip == 0 ||
	    arp.target_ip != next_hop_address(stage.f, lp))
		return;
	eth = (struct eth){ .dst = eth.src, .src = lp->mac, .type = ETH_ARP };
	arp = (struct arp){ .op = ARP_REPLY,
		.sender_mac = lp->mac,
		.sender_ip = arp.target_ip,
		.target_mac = arp.sender_mac,
		.target_ip = arp.sender_ip };
	eth_write(&w, &eth);
	arp_write(&w, &arp);
	burst_clear(&burst);
	burst_add(&burst, back, sizeof(back))->cause = &frame->verdict;
	port_send(port, &burst);
}

static void
outside_take(struct port *port, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++)
		node_judge(port->node, &burst->frame[i], REASON_DELIVERED);
	for (unsigned int i = 0; i < burst->n; i++)
		answer_arp(port, &burst->frame[i]);
}

static const struct port_ops outside_ops = { .take = outside_take };

/* ---- the copy's life ---- */

static void
set_stage(const struct fabric *f)
{
	const struct lab *lab = f->lab;
	unsigned int n = 0;

	stage = (struct stage){ .f = f };
	stage.watchers = calloc(f->ncables * 2, sizeof(stage.watchers[0]));
	stage.steps = calloc(REHEARSAL_STEPS, sizeof(stage.steps[0]));
	if (stage.watchers == NULL || stage.steps == NULL)
		_exit(1);
	for (unsigned int i = 0; i < f->ncables; i++)
		for (unsigned int k = 0; k < 2; k++) {
			struct port *port = f->cables[i][k];
			struct watcher *w = &stage.watchers[n++];

			*w = (struct watcher){ .begin = begin, .end = end };
			port->watchers = NULL;
			port->way = NULL;
			port_watch(port, w);
		}
	for (unsigned int i = 0; i < lab->nports; i++)
		if (lab->ports[i]->kind == LAB_VM ||
		    lab->ports[i]->kind == LAB_PLUG ||
		    lab->ports[i]->kind == LAB_BRIDGE)
			f->ports[i]->ops = &outside_ops;
}

static json_t *
step_json(const struct step *s)
{
	const struct verdict *v = &s->verdict;
	enum reason reason = (enum reason)v->reason;
	json_t *out = json_pack("{s:s,s:s?,s:i,s:s,s:s,s:s,s:i,s:b}", "from",
	    s->from->name, "to", s->to != NULL ? s->to->name : NULL, "depth",
	    (int)s->depth, "frame", s->summary, "node",
	    v->node != NULL ? v->node->name : s->from->node->name, "verdict",
	    reason_name(reason), "ports", (int)v->nout, "drop",
	    reason_is_drop(reason));

	json_object_set_new(
	    out, "sentence", json_string(reason_sentence(reason)));
	json_object_set_new(out, "clause", json_string(reason_clause(reason)));
	if (v->out != NULL)
		json_object_set_new(out, "out", json_string(v->out->name));
	if (v->entry != 0)
		json_object_set_new(out, "entry", json_integer(v->entry));
	if (s->notes[0] != '\0')
		json_object_set_new(out, "notes", json_string(s->notes));
	return out;
}

static void
rehearse(const struct fabric *f, struct port *port, const uint8_t *bytes,
    size_t len, int fd)
{
	json_t *steps = json_array();
	struct burst burst;
	json_t *reply;

	set_stage(f);
	burst_clear(&burst);
	burst_add(&burst, bytes, len);
	port_send(port, &burst);
	for (unsigned int i = 0; i < stage.nsteps; i++)
		json_array_append_new(steps, step_json(&stage.steps[i]));
	reply = json_pack(
	    "{s:o,s:i}", "steps", steps, "left_out", (int)stage.left_out);
	if (reply == NULL || json_dumpfd(reply, fd, JSON_COMPACT) < 0)
		_exit(1);
	_exit(0);
}

/* ---- here ---- */

struct rehearsal {
	pid_t pid;
	int fd;
	struct loop_watch *watch;
	char *text;
	size_t len;
	void (*done)(void *arg, json_t *reply, const struct err *err);
	void *arg;
};

static void
finish(struct rehearsal *r)
{
	struct err err = { "" };
	json_error_t why;
	json_t *reply = json_loadb(r->text, r->len, 0, &why);
	void (*done)(void *arg, json_t *reply, const struct err *err) = r->done;
	void *arg = r->arg;

	if (reply == NULL)
		err_set(
		    &err, -EIO, "the copy of the lab did not come to an end");
	rehearsal_cancel(r);
	done(arg, reply, &err);
}

static void
read_some(void *arg, unsigned int events)
{
	struct rehearsal *r = arg;
	ssize_t n = read(r->fd, r->text + r->len, REPLY_BYTES - r->len);

	(void)events;
	if (n > 0)
		r->len += (size_t)n;
	if (n == 0 || r->len == REPLY_BYTES ||
	    (n < 0 && errno != EINTR && errno != EAGAIN))
		finish(r);
}

struct rehearsal *
rehearsal_new(const struct fabric *f, struct port *port, const uint8_t *bytes,
    size_t len, void (*done)(void *arg, json_t *reply, const struct err *err),
    void *arg, struct err *err)
{
	struct rehearsal *r = calloc(1, sizeof(*r));
	int fds[2] = { -1, -1 };

	if (r == NULL)
		goto fail;
	r->fd = -1;
	r->done = done;
	r->arg = arg;
	r->text = malloc(REPLY_BYTES);
	if (r->text == NULL || pipe2(fds, O_CLOEXEC) < 0)
		goto fail;
	r->fd = fds[0];
	r->watch =
	    loop_watch_new(f->loop, fds[0], LOOP_READ, read_some, r, err);
	if (r->watch == NULL)
		goto fail;
	r->pid = fork();
	if (r->pid == 0) {
		alarm(ALARM_S);
		signal(SIGALRM, SIG_DFL);
		log_set_level(LOG_ERROR);
		fabric_on_address(f, NULL, NULL);
		rehearse(f, port, bytes, len, fds[1]);
	}
	if (r->pid < 0)
		goto fail;
	close(fds[1]);
	return r;
fail:
	err_sys(err, -errno, NULL, "the lab cannot be copied");
	if (fds[1] >= 0)
		close(fds[1]);
	rehearsal_cancel(r);
	return NULL;
}

void
rehearsal_cancel(struct rehearsal *r)
{
	if (r == NULL)
		return;
	loop_watch_free(r->watch);
	if (r->fd >= 0)
		close(r->fd);
	if (r->pid > 0) {
		/* It has written all, or nobody wants it. */
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	free(r->text);
	free(r);
}
