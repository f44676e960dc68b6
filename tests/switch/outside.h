/*
 * outside.h - a port that reaches outside, a sink behind its cable, a folder
 * for sockets and a loop that runs when the test says so.
 *
 *     the test ==socket== port "out.eth0" ---cable--- sink "in.eth0"
 */
#ifndef TESTS_SWITCH_OUTSIDE_H
#define TESTS_SWITCH_OUTSIDE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "tests/switch/sink.h"

struct outside {
	const struct port_kind *kinds[4];
	struct loop *loop;
	struct loop_defer again;
	unsigned int rounds;
	char dir[64];
	struct node node;
	struct port *port;
	struct sink *sink;
	int fds; /* open descriptors at the start */
};

static inline int
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static inline void
outside_round(void *arg)
{
	struct outside *o = arg;

	if (--o->rounds == 0)
		loop_stop(o->loop);
	else
		loop_defer_ask(&o->again);
}

/* Lets all happen that is under way in this process. */
static inline void
pump(struct outside *o)
{
	o->rounds = 16;
	loop_defer_ask(&o->again);
	loop_run(o->loop);
}

static inline void
outside_stop(void *arg)
{
	loop_stop(arg);
}

/* Runs the loop for so long. */
static inline void
run_for(struct outside *o, uint64_t ns)
{
	struct loop_timer timer;

	loop_timer_init(&timer, o->loop, outside_stop, o->loop);
	loop_update_now(o->loop);
	loop_timer_set(&timer, loop_now_ns(o->loop) + ns);
	loop_run(o->loop);
	loop_timer_unset(&timer);
}

static inline struct port *
outside_port(struct outside *o, const char *name, const char *format,
    const char *rest, struct err *err)
{
	char locator[300];

	snprintf(locator, sizeof(locator), format, o->dir, rest);
	return port_open(o->kinds, o->loop, &o->node, name, locator, err);
}

/* format is the locator, with %s for the folder. */
static inline void
outside_open(struct outside *o, const char *format)
{
	struct err err = { "" };

	o->port = outside_port(o, "out.eth0", format, "", &err);
	assert_string_equal(err.text, "");
	assert_non_null(o->port);
	cable_join(o->port, &o->sink->port);
}

static inline struct outside *
outside_new(const struct port_kind *kind)
{
	struct outside *o = calloc(1, sizeof(*o));

	log_set_level(LOG_ERROR);
	o->fds = open_fds();
	o->kinds[0] = kind;
	o->loop = loop_new(LOOP_REAL, NULL);
	loop_defer_init(&o->again, o->loop, outside_round, o);
	strcpy(o->dir, "/tmp/outside-test-XXXXXX");
	assert_non_null(mkdtemp(o->dir));
	node_init(&o->node, "out");
	o->sink = sink_new("in.eth0");
	return o;
}

/* Nothing may be left, in the folder or of descriptors. */
static inline void
outside_free(struct outside *o)
{
	port_close(o->port);
	sink_free(o->sink);
	loop_free(o->loop);
	assert_int_equal(rmdir(o->dir), 0);
	assert_int_equal(open_fds(), o->fds);
	free(o);
}

/* A burst of n frames of len bytes, numbered from first on. */
static inline void
send_frames_of(
    struct outside *o, unsigned int n, size_t len, unsigned int first)
{
	static uint8_t bytes[BURST_MAX][FRAME_MAX_BYTES];
	struct burst burst;

	burst_clear(&burst);
	for (unsigned int i = 0; i < n; i++) {
		memset(bytes[i], (int)(first + i), len);
		memcpy(bytes[i], &(uint32_t){ first + i }, sizeof(uint32_t));
		burst_add(&burst, bytes[i], len);
	}
	port_send(&o->sink->port, &burst);
}

static inline struct sockaddr_un
path_in(const struct outside *o, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", o->dir, name);
	return addr;
}

/* A socket of the test's, connected to a path in the folder. */
static inline int
connect_in(const struct outside *o, const char *name, int type)
{
	struct sockaddr_un addr = path_in(o, name);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static inline int
bind_in(const struct outside *o, const char *name, int type)
{
	struct sockaddr_un addr = path_in(o, name);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static inline void
unlink_in(const struct outside *o, const char *name)
{
	struct sockaddr_un addr = path_in(o, name);

	unlink(addr.sun_path);
}

#endif
