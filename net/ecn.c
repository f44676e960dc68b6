#include "net/ecn.h"

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"

#define ECN_BITS    0x3u
#define ECN_NOT_ECT 0x0u
#define ECN_CE      0x3u

#define IP6_HEADER_BYTES 40 /* RFC 8200, 3 */

/* The traffic class lies across the first two bytes of an IPv6 header: its ECN
 * bits are bits 4 and 5 of the second. */
#define IP6_ECN_SHIFT 4

/* IPv4: version and header length, then the byte that ends in the ECN bits. */
static bool
mark_ip4(uint8_t *ip)
{
	uint16_t word = get_be16(ip);
	unsigned int ecn = word & ECN_BITS;

	if (word >> 12 != 4 || ecn == ECN_NOT_ECT)
		return false;
	put_be16(ip, (uint16_t)(word | ECN_CE));
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_update16(get_be16(ip + IP4_OFF_CHECKSUM), word,
		(uint16_t)(word | ECN_CE)));
	return true;
}

static bool
mark_ip6(uint8_t *ip)
{
	unsigned int ecn = ip[1] >> IP6_ECN_SHIFT & ECN_BITS;

	if (ip[0] >> 4 != 6 || ecn == ECN_NOT_ECT)
		return false;
	ip[1] |= ECN_CE << IP6_ECN_SHIFT;
	return true;
}

bool
ecn_mark(uint8_t *frame, size_t len_bytes)
{
	struct cursor c = cursor(frame, len_bytes);
	struct eth eth;
	uint8_t *ip;

	if (eth_parse(&eth, &c) != DROP_NONE)
		return false;
	ip = frame + (len_bytes - cur_left(&c));
	if (eth.type == ETH_IPV4 && cur_left(&c) >= IP4_HEADER_BYTES)
		return mark_ip4(ip);
	if (eth.type == ETH_IPV6 && cur_left(&c) >= IP6_HEADER_BYTES)
		return mark_ip6(ip);
	return false;
}
