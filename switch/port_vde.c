/*
 * vde:DIR[?port=N] - a plug in a vde_switch, whose control socket is DIR/ctl.
 *
 *    AWAY --request sent--> ASKING --answer--> PLUGGED
 *     ^                       | 5 s, it goes,     |
 *     '-----------------------' or nonsense <-----' it goes
 *
 * While AWAY, the switch is tried once a second: it may come up after the lab,
 * and come again.  A vde_switch without a free port does not answer; hence the
 * 5 s.
 *
 * Our data socket lies in DIR, or in /tmp where that may not be written to,
 * under a name that goes as soon as both are connected; a switch of another
 * user has to be able to write to it until then.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/complaint.h"
#include "base/log.h"
#include "base/unix_listen.h"
#include "switch/dgram.h"
#include "switch/locator.h"
#include "switch/port.h"
#include "switch/vde.h"

#define RETRY_NS  NS_PER_S
#define ANSWER_NS (5 * NS_PER_S)
#define NAMES_MAX 64 /* tried for the data socket */

enum vde_state { VDE_AWAY, VDE_ASKING, VDE_PLUGGED, VDE_NSTATES };

struct vde {
	struct port port; /* first: ports of this kind are these */
	struct loop *loop;
	struct vde_place {
		char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path) - 4];
		struct sockaddr_un ctl;
		uint64_t number; /* port that is asked for, 0: any */
	} at;
	enum vde_state state;
	struct loop_timer timer;
	int fd;      /* the stream, -1: none */
	int data_fd; /* -1: none */
	struct loop_watch *watch, *data_watch;
	char
	    name[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* "": none */
	size_t have;
	uint8_t answer[VDE_ANSWER_BYTES];
	struct complaint complaint;
	struct dgram_out out;
	struct dgram_in in;
};

/* ---- the states ---- */

static void
remove_name(struct vde *v)
{
	if (v->name[0] != '\0')
		unlink(v->name);
	v->name[0] = '\0';
}

static void
go_away(struct vde *v)
{
	dgram_set_fd(&v->out, -1);
	loop_watch_free(v->watch);
	loop_watch_free(v->data_watch);
	v->watch = v->data_watch = NULL;
	remove_name(v);
	if (v->fd >= 0)
		close(v->fd);
	if (v->data_fd >= 0)
		close(v->data_fd);
	v->fd = v->data_fd = -1;
	v->have = 0;
	loop_timer_set(&v->timer, loop_now_ns(v->loop) + RETRY_NS);
}

static void
wait_for_answer(struct vde *v)
{
	loop_timer_set(&v->timer, loop_now_ns(v->loop) + ANSWER_NS);
}

static void
be_plugged(struct vde *v)
{
	loop_timer_unset(&v->timer);
	log_info("%s: plugged into the switch at %s", v->port.name, v->at.dir);
}

#define TO(state) (1u << VDE_##state)

static const struct {
	const char *text;
	unsigned int next;
	void (*enter)(struct vde *);
} vde_fsm[] = {
	[VDE_AWAY] = { "waiting for a switch", TO(ASKING), go_away },
	[VDE_ASKING] = { "asking", TO(AWAY) | TO(PLUGGED), wait_for_answer },
	[VDE_PLUGGED] = { "plugged in", TO(AWAY), be_plugged },
};
static_assert(
    sizeof(vde_fsm) / sizeof(vde_fsm[0]) == VDE_NSTATES, "a state has no row");

static void
vde_set(struct vde *v, enum vde_state to)
{
	assert(vde_fsm[v->state].next & 1u << to);
	v->state = to;
	vde_fsm[to].enter(v);
}

static void
leave(struct vde *v, const char *why)
{
	complain(&v->complaint, loop_now_ns(v->loop), v->port.name,
	    "the switch at %s %s; trying again", v->at.dir, why);
	vde_set(v, VDE_AWAY);
}

/* ---- frames ---- */

static void
data_ready(void *arg, unsigned int events)
{
	struct vde *v = arg;

	(void)events;
	if (dgram_read(&v->in, v->data_fd) > 0)
		dgram_deliver(&v->in, &v->port);
}

static void
take(struct port *port, struct burst *burst)
{
	struct vde *v = (struct vde *)port;

	dgram_send(&v->out, port->node, burst);
}

/* ---- the stream ---- */

static void
answered(struct vde *v)
{
	struct sockaddr_un theirs;
	const char *wrong = vde_answer_read(&theirs, v->answer);

	if (wrong != NULL) {
		leave(v, wrong);
		return;
	}
	if (connect(v->data_fd, (struct sockaddr *)&theirs, sizeof(theirs)) <
		0 ||
	    !dgram_set_fd(&v->out, v->data_fd)) {
		leave(v, "names a socket that cannot be reached");
		return;
	}
	remove_name(v);
	vde_set(v, VDE_PLUGGED);
}

static void
stream_ready(void *arg, unsigned int events)
{
	struct vde *v = arg;
	uint8_t scrap[VDE_ANSWER_BYTES];
	bool asking = v->state == VDE_ASKING;
	ssize_t n;

	(void)events;
	n = asking ? recv(v->fd, v->answer + v->have,
			 sizeof(v->answer) - v->have, MSG_DONTWAIT)
		   : recv(v->fd, scrap, sizeof(scrap), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		leave(v, "has gone");
		return;
	}
	if (!asking)
		return;
	v->have += (size_t)n;
	if (v->have == sizeof(v->answer))
		answered(v);
}

/* Binds the data socket to a new name in dir. */
static int
bind_data(struct vde *v, struct sockaddr_un *at, const char *dir)
{
	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
		if ((size_t)snprintf(at->sun_path, sizeof(at->sun_path),
			"%s/.lanyard-%d-%u", dir, (int)getpid(),
			i) >= sizeof(at->sun_path))
			return -ENAMETOOLONG;
		if (bind(v->data_fd, (struct sockaddr *)at, sizeof(*at)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

/* Who may send to us until the switch is connected: our user, or anybody where
 * the switch is another's. */
static mode_t
mode_for(const struct vde *v)
{
	struct stat st;

	if (stat(v->at.ctl.sun_path, &st) == 0 &&
	    (st.st_uid == geteuid() || st.st_uid == 0))
		return 0600;
	return 0666;
}

static int
open_data(struct vde *v, struct vde_request *request)
{
	int e;

	v->data_fd =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->data_fd < 0 || fchmod(v->data_fd, mode_for(v)) < 0)
		return -errno;
	e = bind_data(v, &request->plug, v->at.dir);
	if (e < 0)
		e = bind_data(v, &request->plug, "/tmp");
	if (e < 0)
		return e;
	memcpy(v->name, request->plug.sun_path, sizeof(v->name));
	v->data_watch =
	    loop_watch_new(v->loop, v->data_fd, LOOP_READ, data_ready, v, NULL);
	return v->data_watch != NULL ? 0 : -ENOMEM;
}

/* Sends the request.  0, or -errno. */
static int
ask(struct vde *v)
{
	struct vde_request request = { .port = (uint32_t)v->at.number };
	uint8_t bytes[VDE_REQUEST_MAX];
	size_t n;
	int e;

	snprintf(request.description, sizeof(request.description),
	    "lanyard %s PID=%d", v->port.name, (int)getpid());
	v->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->fd < 0 ||
	    connect(v->fd, (struct sockaddr *)&v->at.ctl, sizeof(v->at.ctl)) <
		0)
		return -errno;
	e = open_data(v, &request);
	if (e < 0)
		return e;
	v->watch =
	    loop_watch_new(v->loop, v->fd, LOOP_READ, stream_ready, v, NULL);
	if (v->watch == NULL)
		return -ENOMEM;
	n = vde_request_write(&request, bytes);
	if (send(v->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
		return -errno;
	return 0;
}

static void
try(struct vde *v)
{
	int e = ask(v);

	if (e == 0) {
		vde_set(v, VDE_ASKING);
		return;
	}
	log_debug("%s: %s: %s", v->port.name, v->at.ctl.sun_path, strerror(-e));
	go_away(v);
}

static void
timed_out(void *arg)
{
	struct vde *v = arg;

	switch (v->state) {
	case VDE_AWAY: try(v); return;
	case VDE_ASKING:
		leave(v, "does not answer: has it a free port?");
		return;
	case VDE_PLUGGED:
	case VDE_NSTATES: return;
	}
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct vde *v = (const struct vde *)port;

	snprintf(out, len, "%s at %s, %u waiting, %" PRIu64 " lost",
	    vde_fsm[v->state].text, v->at.dir, v->out.backlog.n, v->out.lost);
	return out;
}

static void
close_vde(struct port *port)
{
	struct vde *v = (struct vde *)port;

	go_away(v);
	loop_timer_unset(&v->timer);
	dgram_out_free(&v->out);
	free(v);
}

static const struct port_ops vde_ops = {
	.take = take,
	.close = close_vde,
	.describe = describe,
};

/* ---- opening ---- */

static int
read_locator(
    struct vde_place *at, const char *name, const char *rest, struct err *err)
{
	static const char *const keys[] = { "port", NULL };
	char path[sizeof(at->dir) + 8];
	struct locator l;
	int e = locator_read(&l, name, rest, keys, err);

	if (e == 0)
		e = locator_number(
			&l, "port", 1, VDE_PORTS_MAX, 0, &at->number, err)
		    ? 0
		    : -EINVAL;
	if (e < 0)
		return e;
	if (l.place[0] == '\0' || strlen(l.place) >= sizeof(at->dir))
		return err_set(err, -EINVAL,
		    "%s: \"vde:%.120s\": the path of a switch's folder has 1 "
		    "to %zu bytes",
		    name, l.place, sizeof(at->dir) - 1);
	memcpy(at->dir, l.place, strlen(l.place) + 1);
	snprintf(path, sizeof(path), "%s/ctl", at->dir);
	return unix_address(&at->ctl, path, err);
}

static int
check_vde(const char *name, const char *rest, struct err *err)
{
	struct vde_place at;

	return read_locator(&at, name, rest, err);
}

static struct port *
open_vde(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct vde *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&v->port, &vde_ops, node, name);
	v->port.accepts = 0;
	v->port.mtu_bytes = DGRAM_FRAME_BYTES;
	v->loop = loop;
	v->fd = v->data_fd = -1;
	loop_timer_init(&v->timer, loop, timed_out, v);
	if (dgram_out_init(&v->out, loop, true) < 0) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		goto fail;
	}
	if (read_locator(&v->at, name, rest, err) < 0)
		goto fail;
	try(v);
	if (v->state == VDE_AWAY)
		log_warn("%s: no switch at %s yet; trying each second",
		    v->port.name, v->at.dir);
	return &v->port;
fail:
	close_vde(&v->port);
	return NULL;
}

const struct port_kind port_vde = {
	.scheme = "vde",
	.syntax = "vde:DIR",
	.check = check_vde,
	.open = open_vde,
};
