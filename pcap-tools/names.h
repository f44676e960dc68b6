/*
 * names.h - the names of nodes and ports by small numbers.
 *
 * The loop thread gives numbers, any thread that has got one reads the name:
 * names outlive the nodes and ports that bore them.  A number stays the same
 * name's for ever.
 */
#ifndef PCAP_TOOLS_NAMES_H
#define PCAP_TOOLS_NAMES_H

#include <stdint.h>

#include "switch/port.h"

#define NAMES_MAX 16384 /* distinct ones; further ones are "?" */

struct names;

struct names *names_new(void); /* NULL: no memory */
void names_free(struct names *names);

/* The number of name, which bearer (any address) has at present: that makes
 * asking again cheap.  0 for NULL. */
uint16_t names_number(
    struct names *names, const void *bearer, const char *name);

/* NULL for 0. */
const char *names_text(const struct names *names, uint16_t number);

#endif
