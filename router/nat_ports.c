/*
 * A bit per port.  A new port is guessed a few times, which is as good as
 * uniform while there is room; when most are taken, the search goes on from the
 * last guess, 64 ports at a step, so that even the last free port costs about a
 * microsecond.
 */
#include "router/nat_ports.h"

#define GUESSES   8
#define CLASS_END 1024
#define EVEN      UINT64_C(0x5555555555555555)
#define ALL       UINT64_MAX

static void
take(struct nat_ports *ports, uint32_t port)
{
	ports->taken[port / 64] |= UINT64_C(1) << port % 64;
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
nat_ports_take(struct nat_ports *ports, uint16_t want, uint64_t *random)
{
	uint32_t first = 0, last = 65535, guess = 0;
	uint64_t parity = want & 1 ? ~EVEN : EVEN;
	int32_t port;

	if (ports->has_classes) {
		first = want < CLASS_END ? 1 : CLASS_END;
		last = want < CLASS_END ? CLASS_END - 1 : 65535;
	}
	if (want >= first && !nat_port_is_taken(ports, want)) {
		take(ports, want);
		return want;
	}
	for (int i = 0; i < GUESSES; i++) {
		uint64_t r = nat_random(random) >> 32;

		guess = first + (uint32_t)(r * (last - first + 1) >> 32);
		if ((guess & 1) != (want & 1u))
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
	port = search(ports, guess, parity, first, last);
	if (port < 0)
		port = search(ports, guess, ~parity, first, last);
	if (port >= 0)
		take(ports, (uint32_t)port);
	return port;
}

void
nat_ports_give(struct nat_ports *ports, uint16_t port)
{
	ports->taken[port / 64] &= ~(UINT64_C(1) << port % 64);
}
