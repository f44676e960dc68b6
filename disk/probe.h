/*
 * probe.h - image formats that are not read here.
 */
#ifndef DISK_PROBE_H
#define DISK_PROBE_H

#include <stddef.h>
#include <stdint.h>

/* The name of such a format, by the first len bytes of a file; NULL: qcow2, or
 * raw. */
const char *probe_foreign(const uint8_t *bytes, size_t len);

#endif
