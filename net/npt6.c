/*
 * The difference of the prefixes' sums is added to 16 bits behind them: to the
 * subnet, where the prefix leaves that room, else to the first part of the
 * interface identifier that is not all ones.  One's complement has two zeros;
 * only one of them is ever written, so that the way back finds what was.
 */
#include "net/npt6.h"

#include "net/checksum.h"

#define SUBNET 3 /* the word of it, and behind it those of the identifier */
#define WORDS  8

static uint16_t
sum_of(const struct ip6_addr *addr)
{
	return csum_fold(csum_add_bytes(0, addr->b, sizeof(addr->b)));
}

bool
npt6_init(struct npt6 *npt, const struct ip6_net *inside,
    const struct ip6_net *outside)
{
	uint8_t prefix =
	    inside->prefix > outside->prefix ? inside->prefix : outside->prefix;

	if (prefix == 0 || prefix > 64)
		return false;
	npt->inside.prefix = npt->outside.prefix = prefix;
	npt->inside.addr = ip6_masked(&inside->addr, prefix);
	npt->outside.addr = ip6_masked(&outside->addr, prefix);
	npt->adjust = csum_fold((uint32_t)sum_of(&npt->inside.addr) +
	    (uint16_t)~sum_of(&npt->outside.addr));
	return !ip6_equal(&npt->inside.addr, &npt->outside.addr);
}

/* The word that makes up for the change, or -1 with *result. */
static int
find_word(const struct ip6_addr *addr, uint8_t prefix, enum npt6_result *result)
{
	static const uint8_t zero[8];
	int word = SUBNET;

	if (prefix <= 48) {
		*result = NPT6_NO_SUBNET;
		return get_be16(addr->b + 2 * SUBNET) == 0xffff ? -1 : SUBNET;
	}
	*result = NPT6_NO_HOST;
	if (memcmp(addr->b + sizeof(zero), zero, sizeof(zero)) == 0)
		return -1;
	do
		word++;
	while (word < WORDS && get_be16(addr->b + 2 * word) == 0xffff);
	return word < WORDS ? word : -1;
}

static void
copy_prefix(struct ip6_addr *addr, const struct ip6_net *to)
{
	unsigned int whole = to->prefix / 8u, bits = to->prefix % 8u;
	uint8_t mask = (uint8_t)(0xff00 >> bits);

	memcpy(addr->b, to->addr.b, whole);
	if (bits != 0)
		addr->b[whole] =
		    (uint8_t)((addr->b[whole] & ~mask) | to->addr.b[whole]);
}

static enum npt6_result
change(struct ip6_addr *addr, const struct ip6_net *from,
    const struct ip6_net *to, uint16_t adjust)
{
	enum npt6_result result;
	uint16_t sum;
	int word;

	if (!ip6_net_has(from, addr))
		return NPT6_NOT_OURS;
	word = find_word(addr, from->prefix, &result);
	if (word < 0)
		return result;
	copy_prefix(addr, to);
	sum = csum_fold((uint32_t)get_be16(addr->b + 2 * word) + adjust);
	put_be16(addr->b + 2 * word, sum == 0xffff ? 0 : sum);
	return NPT6_DONE;
}

enum npt6_result
npt6_out(const struct npt6 *npt, struct ip6_addr *addr)
{
	return change(addr, &npt->inside, &npt->outside, npt->adjust);
}

enum npt6_result
npt6_in(const struct npt6 *npt, struct ip6_addr *addr)
{
	return change(
	    addr, &npt->outside, &npt->inside, (uint16_t)~npt->adjust);
}
