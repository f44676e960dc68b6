/* libs: switch net base */
/*
 * Datagrams to two networks of VXLAN at one socket, from two machines that they
 * know and one that they do not, between frames that go out.
 *
 * Input: steps of a byte that says who, a byte of length, and what is sent:
 * bits 0 and 1 are the machine, or 3 for a frame of the lab's to go out; bits 2
 * and 3 say how much of a good header stands before it.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/vxlan.h"
#include "tests/fuzz/rounds.h"
#include "tests/switch/sink.h"

#define STEPS_MAX 32

static const struct port_kind *const kinds[] = { &port_vxlan, NULL };

static struct loop *loop;
static struct node node;
static struct port *port[2];
static struct sink *sink[2];
static int machine[3];
static struct sockaddr_in to;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
socket_of(unsigned int last, struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*addr);

	*addr = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f000000 + last) };
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    getsockname(fd, (struct sockaddr *)addr, &len) < 0)
		abort();
	return fd;
}

static void
tear_down(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		port_close(port[i]);
		sink_free(sink[i]);
	}
	loop_free(loop);
}

static void
set_up(void)
{
	struct sockaddr_in addr[3];

	log_set_level(LOG_ERROR - 1);
	loop = loop_new(LOOP_REAL, NULL);
	node_init(&node, "out");
	for (unsigned int i = 0; i < 3; i++)
		machine[i] = socket_of(2 + i, &addr[i]);
	close(socket_of(1, &to));
	for (unsigned int i = 0; i < 2; i++) {
		struct err err = { "" };
		char at[200];

		snprintf(at, sizeof(at),
		    "vxlan:127.0.0.2:%u?vni=%u&remote=127.0.0.3:%u"
		    "&local=127.0.0.1:%u",
		    ntohs(addr[0].sin_port), 7 + i, ntohs(addr[1].sin_port),
		    ntohs(to.sin_port));
		port[i] = port_open(
		    kinds, loop, &node, i == 0 ? "out.a" : "out.b", at, &err);
		sink[i] = sink_new(i == 0 ? "in.a" : "in.b");
		if (port[i] == NULL)
			abort();
		cable_join(port[i], &sink[i]->port);
	}
	atexit(tear_down);
}

/* What was understood is written again, but for what is reserved. */
static void
parse(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	uint8_t bytes[VXLAN_HEADER_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));
	uint32_t vni, same;

	if (vxlan_parse(&vni, &c) != DROP_NONE)
		return;
	assert(vni <= VXLAN_VNI_MAX && cur_left(&c) == size - sizeof(bytes));
	vxlan_write(&w, vni);
	c = cursor(bytes, sizeof(bytes));
	assert(vxlan_parse(&same, &c) == DROP_NONE && same == vni);
}

static void
come(unsigned int from, const uint8_t *data, size_t size, unsigned int good)
{
	uint8_t bytes[VXLAN_HEADER_BYTES + 255];
	struct writer w = writer(bytes, sizeof(bytes));

	if (good > 0)
		vxlan_write(&w, 6 + good);
	wr_bytes(&w, data, size);
	size = sizeof(bytes) - wr_left(&w);
	parse(bytes, size);
	if (sendto(machine[from], bytes, size, 0, (struct sockaddr *)&to,
		sizeof(to)) < 0)
		abort();
}

/* Each datagram of ours that is there is one that we may have sent. */
static unsigned int
went_to(unsigned int at)
{
	uint8_t bytes[VXLAN_HEADER_BYTES + 256];
	unsigned int n = 0;
	ssize_t len;

	while ((len = recv(machine[at], bytes, sizeof(bytes), 0)) >= 0) {
		struct cursor c = cursor(bytes, (size_t)len);
		uint32_t vni;

		assert(vxlan_parse(&vni, &c) == DROP_NONE);
		assert(vni == 7 || vni == 8);
		n++;
	}
	return n;
}

static void
go_out(unsigned int by, const uint8_t *data, size_t size)
{
	unsigned int a, b;
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, data, size);
	port_send(&sink[by]->port, &burst);
	a = went_to(0);
	b = went_to(1);
	assert(went_to(2) == 0);
	assert(a <= 1 && b <= 1);
	if (size < 14)
		assert(
		    burst.frame[0].verdict.reason == DROP_SHORT && a + b == 0);
	else if (data[0] & 1)
		assert(a == 1 && b == 1);
	else
		assert(a + b >= 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t before, sent = 0;
	unsigned int arrived;

	if (loop == NULL)
		set_up();
	before = node_total(&node);
	arrived = sink[0]->n + sink[1]->n;
	for (unsigned int i = 0; i < STEPS_MAX && size >= 2; i++) {
		uint8_t how = data[0];
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		if ((how & 3) == 3) {
			run_rounds(loop);
			go_out(how >> 2 & 1, data + 2, len);
		} else {
			come(how & 3, data + 2, len, (how >> 2 & 3) % 3);
		}
		sent++;
		data += 2 + len;
		size -= 2 + len;
	}
	run_rounds(loop);
	/* All of it got in, or was refused once, by a reason. */
	assert(
	    node_total(&node) - before + (sink[0]->n + sink[1]->n - arrived) ==
	    sent);
	sink_clear(sink[0]);
	sink_clear(sink[1]);
	return 0;
}
