/* libs: lab/frame_text.c lab/units.c lab/nearest.c net base */
/*
 * Descriptions of frames: those that are read give a frame of bounded length,
 * whose bytes parse as what was described.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lab/frame_text.h"
#include "net/arp.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_ip(const struct frame_text *f, struct cursor *c)
{
	struct ip4 ip;
	struct icmp icmp;
	struct udp udp;
	struct tcp tcp;

	assert(ip4_parse(&ip, c) == DROP_NONE);
	assert(ip.src == f->from && ip.dst == f->to && ip.ttl == f->ttl);
	switch (f->kind) {
	case FRAME_TEXT_ICMP:
		assert(icmp_parse(&icmp, c) == DROP_NONE);
		assert(icmp.echo.id == f->id && icmp.echo.seq == f->seq);
		return;
	case FRAME_TEXT_UDP:
		assert(udp_parse(&udp, c, &ip, false) == DROP_NONE);
		assert(udp.sport == f->sport && udp.dport == f->dport);
		return;
	case FRAME_TEXT_TCP:
		assert(tcp_parse(&tcp, c, &ip, false) == DROP_NONE);
		assert(tcp.sport == f->sport && tcp.dport == f->dport);
		assert(tcp.flags == f->flags);
		return;
	default: return;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frame_text f;
	static uint8_t bytes[FRAME_TEXT_MAX];
	char *text = malloc(size + 1);
	struct err err = { "" };
	struct cursor c;
	struct eth eth;
	struct arp arp;
	size_t len;

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (frame_text_read(&f, text, &err) < 0) {
		assert(err.text[0] != '\0');
		free(text);
		return 0;
	}
	free(text);
	f.src.b[0] &= 0xfe;
	len = frame_text_write(bytes, &f);
	assert(len > 0 && len <= FRAME_TEXT_MAX);
	if (f.kind == FRAME_TEXT_HEX)
		return 0;
	assert(len >= ETH_MIN_BYTES && len >= f.bytes);
	c = cursor(bytes, len);
	assert(eth_parse(&eth, &c) == DROP_NONE);
	if (f.kind == FRAME_TEXT_TYPE)
		return 0;
	assert(eth.nvlans == f.nvlans);
	if (f.kind == FRAME_TEXT_ARP)
		assert(arp_parse(&arp, &c) == DROP_NONE);
	else
		check_ip(&f, &c);
	return 0;
}
