/* libs: net */
#include "net/tcp.h"

#include <stdlib.h>

#include "net/checksum.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

static const struct ip4 ip = { .src = 0x0a000064, .dst = 0xcb00710a };

static void
check_same(const struct tcp *a, const struct tcp *b)
{
	CHECK(a->sport == b->sport && a->dport == b->dport);
	CHECK(a->seq == b->seq && a->ack == b->ack && a->flags == b->flags);
	CHECK(a->window == b->window && a->urgent == b->urgent);
	CHECK(a->mss == b->mss && a->data_bytes == b->data_bytes);
	CHECK(memcmp(a->data, b->data, a->data_bytes) == 0);
}

/* Other options than the MSS are gone afterwards: it is no longer. */
static void
check_written(const struct tcp *tcp)
{
	size_t max = TCP_HEADER_BYTES + 4 + tcp->data_bytes;
	uint8_t *out = malloc(max);
	struct writer w;
	struct cursor c;
	struct tcp again;

	CHECK(out != NULL);
	w = writer(out, max);
	tcp_write(&w, tcp, ip.src, ip.dst);
	CHECK(!w.overrun);
	c = cursor(out, (size_t)(w.at - out));
	CHECK(tcp_parse(&again, &c, &ip, false) == DROP_NONE);
	check_same(tcp, &again);
	CHECK(again.header_bytes == (tcp->mss != 0 ? 24 : 20));
	free(out);
}

static void
check_segment(const uint8_t *segment, size_t size)
{
	struct cursor c = cursor(segment, size), trusted = c;
	struct tcp tcp;
	enum reason reason = tcp_parse(&tcp, &c, &ip, false);
	enum reason trust;

	CHECK(c.at >= segment && c.at <= c.end && c.end == segment + size);
	CHECK((reason == DROP_SHORT) == (size < TCP_HEADER_BYTES));
	trust = tcp_parse(&tcp, &trusted, &ip, true);
	CHECK(trust == reason ||
	    (trust == DROP_NONE && reason == DROP_L4_CHECKSUM));
	if (trust != DROP_NONE)
		return;
	CHECK(tcp.header_bytes >= TCP_HEADER_BYTES && tcp.header_bytes <= 60);
	CHECK(tcp.data == segment + tcp.header_bytes);
	CHECK(tcp.header_bytes + tcp.data_bytes == size);
	CHECK(tcp.mss == 0 || (tcp.flags & TCP_SYN && tcp.header_bytes >= 24));
	check_written(&tcp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *segment = malloc(size + 1), *s = segment + 1;

	CHECK(segment != NULL);
	memcpy(s, data, size);
	check_segment(s, size);
	if (size >= TCP_HEADER_BYTES && size <= 65515) {
		put_be16(s + TCP_OFF_CHECKSUM, 0);
		put_be16(s + TCP_OFF_CHECKSUM,
		    csum_finish(csum_add_bytes(
			csum_pseudo4(ip.src, ip.dst, IP_TCP, (uint16_t)size), s,
			size)));
		check_segment(s, size);
	}
	free(segment);
	return 0;
}
