/*
 * verdict_text.h - what was done with a frame, as a person reads it.
 *
 *     gw: translated outwards by NAT entry 3 -> gw.outside
 *     lan: dropped (no-other-port): no other port to flood it to
 *
 * The same words everywhere: comments in captures, and commands.  They follow
 * from the verdict alone (names, no addresses of ours, no time), so two runs
 * that are alike say the same.
 */
#ifndef PCAP_TOOLS_VERDICT_TEXT_H
#define PCAP_TOOLS_VERDICT_TEXT_H

#include "switch/port.h"

#define VERDICT_TEXT_BYTES 512 /* holds every text, with its end */

/* A verdict whose node and port are names, for those who outlive them. */
struct verdict_facts {
	const char *node; /* NULL: no verdict */
	const char *out;  /* or NULL */
	enum reason reason;
	uint16_t nout;
	uint32_t entry, other;
};

/* verdict NULL, or one that nobody gave, has no node. */
struct verdict_facts verdict_facts(const struct verdict *verdict);

/* The sentence of one verdict, "" if there is none.  Returns out, which is
 * always ended. */
char *verdict_text(
    char *out, size_t out_bytes, const struct verdict_facts *verdict);

/*
 * What is said about a frame at a port.  Going in: what a cable did to it, if
 * it did something, then what the port's node made of it.  Going out: why the
 * node sent it, then what the other end made of it, with "; " between them.
 */
char *frame_verdict_text(char *out, size_t out_bytes, enum direction dir,
    const struct verdict_facts *cause, const struct verdict_facts *verdict);

/*
 * The same for programs: words "key=value", each with a blank in front:
 *
 *     " node=gw verdict=nat-out out=gw.outside ports=1 entry=3"
 *
 * node, verdict (a name of reason.def), and where they are known out, the first
 * port that it left by, ports, how many, and entry, with other for the second
 * one of a hairpin.  The cause, where the text
 * has one, comes first, with "cause." before each key.
 * In the bin, port says where it was.  A blank in a name is written as '_'.
 */
char *frame_verdict_facts(char *out, size_t out_bytes, enum direction dir,
    const struct verdict_facts *cause, const struct verdict_facts *verdict);

#endif
