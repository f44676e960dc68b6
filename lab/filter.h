/*
 * filter.h - is this an expression that libpcap compiles?
 *
 * Checked before a lab starts, and without looking names up: libpcap would ask
 * the DNS for "host alice".
 */
#ifndef LAB_FILTER_H
#define LAB_FILTER_H

#include "base/err.h"

#define FILTER_MAX_BYTES 512

/* Link types of libpcap. */
#define FILTER_ETHERNET 1
#define FILTER_RADIO    127

/* 0, or -EINVAL with *err saying what is wrong with text, for frames of that
 * link type. */
int filter_check(const char *text, int linktype, struct err *err);

#endif
