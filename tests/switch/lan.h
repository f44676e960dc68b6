/*
 * lan.h - a switch with sinks on its ports in virtual time, for tests.
 *
 * Sink i has address 02:00:00:00:00:0i and hangs on port[i], "lan.si.eth0".
 */
#ifndef TESTS_SWITCH_LAN_H
#define TESTS_SWITCH_LAN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <setjmp.h>

#include <cmocka.h>

#include "net/eth.h"
#include "switch/switch.h"
#include "switch/vlan.h"
#include "tests/switch/sink.h"

#define LAN_SINKS 6
#define LAN_BYTES 64

struct lan {
	struct loop *loop;
	struct lan_switch *sw;
	struct port *port[LAN_SINKS];
	struct sink *sink[LAN_SINKS];
};

static inline int
lan_set_up(void **state)
{
	const struct switch_options options = { 0 };
	struct lan *lan = calloc(1, sizeof(*lan));
	struct err err = { "" };

	lan->loop = loop_new(LOOP_VIRTUAL, &err);
	lan->sw = switch_new(lan->loop, "lan", &options, &err);
	assert_non_null(lan->sw);
	for (int i = 0; i < LAN_SINKS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "lan.s%d.eth0", i);
		lan->port[i] = switch_add_port(lan->sw, name, &err);
		snprintf(name, sizeof(name), "s%d.eth0", i);
		lan->sink[i] = sink_new(name);
		assert_int_equal(
		    cable_join(lan->port[i], &lan->sink[i]->port), 0);
	}
	*state = lan;
	return 0;
}

static inline int
lan_tear_down(void **state)
{
	struct lan *lan = *state;

	for (int i = 0; i < LAN_SINKS; i++)
		sink_free(lan->sink[i]);
	switch_free(lan->sw);
	loop_free(lan->loop);
	free(lan);
	return 0;
}

static inline void
lan_forget(struct lan *lan)
{
	for (int i = 0; i < LAN_SINKS; i++)
		sink_clear(lan->sink[i]);
}

/* A frame between stations with these last bytes; 0xff: broadcast. */
static inline void
lan_fill(uint8_t *bytes, size_t len, uint8_t dst, uint8_t src)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)i;
	memset(bytes, 0, 12);
	bytes[0] = bytes[6] = 0x02;
	bytes[5] = dst;
	bytes[11] = src;
	if (dst == 0xff)
		memset(bytes, 0xff, 6);
	bytes[12] = 0x88;
	bytes[13] = 0xb6;
}

/* Puts a tag behind the addresses; returns the new length. */
static inline size_t
lan_tag(uint8_t *bytes, size_t len, uint16_t tpid, uint16_t tci)
{
	memmove(bytes + 16, bytes + 12, len - 12);
	put_be16(bytes + 12, tpid);
	put_be16(bytes + 14, tci);
	return len + 4;
}

/* Sends bytes from a sink; returns what the switch made of it. */
static inline struct verdict
lan_send_bytes(struct lan *lan, int from, const uint8_t *bytes, size_t len)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, bytes, len);
	port_send(&lan->sink[from]->port, &burst);
	return burst.frame[0].verdict;
}

static inline struct verdict
lan_send(struct lan *lan, int from, uint8_t dst, uint8_t src)
{
	uint8_t bytes[LAN_BYTES];

	lan_fill(bytes, sizeof(bytes), dst, src);
	return lan_send_bytes(lan, from, bytes, sizeof(bytes));
}

/* Sends with a tag; tpid 0: without. */
static inline struct verdict
lan_send_tagged(struct lan *lan, int from, uint8_t dst, uint8_t src,
    uint16_t tpid, uint16_t tci)
{
	uint8_t bytes[LAN_BYTES + 4];
	size_t len = LAN_BYTES;

	lan_fill(bytes, len, dst, src);
	if (tpid != 0)
		len = lan_tag(bytes, len, tpid, tci);
	return lan_send_bytes(lan, from, bytes, len);
}

static inline void
lan_alarm(void *arg)
{
	(void)arg;
}

static inline void
lan_stop(void *arg)
{
	loop_stop(arg);
}

static inline void
lan_pass_time(struct lan *lan, uint64_t ns)
{
	struct loop_timer timer;

	loop_timer_init(&timer, lan->loop, lan_stop, lan->loop);
	loop_timer_set(&timer, loop_now_ns(lan->loop) + ns);
	loop_run(lan->loop);
	loop_timer_unset(&timer);
}

#endif
