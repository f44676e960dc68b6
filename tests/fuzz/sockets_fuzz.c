/* libs: bridge switch net base */
/*
 * A LAN and an outside that are both hostile, at the way out by sockets.  No
 * socket of this program reaches anybody: socket(), connect() and bind() are
 * our own, and give it one end of a pair whose other end the input writes to.
 *
 * Its hosts may answer at once (what's highest bit).
 *
 * Input: records of a byte what, a byte length, and so many bytes: a frame from
 * the LAN with what it lacks made good (headers, sums), the frame as it is, or
 * bytes from outside.
 */
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "bridge/port_sockets.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"

#define PAIRS 32
#define US    UINT32_C(0x0a000202) /* 10.0.2.2 */

static int outside[PAIRS];
static unsigned int npairs;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- sockets that lead nowhere ---- */

int
socket(int domain, int type, int protocol)
{
	int pair[2];

	(void)domain;
	(void)protocol;
	if (npairs == PAIRS ||
	    socketpair(AF_UNIX, type & ~SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	outside[npairs++] = pair[1];
	return pair[0];
}

int
connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)fd;
	(void)addr;
	(void)len;
	return 0;
}

int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)fd;
	(void)addr;
	(void)len;
	return 0;
}

/* Numbers that can be met. */
ssize_t
getrandom(void *out, size_t n, unsigned int flags)
{
	(void)flags;
	memset(out, 0, n);
	return (ssize_t)n;
}

/* ---- the LAN ---- */

static struct port lan;
static struct node lan_node;
static unsigned int heard;
static bool answers;

/* As a guest in this process does, before port_send() has come back: all is
 * acknowledged, or the connection reset. */
static void
answer(struct port *port, const struct ip4 *ip, const struct tcp *tcp)
{
	uint8_t bytes[ETH_HEADER_BYTES + IP4_HEADER_BYTES + TCP_HEADER_BYTES];
	struct mac us = mac_of_name("way"), guest = { { 2, 0, 0, 0, 0, 5 } };
	struct writer w = writer(bytes, sizeof(bytes));
	struct burst burst;

	eth_write(
	    &w, &(struct eth){ .dst = us, .src = guest, .type = ETH_IPV4 });
	ip4_write(&w,
	    &(struct ip4){ .ttl = 64,
		.protocol = IP_TCP,
		.total_bytes = sizeof(bytes) - ETH_HEADER_BYTES,
		.src = ip->dst,
		.dst = ip->src });
	tcp_write(&w,
	    &(struct tcp){ .sport = tcp->dport,
		.dport = tcp->sport,
		.seq = tcp->ack,
		.ack = tcp->seq + (uint32_t)tcp->data_bytes +
		    !!(tcp->flags & (TCP_SYN | TCP_FIN)),
		.window = (uint16_t)(heard * 1000),
		.flags = heard % 16 == 0 ? TCP_RST : TCP_ACK },
	    ip->dst, ip->src);
	burst_clear(&burst);
	burst_add(&burst, bytes, sizeof(bytes));
	port_send(port, &burst);
	assert(burst.frame[0].verdict.node != NULL);
}

/* What comes out of the port is well-formed. */
static void
take(struct port *port, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *f = &burst->frame[i];
		struct cursor c = cursor(f->data, f->len);
		struct eth eth;
		struct ip4 ip;
		struct tcp tcp;

		assert(f->head == f->len && eth_parse(&eth, &c) == DROP_NONE);
		if (eth.type == ETH_IPV4) {
			assert(ip4_parse(&ip, &c) == DROP_NONE);
			assert(
			    !(f->flags & FRAME_TSO4) || ip.protocol == IP_TCP);
		}
		heard++;
		node_judge(port->node, f, REASON_DELIVERED);
		if (answers && eth.type == ETH_IPV4 && ip.protocol == IP_TCP &&
		    tcp_parse(&tcp, &c, &ip, true) == DROP_NONE &&
		    !(tcp.flags & TCP_RST) &&
		    (tcp.flags != TCP_ACK || tcp.data_bytes > 0))
			answer(port, &ip, &tcp);
	}
}

static const struct port_ops lan_ops = { .take = take };

static struct loop *loop;
static struct loop_defer again;
static unsigned int rounds;

static void
round_over(void *arg)
{
	(void)arg;
	if (--rounds == 0)
		loop_stop(loop);
	else
		loop_defer_ask(&again);
}

static void
turn(void)
{
	rounds = 2;
	loop_defer_ask(&again);
	loop_run(loop);
}

static void
set_sum(uint8_t *at, size_t offset, uint32_t sum, size_t n)
{
	put_be16(at + offset, 0);
	put_be16(
	    at + offset, csum_finish(csum_add(sum, csum_add_bytes(0, at, n))));
}

/* Makes a frame that reaches what is behind the headers: few addresses and
 * ports, so that flows are met again. */
static void
make_good(uint8_t *f, size_t n)
{
	uint8_t *ip = f + ETH_HEADER_BYTES, *l4 = ip + IP4_HEADER_BYTES;
	size_t l4_bytes = n - ETH_HEADER_BYTES - IP4_HEADER_BYTES;
	struct mac us = mac_of_name("way");
	uint8_t kind = ip[IP4_OFF_PROTOCOL] % 3;

	memcpy(f, us.b, 6);
	memcpy(f + 6, "\x02\0\0\0\0\x05", 6);
	put_be16(f + 12, ETH_IPV4);
	ip[0] = 0x45;
	put_be16(ip + IP4_OFF_LENGTH, (uint16_t)(n - ETH_HEADER_BYTES));
	put_be16(ip + IP4_OFF_FRAGMENT, 0);
	ip[IP4_OFF_PROTOCOL] = kind == 0 ? IP_TCP
	    : kind == 1                  ? IP_UDP
					 : IP_ICMP;
	put_be32(ip + IP4_OFF_SRC, UINT32_C(0x0a00020f));
	put_be32(ip + IP4_OFF_DST, ip[IP4_OFF_DST] & 1 ? US : 0xc0000201);
	set_sum(ip, IP4_OFF_CHECKSUM, 0, IP4_HEADER_BYTES);
	if (l4_bytes < TCP_HEADER_BYTES)
		return;
	if (kind < 2) {
		put_be16(l4, 1000 + l4[0] % 4);
		put_be16(l4 + 2, 7);
	}
	if (kind == 0) {
		put_be32(l4 + 4, l4[7]); /* in the windows, mostly */
		put_be32(l4 + 8, get_be16(l4 + 10) % 2048);
		l4[12] = l4[12] & 1 && l4_bytes >= 32 ? 0x80 : 0x50;
		set_sum(l4, TCP_OFF_CHECKSUM,
		    csum_pseudo4(0x0a00020f, get_be32(ip + IP4_OFF_DST), IP_TCP,
			(uint16_t)l4_bytes),
		    l4_bytes);
	} else if (kind == 1) {
		put_be16(l4 + 4, (uint16_t)l4_bytes);
		put_be16(l4 + UDP_OFF_CHECKSUM, 0);
	} else {
		l4[0] = 8;
		l4[1] = 0;
		set_sum(l4, 2, 0, l4_bytes);
	}
}

static void
give(const uint8_t *data, size_t n, bool good)
{
	uint8_t *bytes = malloc(n + 1); /* so that an overrun is seen */
	struct burst burst;

	memcpy(bytes, data, n);
	if (good && n >= ETH_HEADER_BYTES + IP4_HEADER_BYTES)
		make_good(bytes, n);
	burst_clear(&burst);
	burst_add(&burst, bytes, n);
	port_send(&lan, &burst);
	assert(burst.frame[0].verdict.node != NULL);
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct port_kind *const kinds[] = { &port_sockets, NULL };
	static struct node node;
	struct cursor c = cursor(data, size);
	struct port *port;
	struct err err = { "" };

	log_set_level(LOG_ERROR);
	if (loop == NULL) {
		loop = loop_new(LOOP_REAL, NULL);
		loop_defer_init(&again, loop, round_over, NULL);
		node_init(&node, "way");
		node_init(&lan_node, "lan");
	}
	npairs = heard = 0;
	answers = false;
	port_init(&lan, &lan_ops, &lan_node, "lan");
	port = port_open(kinds, loop, &node, "way",
	    "sockets:10.0.2.2/24?host=yes&dns=10.0.2.3", &err);
	assert(port != NULL && cable_join(port, &lan) == 0);
	while (cur_left(&c) > 2) {
		uint8_t what = cur_u8(&c), n = cur_u8(&c);
		size_t len = cur_left(&c) < n ? cur_left(&c) : n;
		const uint8_t *bytes = cur_bytes(&c, len);

		answers = what & 0x80;
		if (what % 4 < 2)
			give(bytes, len, what % 4 == 1);
		else if (what % 4 == 2 && npairs > 0)
			(void)!send(outside[bytes[0] % npairs], bytes, len,
			    MSG_NOSIGNAL);
		else
			turn();
	}
	turn();
	port_close(port);
	for (unsigned int i = 0; i < npairs; i++)
		close(outside[i]);
	return 0;
}
