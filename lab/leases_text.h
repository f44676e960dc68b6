/*
 * leases_text.h - leases as JSON, and back.
 */
#ifndef LAB_LEASES_TEXT_H
#define LAB_LEASES_TEXT_H

#include <jansson.h>

#include "router/router.h"

/* One lease; NULL: no memory. */
json_t *leases_json(const struct lease_saved *saved);

/* Reads the text of a file: calls each for what is a lease, with the name of
 * its port, and what of it is left at wall_ns.  0; -EINVAL: it is no such file.
 * A time of saving that has yet to come means that no time has passed. */
int leases_parse(const char *text, size_t len, uint64_t wall_ns,
    void (*each)(void *arg, const char *port, const struct lease_saved *saved),
    void *arg);

#endif
