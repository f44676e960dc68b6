/*
 * Errors of a router carry precedence 6, internetwork control, and the service
 * that the packet asked for; those of a NAT are of its diffserv class.  No error
 * tells of congestion.  They may be fragmented: an MTU below 576 bytes is legal.
 */
#include "router/icmp_error.h"

#define TOS_CONTROL 0xc0
#define TOS_SERVICE 0x1c /* delay, throughput, reliability */
#define TOS_CLASS   0xfc /* of diffserv (RFC 2474 3) */
#define NS          UINT64_C(1000000000)

/* Can it be the address of one host, to which something is sent? */
static bool
is_host(uint32_t addr)
{
	return addr != 0 && !ip4_is_loopback(addr) && addr >> 29 != 7;
}

bool
icmp_error_allowed(const struct ip4 *ip, const uint8_t *payload,
    size_t payload_bytes, bool group_frame)
{
	if (group_frame || ip->offset_bytes != 0)
		return false;
	if (!is_host(ip->src) || ip4_is_multicast(ip->dst) ||
	    ip->dst == IP4_BROADCAST)
		return false;
	if (ip->protocol == IP_ICMP &&
	    (payload_bytes == 0 || icmp_is_error(payload[0])))
		return false;
	return true;
}

static void
fill(struct icmp_bucket *b, uint32_t burst, uint64_t each_ns, uint64_t now_ns)
{
	uint64_t n = (now_ns - b->filled_ns) / each_ns;

	if (!b->started || b->tokens + n >= burst) {
		b->started = true;
		b->tokens = burst;
		b->filled_ns = now_ns;
	} else {
		b->tokens += (uint32_t)n;
		b->filled_ns += n * each_ns;
	}
}

bool
icmp_limit_take(struct icmp_limit *limit, uint32_t who, uint64_t now_ns)
{
	struct icmp_bucket *share =
	    &limit->share[(who * 0x9e3779b1u) >> 16 & (ICMP_ERROR_SHARES - 1)];

	fill(&limit->all, ICMP_ERROR_BURST, NS / ICMP_ERROR_RATE, now_ns);
	fill(share, ICMP_ERROR_BURST / 2, 2 * NS / ICMP_ERROR_RATE, now_ns);
	if (limit->all.tokens == 0 || share->tokens == 0)
		return false;
	limit->all.tokens--;
	share->tokens--;
	return true;
}

uint8_t
icmp_error_tos(uint8_t tos, bool nat)
{
	return (
	    uint8_t)(nat ? tos & TOS_CLASS : TOS_CONTROL | (tos & TOS_SERVICE));
}

void
icmp_error_write(struct writer *w, const struct icmp_error *error, uint32_t src,
    uint32_t dst, const uint8_t *quote, size_t quote_bytes)
{
	struct icmp icmp = { .type = error->type,
		.code = error->code,
		.word = error->word,
		.data = quote,
		.data_bytes = quote_bytes < ICMP_ERROR_QUOTE
		    ? quote_bytes
		    : ICMP_ERROR_QUOTE };
	struct ip4 ip = { .tos = error->tos,
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + ICMP_HEADER_BYTES +
		    icmp.data_bytes),
		.id = error->id,
		.ttl = 64,
		.protocol = IP_ICMP,
		.src = src,
		.dst = dst };

	if (error->type == ICMP_UNREACHABLE &&
	    error->code == ICMP_UNREACH_NEEDFRAG) {
		icmp.frag.unused = 0;
		icmp.frag.mtu = (uint16_t)error->word;
	}
	ip4_write(w, &ip);
	icmp_write(w, &icmp);
}
