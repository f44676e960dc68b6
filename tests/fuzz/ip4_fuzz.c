/* libs: net */
#include "net/ip4.h"

#include <stdlib.h>

#include "net/checksum.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

/* Makes the checksum right: a fuzzer would not find it. */
static void
seal(uint8_t *packet, size_t size)
{
	size_t header = size > 0 ? (size_t)(packet[0] & 0xf) * 4 : 0;

	if (header < IP4_HEADER_BYTES || header > size)
		return;
	put_be16(packet + IP4_OFF_CHECKSUM, 0);
	put_be16(packet + IP4_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, packet, header)));
}

static void
check_same(const struct ip4 *a, const struct ip4 *b)
{
	CHECK(a->tos == b->tos && a->header_bytes == b->header_bytes);
	CHECK(a->total_bytes == b->total_bytes && a->id == b->id);
	CHECK(a->fragment == b->fragment);
	CHECK(a->offset_bytes == b->offset_bytes && a->ttl == b->ttl);
	CHECK(a->protocol == b->protocol && a->src == b->src);
	CHECK(a->dst == b->dst);
	CHECK(memcmp(a->options, b->options,
		  (size_t)(a->header_bytes - IP4_HEADER_BYTES)) == 0);
}

/* Parses a copy that ends where its allocation ends. */
static void
check_packet(const uint8_t *packet, size_t size)
{
	struct cursor c = cursor(packet, size), quoted = c;
	struct ip4 ip, again;
	enum reason reason = ip4_parse(&ip, &c);
	enum reason quote = ip4_parse_quoted(&again, &quoted);
	uint8_t out[60];
	struct writer w = writer(out, sizeof(out));

	CHECK(c.at >= packet && c.at <= c.end && c.end <= packet + size);
	CHECK(quoted.at >= packet && quoted.at <= quoted.end);
	CHECK(quoted.end <= packet + size);
	/* All that a quote may lack is its payload. */
	CHECK(reason == quote ||
	    (reason == DROP_IP_LENGTH && quote == DROP_NONE));
	if (reason != DROP_NONE)
		return;
	check_same(&ip, &again);
	CHECK(c.at == packet + ip.header_bytes);
	CHECK(cur_left(&c) == (size_t)ip.total_bytes - ip.header_bytes);

	ip4_write(&w, &ip);
	CHECK(!w.overrun && w.at == out + ip.header_bytes);
	c = cursor(out, (size_t)(w.at - out));
	CHECK(ip4_parse_quoted(&again, &c) == DROP_NONE);
	check_same(&ip, &again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *packet = malloc(size + 1);

	CHECK(packet != NULL);
	memcpy(packet + 1, data, size);
	check_packet(packet + 1, size);
	seal(packet + 1, size);
	check_packet(packet + 1, size);
	free(packet);
	return 0;
}
