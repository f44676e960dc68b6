/*
 * locator.h - what follows the scheme of a locator: a place, and options.
 *
 *     vxlan:192.0.2.1?vni=7&port=4789
 *           `-------' `------------'
 */
#ifndef SWITCH_LOCATOR_H
#define SWITCH_LOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LOCATOR_BYTES       1024
#define LOCATOR_OPTIONS_MAX 32

struct locator {
	const char *name;  /* of the port, for messages */
	const char *place; /* "192.0.2.1" */
	struct {
		const char *key, *value;
	} option[LOCATOR_OPTIONS_MAX]; /* in their order; a key may recur */
	unsigned int noptions;
	char text[LOCATOR_BYTES];
};

/* Takes rest apart.  keys are those that are known, NULL at the end.  0, or
 * -EINVAL with *err naming what is wrong.  name is borrowed. */
int locator_read(struct locator *locator, const char *name, const char *rest,
    const char *const *keys, struct err *err);

/* The nth value of key, n from 0; NULL: there is none. */
const char *locator_get(
    const struct locator *locator, const char *key, unsigned int n);

/* The value of key as a number from min to max, or preset if it is not given.
 * False: it is none; *err says so. */
bool locator_number(const struct locator *locator, const char *key,
    uint64_t min, uint64_t max, uint64_t preset, uint64_t *out,
    struct err *err);

/* The value of key as "yes" or "no", or preset if it is not given.  False: it is
 * neither; *err says so. */
bool locator_flag(const struct locator *locator, const char *key, bool preset,
    bool *out, struct err *err);

#endif
