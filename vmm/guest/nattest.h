/*
 * nattest.h - what the parts of the examination of a NAT have in common.
 *
 *    command_nat.c     the commands
 *    nattest.c         mapping, filtering, ports, hairpin, ICMP, fragments
 *    nattest_timers.c  how long entries live
 *
 * Each finding is a line: its name, what was found, and by what it was seen.
 * The names are those of a lab file's keys where there is one.
 */
#ifndef GUEST_NATTEST_H
#define GUEST_NATTEST_H

#include "vmm/guest/stun_ask.h"

/* What a neighbour holds, counted from its first port, which is even: that
 * port towards the server's first, then these. */
#define NEIGHBOUR_PORT  2 /* towards the server's other port */
#define NEIGHBOUR_ADDR  3 /* towards its other address */
#define NEIGHBOUR_SAME  4 /* and on: towards the server's first port */
#define NEIGHBOUR_PAIRS 8
#define NEIGHBOUR_PORTS (NEIGHBOUR_SAME + 2 * NEIGHBOUR_PAIRS)

struct nattest {
	struct asker asker;
	struct stun_end server, other;
	struct stun_end neighbour; /* its inner end; ip 0: there is none */
	struct stun_end neighbour_outer;
	bool preserves;      /* found by the ports */
	uint64_t longest_us; /* that a timer is looked for; 0: not at all */
};

/* A line, "ports  preserving  5000 became 5000". */
void nattest_say(struct nattest *t, const char *what, const char *found,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* "203.0.113.1:5000" */
#define END_TEXT_BYTES (IP4_TEXT_BYTES + 6)
const char *nattest_end(char out[END_TEXT_BYTES], const struct stun_end *end);

/* Asks one of the servers' four ends. */
bool nattest_ask(struct nattest *t, struct udpsock *sock, bool other_ip,
    bool other_port, struct stun_end *mapped);

/* All findings.  False: interrupted, or the servers do not answer, which was
 * said. */
bool nattest_run(struct nattest *t);
bool nattest_timers(struct nattest *t);

/* Finds what is behind a server and sets other.  False after having said why
 * it cannot be. */
bool nattest_meet(struct nattest *t);

#endif
