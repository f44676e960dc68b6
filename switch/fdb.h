/*
 * fdb.h - the port on which each MAC address was last seen.
 *
 * Dynamic entries of IEEE 802.1D-2004, 7.9, keyed by VLAN and address.  One
 * table per switch, used on the loop thread only; time is an argument, in
 * nanoseconds, and is kept to 65.536 us.
 *
 * An entry that was not seen for the ageing time is as good as gone at once;
 * its place is taken back bit by bit as others are learned.  A full table
 * takes from the port that holds the most addresses, so that a flooding guest
 * pushes out only its own.
 */
#ifndef SWITCH_FDB_H
#define SWITCH_FDB_H

#include <stdint.h>

#include "net/addr.h"

#define FDB_FLOOD     (-1) /* port unknown: send to all but the source */
#define FDB_PORTS_MAX 65000

struct fdb;

/* A table of at most max addresses (1 or more), the caller's to free.  seed
 * keys the hash: secret where guests are hostile, fixed where runs are to be
 * alike.  NULL: no memory. */
struct fdb *fdb_new(uint32_t max, uint64_t age_ns, uint64_t seed);
void fdb_free(struct fdb *fdb); /* NULL is fine */

/* Makes room for ports 0 to n - 1.  0, or -ENOMEM. */
int fdb_ports(struct fdb *fdb, unsigned int n);

/* Notes that mac was seen on port.  0, or -EINVAL for a group address.  Takes
 * memory only when the table doubles; if there is none, it counts as full. */
int fdb_learn(struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    unsigned int port, uint64_t now_ns);

/* The port behind which mac is, or FDB_FLOOD. */
int fdb_find(const struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    uint64_t now_ns);

/* Has the processor fetch what fdb_find() or fdb_learn() will read. */
void fdb_prefetch(const struct fdb *fdb, const struct mac *mac, uint16_t vlan);

/* Forgets every address of port: O(size of the table), or O(1) if none. */
void fdb_forget_port(struct fdb *fdb, unsigned int port);

/* Entries that take up room: some may have aged out. */
uint32_t fdb_count(const struct fdb *fdb);
uint32_t fdb_port_count(const struct fdb *fdb, unsigned int port);

/* Calls each for every address that has not aged out; each changes nothing. */
void fdb_each(const struct fdb *fdb, uint64_t now_ns,
    void (*each)(void *arg, const struct mac *mac, uint16_t vlan,
	unsigned int port, uint64_t age_ns),
    void *arg);

#endif
