/*
 * A bit per port.  A new port is guessed a few times, which is as good as
 * uniform while there is room; when most are taken, the search goes on from the
 * last guess, 64 ports at a step, so that even the last free port costs about a
 * microsecond.
 */
#include "router/nat_ports.h"

#include <stddef.h>

#define GUESSES 8
#define EVEN    UINT64_C(0x5555555555555555)
#define ALL     UINT64_MAX

static void
take(struct nat_ports *ports, uint32_t port)
{
	ports->taken[port / 64] |= UINT64_C(1) << port % 64;
	ports->ntaken[port >= NAT_PORT_CLASS_END]++;
}

/* Free ports in the word that holds ports 64 * word and on, of those in mask
 * and within first and last. */
static uint64_t
free_in(const struct nat_ports *ports, uint32_t word, uint64_t mask,
    uint32_t first, uint32_t last)
{
	uint64_t free = ~ports->taken[word] & mask;

	if (word == first / 64)
		free &= ALL << first % 64;
	if (word == last / 64)
		free &= ALL >> (63 - last % 64);
	return free;
}

/* The first free port at or behind from, going round; -1 if there is none. */
static int32_t
search(const struct nat_ports *ports, uint32_t from, uint64_t mask,
    uint32_t first, uint32_t last)
{
	uint32_t words = last / 64 - first / 64 + 1;

	for (uint32_t i = 0; i <= words; i++) {
		uint32_t word =
		    first / 64 + (from / 64 - first / 64 + i) % words;
		uint64_t free = free_in(ports, word, mask, first, last);

		if (i == 0)
			free &= ALL << from % 64;
		if (free != 0)
			return (int32_t)(word * 64 +
			    (uint32_t)__builtin_ctzll(free));
	}
	return -1;
}

int32_t
nat_ports_take(
    struct nat_ports *ports, const struct nat_port_wish *wish, uint64_t *random)
{
	uint32_t first = wish->first, last = wish->last, guess = first;
	uint64_t parity = wish->want & 1 ? ~EVEN : EVEN;
	int32_t port;

	if (wish->exact && wish->want >= first && wish->want <= last &&
	    !nat_port_is_taken(ports, wish->want)) {
		take(ports, wish->want);
		return wish->want;
	}
	for (int i = 0; i < GUESSES; i++) {
		uint64_t r = nat_random(random) >> 32;

		guess = first + (uint32_t)(r * (last - first + 1) >> 32);
		if (wish->parity && (guess & 1) != (wish->want & 1u))
			guess ^= 1;
		if (guess < first || guess > last)
			continue;
		if (!nat_port_is_taken(ports, (uint16_t)guess)) {
			take(ports, guess);
			return (int32_t)guess;
		}
	}
	if (guess < first || guess > last)
		guess = last;
	port = -1;
	if (wish->parity)
		port = search(ports, guess, parity, first, last);
	if (port < 0)
		port = search(ports, guess, ALL, first, last);
	if (port >= 0)
		take(ports, (uint32_t)port);
	return port;
}

bool
nat_ports_share(struct nat_ports *ports, uint16_t port)
{
	if (ports->sharers == NULL || ports->sharers[port] == UINT16_MAX)
		return false;
	ports->sharers[port]++;
	return true;
}

void
nat_ports_give(struct nat_ports *ports, uint16_t port)
{
	if (ports->sharers != NULL && ports->sharers[port] > 0) {
		ports->sharers[port]--;
		return;
	}
	ports->taken[port / 64] &= ~(UINT64_C(1) << port % 64);
	ports->ntaken[port >= NAT_PORT_CLASS_END]--;
}
