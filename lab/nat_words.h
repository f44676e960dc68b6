/*
 * nat_words.h - how a NAT behaves, in the words of a lab file.
 */
#ifndef LAB_NAT_WORDS_H
#define LAB_NAT_WORDS_H

#include "lab/units.h"
#include "router/nat_rules.h"

#define NAT_WORD_BYTES UNITS_TEXT_BYTES

/* Calls each with every key but preset, and its value: "udp-idle", "300s".
 * Both live during the call. */
void nat_words(const struct nat_rules *rules,
    void (*each)(void *arg, const char *key, const char *value), void *arg);

/* The facts of a capture (nat_facts.h).  outside is the full name of a port.
 * Returns out. */
#define NAT_FACTS_BYTES 1024
char *nat_facts_text(char out[NAT_FACTS_BYTES], const char *router,
    const char *outside, const struct nat_rules *rules);

#endif
