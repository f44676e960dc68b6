/*
 * measure.h - what is to be measured between two traffic ports of a lab, as
 * people say it: behind lanyard measure, and below expect in a lab file.
 *
 * Here frames have sizes with their FCS, as in RFC 2544: 64 to 9220 bytes.
 */
#ifndef LAB_MEASURE_H
#define LAB_MEASURE_H

#include <jansson.h>

#include "base/err.h"
#include "lab/keyset.h"
#include "switch/meter.h"

#define MEASURE_FCS_BYTES 4

struct fabric;

/* Zero: nothing was said. */
struct lab_measure {
	const char *rate, *frame;
	int pattern; /* 0: any, else enum test_pattern + 1 */
	uint64_t count, for_ns, wait_ns, burst, flows, macs, vlan, port, seed;
	uint64_t given; /* by measure_keys */
};

extern const struct keyset measure_keys; /* of struct lab_measure */

/* The same for a meter, with presets for what was not said.  0, or -EINVAL
 * with *err. */
int measure_options(const struct lab_measure *measure,
    struct meter_options *options, struct err *err);

/* "64", "64,512,1518", "imix", "sweep:64-1518", "random:64-1518".  0, or
 * -EINVAL with *err. */
int measure_sizes_read(
    struct meter_sizes *sizes, const char *text, struct err *err);

/* The meter of that name, as "left" or "left.eth0"; NULL: *err. */
struct meter *measure_meter(
    const struct fabric *fabric, const char *name, struct err *err);

/* Frames of a run that did not come, or not whole. */
uint64_t measure_lost(const struct meter_result *result);

/* A run between two ports by name, with {KEY: VALUE}, or NULL for the presets.
 * done is called at its end, unless it is stopped by meter_stop().  NULL: *err
 * says why it cannot be. */
struct meter *measure_start(const struct fabric *fabric, const char *from,
    const char *to, json_t *with, void (*done)(void *arg), void *arg,
    struct err *err);

/* What came out of it, with "ok": the caller's.  NULL: it failed, *err. */
json_t *measure_answer(const struct meter *from, struct err *err);

#endif
