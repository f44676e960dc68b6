#include "lab/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab/capturing.h"
#include "lab/explain.h"
#include "lab/guest.h"
#include "lab/measure.h"
#include "lab/nearest.h"
#include "lab/output.h"
#include "lab/request.h"
#include "lab/rundir.h"
#include "lab/setting.h"
#include "lab/showing.h"
#include "lab/vm_args.h"
#include "pcap-tools/capture.h"

/* Half of the time is for everything else. */
#define SHOW_EVERY_NS    (2 * NS_PER_MS)
#define SHOW_AHEAD_BYTES ((size_t)1 << 20) /* that wait for who reads slowly */

struct client {
	struct control *control;
	LIST_ENTRY(client) entry;
	int fd;
	struct loop_watch *watch;
	char in[REQUEST_MAX_BYTES];
	size_t in_len;
	char *out;
	size_t out_len, out_max;
	bool ended;             /* it sends no more */
	bool broken;            /* close it as soon as nobody holds it */
	struct request request; /* of the job */
	struct job job;
	char rest[4]; /* the beginning of a character of the output */
	size_t rest_len;
	struct capture *capture;
	struct rehearsal *rehearsal;
	struct guest *restoring;
	struct meter *measuring;
	struct showing *showing;
	struct loop_timer next_slice; /* of what is shown */
};

struct control {
	struct control_config config;
	int fd;
	struct loop_watch *watch;
	LIST_HEAD(client_list, client) clients;
	unsigned int nclients;
};

/* ---- replies ---- */

static void
set_events(struct client *c)
{
	unsigned int events = c->out_len > 0 ? LOOP_WRITE : 0;

	/* Requests that pile up while a command runs wait in the socket. */
	if (!c->ended && c->in_len < sizeof(c->in))
		events |= LOOP_READ;
	loop_watch_events(c->watch, events);
}

static void
flush_out(struct client *c)
{
	ssize_t n = c->out_len == 0
	    ? 0
	    : send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		c->broken = true;
	if (n > 0) {
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	set_events(c);
}

/* Adds to what is sent.  0, or -1: it is too much. */
static int
put(const char *bytes, size_t len, void *arg)
{
	struct client *c = arg;

	if (c->out_len + len > CONTROL_OUT_BYTES)
		return -1;
	if (c->out_len + len > c->out_max) {
		size_t max = (c->out_len + len) * 2;
		char *out = realloc(c->out, max);

		if (out == NULL)
			return -1;
		c->out = out;
		c->out_max = max;
	}
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
	return 0;
}

/* Sends one line; takes reply. */
static void
reply(struct client *c, json_t *reply)
{
	char *line = c->broken ? NULL : json_dumps(reply, JSON_COMPACT);

	json_decref(reply);
	if (line == NULL || put(line, strlen(line), c) < 0 ||
	    put("\n", 1, c) < 0)
		c->broken = true;
	else
		flush_out(c);
	free(line);
}

static void
reply_error(struct client *c, const struct err *err)
{
	char text[sizeof(err->text)];

	memcpy(text, err->text, sizeof(text));
	output_clean(text, strlen(text));
	/* Names of the request may be cut within a character. */
	text[output_whole(text, strlen(text))] = '\0';
	reply(c, json_pack("{s:b,s:s}", "ok", 0, "error", text));
}

/* ---- calls ---- */

static void
call_info(struct client *c)
{
	const struct fabric *f = c->control->config.fabric;
	const struct lab *lab = f->lab;

	reply(c,
	    json_pack("{s:b,s:s,s:s?,s:i,s:f,s:i,s:i,s:i,s:i,s:i,s:i,s:i}",
		"ok", 1, "lab", lab->name, "file", lab->file, "pid",
		(int)getpid(), "running_s",
		(double)(loop_now_ns(f->loop) / NS_PER_MS) / 1000, "switches",
		(int)lab->nswitches, "routers", (int)lab->nrouters, "vms",
		(int)lab->nvms, "ready",
		c->control->config.guests != NULL
		    ? (int)c->control->config.guests->nready
		    : 0,
		"hosts", (int)lab->nhosts, "plugs", (int)lab->nplugs, "bridges",
		(int)lab->nbridges));
}

/* Goes on with what is shown, until the next slice or the end. */
static void
show_slice(struct client *c)
{
	uint64_t now_ns = loop_now_ns(c->control->config.loop);
	int more = 1;

	if (c->out_len < SHOW_AHEAD_BYTES)
		more = showing_go_on(c->showing, put, c);
	if (more > 0) {
		loop_timer_set(&c->next_slice, now_ns + SHOW_EVERY_NS);
	} else {
		showing_free(c->showing);
		c->showing = NULL;
		if (more == 0)
			more = put("\n", 1, c);
	}
	if (more < 0)
		c->broken = true;
	else
		flush_out(c);
}

static void
call_show(struct client *c, const struct request *r)
{
	const struct show show = { c->control->config.fabric,
		c->control->config.guests };
	struct err err = { "" };
	const struct table_head *head = show_head(r->what, &err);

	if (head != NULL)
		c->showing = showing_new(head, &show);
	if (head != NULL && c->showing == NULL)
		err_set(&err, -ENOMEM, "out of memory");
	if (c->showing != NULL)
		show_slice(c);
	else
		reply_error(c, &err);
}

static void
call_set(struct client *c, const struct request *r)
{
	struct err err = { "" };
	bool up;

	if (setting_do(c->control->config.fabric, r, &up, &err) < 0)
		reply_error(c, &err);
	else
		reply(c, json_pack("{s:b,s:b}", "ok", 1, "up", up));
}

static int
start_capture(struct client *c, const struct request *r, struct err *err)
{
	struct fabric *f = c->control->config.fabric;
	int e = 0;

	/* Before the file is made: nothing is there if a name is wrong. */
	for (unsigned int i = 0; i < r->nports; i++)
		if (capturing_find(f, r->at[i], err) < 0)
			return -ENOENT;
	c->capture = capture_new(f->loop, r->file, NULL, err);
	if (c->capture == NULL)
		return -EIO;
	for (unsigned int i = 0; i < r->nports && e == 0; i++)
		e = capturing_add(c->capture, f, r->at[i], r->filter, err);
	if (e < 0) {
		capture_free(c->capture, NULL);
		c->capture = NULL;
	}
	return e;
}

static void
call_capture(struct client *c, const struct request *r)
{
	struct err err = { "" };

	if (r->file[0] != '/')
		err_set(&err, -EINVAL, "\"file\" must be an absolute path");
	else if (c->capture != NULL)
		err_set(&err, -EBUSY, "this client captures already");
	else if (start_capture(c, r, &err) == 0)
		err_clear(&err);
	if (err.text[0] != '\0')
		reply_error(c, &err);
	else
		reply(c, json_pack("{s:b}", "ok", 1));
}

static void
end_capture(struct client *c)
{
	struct capture_stats stats;
	struct err err = { "" };

	capture_flush(c->capture);
	stats = capture_stats(c->capture);
	if (capture_free(c->capture, &err) < 0)
		reply_error(c, &err);
	else
		reply(c,
		    json_pack("{s:b,s:I,s:I,s:I}", "ok", 1, "frames",
			(json_int_t)stats.frames, "bytes",
			(json_int_t)stats.bytes, "lost",
			(json_int_t)stats.lost));
	c->capture = NULL;
}

static void take_requests(struct client *c);
static void client_free(struct client *c);

static void
command_output(void *arg, const char *bytes, size_t len)
{
	struct client *c = arg;

	while (len > 0) {
		char piece[4096];
		size_t n = sizeof(piece) - c->rest_len, whole;

		n = n < len ? n : len;
		memcpy(piece, c->rest, c->rest_len);
		memcpy(piece + c->rest_len, bytes, n);
		bytes += n;
		len -= n;
		n += c->rest_len;
		whole = output_whole(piece, n);
		c->rest_len = n - whole;
		memcpy(c->rest, piece + whole, c->rest_len);
		output_clean(piece, whole);
		if (whole > 0)
			reply(c, json_pack("{s:s%}", "output", piece, whole));
	}
}

static void
command_done(void *arg, int status)
{
	struct client *c = arg;
	struct err err = { "" };

	c->rest_len = 0;
	if (status == JOB_GONE) {
		err_set(&err, -EIO, "the VM has ended or started anew");
		reply_error(c, &err);
	} else {
		reply(c, json_pack("{s:b,s:i}", "ok", 1, "status", status));
	}
	request_free(&c->request);
	take_requests(c);
	if (c->broken)
		client_free(c);
}

static struct guest *
find_vm(struct client *c, const char *name, struct err *err)
{
	struct guests *guests = c->control->config.guests;
	struct guest *g = guests != NULL ? guests_find(guests, name) : NULL;
	struct nearest near;

	if (g != NULL)
		return g;
	nearest_init(&near, name);
	for (unsigned int i = 0; guests != NULL && i < guests->lab->nvms; i++)
		nearest_try(&near, guests->lab->vms[i].item.name);
	err_set(err, -ENOENT, "VM \"%.40s\" is not in this lab; %s%s%s", name,
	    near.best != NULL ? "did you mean \""
			      : "\"lanyard show LAB vms\" lists them",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
	return NULL;
}

/* True if the request's text stays in use. */
static bool
call_exec(struct client *c, const struct request *r)
{
	struct err err = { "" };
	struct guest *g = find_vm(c, r->node, &err);

	if (g != NULL &&
	    (strlen(r->run) > 1000 || r->run[0] == '\0' ||
		!agent_can_run(r->run)))
		err_set(&err, -EINVAL,
		    "a command is one line of at most 1000 printable letters");
	else if (g != NULL && g->state == VM_GONE)
		err_set(&err, -ESRCH, "VM \"%s\" is not running", r->node);
	if (err.text[0] != '\0') {
		reply_error(c, &err);
		return false;
	}
	c->request = *r;
	c->job = (struct job){
		.command = r->run,
		.output = command_output,
		.done = command_done,
		.arg = c,
	};
	job_ask(&c->job, g);
	return true;
}

/* ---- checkpoints ---- */

/* A VM that has checkpoints; NULL: *err. */
static struct guest *
find_own_vm(struct client *c, const char *name, struct err *err)
{
	struct guest *g = find_vm(c, name, err);

	if (g == NULL || g->vm->engine != ENGINE_QEMU)
		return g;
	err_set(err, -ENOTSUP,
	    "vm \"%s\": QEMU's machines have no checkpoints; use another "
	    "engine",
	    name);
	return NULL;
}

/* Where a VM listens, which makes its checkpoints itself; or what it would be
 * run by. */
static void
call_vm(struct client *c, const struct request *r)
{
	struct err err = { "" };
	struct guest *g = find_own_vm(c, r->node, &err);
	json_t *words = NULL;
	char path[RUNDIR_BYTES];

	if (g != NULL && g->state == VM_GONE)
		words = vm_args_json(g->vm, g->all->lab, g->all->dir, &err);
	if (g == NULL || (g->state == VM_GONE && words == NULL)) {
		reply_error(c, &err);
		return;
	}
	snprintf(
	    path, sizeof(path), "%s/%s.ctl", g->all->dir, g->vm->item.name);
	reply(c,
	    json_pack("{s:b,s:s,s:s,s:o*}", "ok", 1, "state",
		guest_state_name(g), "control", path, "words", words));
}

static void
vm_restored(void *arg, bool ok)
{
	struct client *c = arg;
	char text[ERR_MAX_BYTES];
	struct err err = { "" };

	if (ok)
		reply(c, json_pack("{s:b}", "ok", 1));
	else
		err_set(&err, -EIO, "%s",
		    guest_epitaph(c->restoring, text, sizeof(text)));
	if (!ok)
		reply_error(c, &err);
	c->restoring = NULL;
	take_requests(c);
	if (c->broken)
		client_free(c);
}

static void
call_restore(struct client *c, const struct request *r)
{
	struct err err = { "" };
	struct guest *g = find_own_vm(c, r->node, &err);

	if (g == NULL ||
	    guest_restore(g, r->checkpoint, vm_restored, c, &err) < 0)
		reply_error(c, &err);
	else
		c->restoring = g;
}

/* ---- explain ---- */

static void
explained(void *arg, json_t *answer, const struct err *err)
{
	struct client *c = arg;

	c->rehearsal = NULL;
	if (answer == NULL) {
		reply_error(c, err);
	} else {
		json_object_set_new(answer, "ok", json_true());
		reply(c, answer);
	}
	take_requests(c);
	if (c->broken)
		client_free(c);
}

static void
call_explain(struct client *c, const struct request *r)
{
	struct err err = { "" };

	c->rehearsal = explain(
	    c->control->config.fabric, r->port, r->frame, explained, c, &err);
	if (c->rehearsal == NULL)
		reply_error(c, &err);
}

/* ---- measure ---- */

static void
measured(void *arg)
{
	struct client *c = arg;
	struct err err = { "" };
	json_t *answer = measure_answer(c->measuring, &err);

	if (answer == NULL)
		reply_error(c, &err);
	else
		reply(c, answer);
	c->measuring = NULL;
	take_requests(c);
	if (c->broken)
		client_free(c);
}

static void
call_measure(struct client *c, const struct request *r)
{
	struct err err = { "" };

	c->measuring = measure_start(c->control->config.fabric, r->from, r->to,
	    r->with, measured, c, &err);
	if (c->measuring == NULL)
		reply_error(c, &err);
}

static void
stop_measuring(struct client *c)
{
	if (c->measuring != NULL)
		meter_stop(c->measuring);
	c->measuring = NULL;
}

static void
take_line(struct client *c, const char *line, size_t len)
{
	struct request r;
	struct err err = { "" };

	if (request_read(&r, line, len, &err) < 0) {
		reply_error(c, &err);
		return;
	}
	switch (r.call) {
	case REQUEST_INFO: call_info(c); break;
	case REQUEST_SHOW: call_show(c, &r); break;
	case REQUEST_SET: call_set(c, &r); break;
	case REQUEST_CAPTURE: call_capture(c, &r); break;
	case REQUEST_EXPLAIN: call_explain(c, &r); break;
	case REQUEST_MEASURE: call_measure(c, &r); break;
	case REQUEST_VM: call_vm(c, &r); break;
	case REQUEST_RESTORE: call_restore(c, &r); break;
	case REQUEST_EXEC:
		if (call_exec(c, &r))
			return;
		break;
	case REQUEST_STOP:
		reply(c, json_pack("{s:b}", "ok", 1));
		c->control->config.stop(c->control->config.arg);
		break;
	}
	request_free(&r);
}

/* ---- clients ---- */

/* What takes long holds up what comes after it. */
static bool
is_idle(const struct client *c)
{
	return c->job.guest == NULL && c->rehearsal == NULL &&
	    c->restoring == NULL && c->measuring == NULL && c->showing == NULL;
}

static void
take_requests(struct client *c)
{
	size_t done = 0;
	struct err err = { "" };

	while (is_idle(c) && !c->broken) {
		char *end = memchr(c->in + done, '\n', c->in_len - done);
		size_t len;

		if (end == NULL)
			break;
		len = (size_t)(end - (c->in + done));
		take_line(c, c->in + done, len);
		done += len + 1;
	}
	c->in_len -= done;
	memmove(c->in, c->in + done, c->in_len);
	if (c->in_len == sizeof(c->in) && is_idle(c) && !c->broken) {
		err_set(&err, -EMSGSIZE, "a request of more than %d bytes",
		    REQUEST_MAX_BYTES);
		reply_error(c, &err);
		c->broken = true;
	}
	set_events(c);
}

static void
client_free(struct client *c)
{
	job_cancel(&c->job);
	if (c->restoring != NULL)
		guest_forget(c->restoring, c);
	rehearsal_cancel(c->rehearsal);
	stop_measuring(c);
	loop_timer_unset(&c->next_slice);
	showing_free(c->showing);
	request_free(&c->request);
	if (c->capture != NULL)
		capture_free(c->capture, NULL);
	LIST_REMOVE(c, entry);
	c->control->nclients--;
	loop_watch_free(c->watch);
	close(c->fd);
	free(c->out);
	free(c);
}

static void
client_read(struct client *c)
{
	ssize_t n;

	n = recv(
	    c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
	if (n > 0) {
		c->in_len += (size_t)n;
		take_requests(c);
	} else if (n == 0) {
		c->ended = true;
		/* Who asked for a command and left does not want it. */
		job_cancel(&c->job);
		rehearsal_cancel(c->rehearsal);
		c->rehearsal = NULL;
		stop_measuring(c);
		if (c->capture != NULL && c->showing == NULL)
			end_capture(c);
		flush_out(c);
	} else if (errno != EAGAIN && errno != EINTR) {
		c->broken = true;
	}
}

/* Nothing is left to do for it. */
static bool
is_done(const struct client *c)
{
	return c->broken || (c->ended && c->out_len == 0 && c->showing == NULL);
}

static void
client_event(void *arg, unsigned int events)
{
	struct client *c = arg;

	if (events & LOOP_WRITE)
		flush_out(c);
	if (events & LOOP_READ && !c->ended)
		client_read(c);
	if (is_done(c))
		client_free(c);
}

/* The next slice of what is shown is due. */
static void
show_more(void *arg)
{
	struct client *c = arg;

	show_slice(c);
	if (c->showing == NULL && c->ended && c->capture != NULL)
		end_capture(c);
	take_requests(c);
	if (is_done(c))
		client_free(c);
}

static void
accept_client(void *arg, unsigned int events)
{
	struct control *control = arg;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;
	struct err err = { "" };

	(void)events;
	if (fd < 0)
		return;
	c = control->nclients < CONTROL_CLIENTS_MAX ? calloc(1, sizeof(*c))
						    : NULL;
	if (c == NULL) {
		close(fd);
		return;
	}
	c->control = control;
	c->fd = fd;
	loop_timer_init(&c->next_slice, control->config.loop, show_more, c);
	c->watch = loop_watch_new(
	    control->config.loop, fd, LOOP_READ, client_event, c, &err);
	if (c->watch == NULL) {
		close(fd);
		free(c);
		return;
	}
	LIST_INSERT_HEAD(&control->clients, c, entry);
	control->nclients++;
}

/* ---- the socket ---- */

struct control *
control_new(const struct control_config *config, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct control *control = calloc(1, sizeof(*control));

	if (control == NULL) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	control->config = *config;
	LIST_INIT(&control->clients);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", config->path);
	control->fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd < 0 ||
	    bind(control->fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    chmod(config->path, 0600) < 0 ||
	    listen(control->fd, CONTROL_CLIENTS_MAX) < 0) {
		err_sys(err, -errno, NULL, "%s: cannot be listened on",
		    config->path);
		goto fail;
	}
	control->watch = loop_watch_new(
	    config->loop, control->fd, LOOP_READ, accept_client, control, err);
	if (control->watch != NULL)
		return control;
fail:
	control_free(control);
	return NULL;
}

void
control_free(struct control *control)
{
	if (control == NULL)
		return;
	while (!LIST_EMPTY(&control->clients))
		client_free(LIST_FIRST(&control->clients));
	loop_watch_free(control->watch);
	if (control->fd >= 0)
		close(control->fd);
	free(control);
}
