/*
 * filter.h - is this an expression that libpcap compiles, for Ethernet?
 *
 * Checked before a lab starts, and without looking names up: libpcap would ask
 * the DNS for "host alice".
 */
#ifndef LAB_FILTER_H
#define LAB_FILTER_H

#include "base/err.h"

#define FILTER_MAX_BYTES 512

/* 0, or -EINVAL with *err saying what is wrong with text. */
int filter_check(const char *text, struct err *err);

#endif
