/* libs: bridge switch net base */
/*
 * Frames of a hostile LAN at the rootless way out, which lets nothing out here:
 * what its judge says of them, and what libslirp makes of those that pass.
 *
 * Input: frames, each after its length in two bytes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bridge/port_slirp.h"
#include "bridge/slirp_admit.h"
#include "tests/fuzz/rounds.h"
#include "tests/switch/sink.h"

static const struct port_kind *const kinds[] = { &port_slirp, NULL };

static struct loop *loop;
static struct node node;
static struct port *port;
static struct sink *sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
tear_down(void)
{
	port_close(port);
	sink_free(sink);
	loop_free(loop);
}

static void
set_up(void)
{
	struct err err = { "" };

	log_set_level(LOG_ERROR - 1);
	loop = loop_new(LOOP_REAL, NULL);
	node_init(&node, "out");
	port = port_open(kinds, loop, &node, "out.eth0",
	    "slirp:?restrict=yes&ipv6=fd00:0:0:2::/64", &err);
	if (port == NULL)
		abort();
	sink = sink_new("in.eth0");
	cable_join(port, &sink->port);
	atexit(tear_down);
}

/* What passes goes to no address that is the host itself. */
static void
judge(const uint8_t *frame, size_t len, enum reason verdict)
{
	static const uint8_t zeros[10];
	bool may_begin, same;
	enum reason reason = slirp_admit(frame, len, true, &may_begin);

	assert(verdict == DROP_PORT_FULL ||
	    verdict == (reason == DROP_NONE ? REASON_DELIVERED : reason));
	assert(reason == DROP_NONE || !may_begin);
	if (reason != DROP_NONE)
		return;
	assert(len >= 14);
	if (frame[12] == 8 && frame[13] == 0)
		assert(len >= 34 && frame[30] != 127 && frame[30] != 0);
	if (frame[12] == 0x86 && frame[13] == 0xdd)
		assert(len >= 54 &&
		    memcmp(frame + 38, zeros, sizeof(zeros)) != 0 &&
		    slirp_admit(frame, len, false, &same) == DROP_ETH_TYPE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t before;
	unsigned int sent = 0;

	if (loop == NULL)
		set_up();
	before = node_total(&node);
	while (size >= 2) {
		size_t len = (size_t)(data[0] << 8 | data[1]) % 1515;
		struct burst burst;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		burst_clear(&burst);
		burst_add(&burst, data, len);
		port_send(&sink->port, &burst);
		judge(data, len, (enum reason)burst.frame[0].verdict.reason);
		sent++;
		data += len;
		size -= len;
	}
	run_rounds(loop);
	assert(node_total(&node) - before >= sent);
	sink_clear(sink);
	return 0;
}
