/*
 * filter.h - libpcap's filter expressions.
 */
#ifndef PCAP_TOOLS_FILTER_H
#define PCAP_TOOLS_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct filter;

/* Compiles expression for frames of that link type of libpcap (0: Ethernet).
 * NULL, with a sentence that quotes it, when libpcap
 * does not understand it. */
struct filter *filter_new(
    const char *expression, uint16_t linktype, struct err *err);
void filter_free(struct filter *filter); /* NULL is fine */

const char *filter_expression(const struct filter *filter);

/* Does it let this frame through?  Cannot fail, whatever the bytes. */
bool filter_match(
    const struct filter *filter, const uint8_t *data, size_t len_bytes);

#endif
