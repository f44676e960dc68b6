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
 *
 * Static entries (8.8.1 of IEEE 802.1Q-2018), and the sticky ones that a port
 * makes of what it learns, neither age nor move nor make room for others.
 */
#ifndef SWITCH_FDB_H
#define SWITCH_FDB_H

#include <stdbool.h>
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

/*
 * Notes that mac was seen on port.  0; what FDB_MOVED_FROM() takes apart if it
 * moved here from another port; or
 *
 *   -EINVAL  a group address
 *   -EPERM   a static or sticky address of another port
 *   -ENOSPC  the port has as many as fdb_limit() allows
 *
 * Takes memory only when the table doubles; if there is none, it counts as
 * full.  A table full of static and sticky entries learns nothing more: 0.
 */
int fdb_learn(struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    unsigned int port, uint64_t now_ns);
#define FDB_MOVED_FROM(learned) ((unsigned int)(learned)-1)

/* What fdb_learn() would return, and changes nothing. */
int fdb_would_learn(const struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    unsigned int port, uint64_t now_ns);

/* Pins mac to port, in place of what was learned.  0, or -EINVAL for a group
 * address, -EEXIST if it is pinned, -ENOSPC if all the table is. */
int fdb_pin(
    struct fdb *fdb, const struct mac *mac, uint16_t vlan, unsigned int port);
/* Forgets a static entry.  0, or -ENOENT. */
int fdb_unpin(struct fdb *fdb, const struct mac *mac, uint16_t vlan);

/* How many addresses are learned on port at most, static ones among them; 0: no
 * limit.  With evict the one that was learned first makes room.  What is there
 * already stays.  0, or -ENOMEM. */
#define FDB_LIMIT_MAX 1024
int fdb_limit(struct fdb *fdb, unsigned int port, uint32_t max, bool evict);

/* From now on what is learned on port is sticky; or no longer, and the sticky
 * addresses become like any others. */
void fdb_set_sticky(
    struct fdb *fdb, unsigned int port, bool sticky, uint64_t now_ns);

/* The port behind which mac is, or FDB_FLOOD. */
int fdb_find(const struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    uint64_t now_ns);

/* Has the processor fetch what fdb_find() or fdb_learn() will read. */
void fdb_prefetch(const struct fdb *fdb, const struct mac *mac, uint16_t vlan);

/* Forgets what was learned on port, in the VLANs for which in() is true or
 * (NULL) in all, but for static and sticky entries: O(size of the table), or
 * O(1) if there is nothing. */
void fdb_forget_port(struct fdb *fdb, unsigned int port,
    bool (*in)(const void *arg, uint16_t vlan), const void *arg);
/* Forgets static and sticky entries, too: the port is gone. */
void fdb_remove_port(struct fdb *fdb, unsigned int port);

/* Entries that take up room: some may have aged out. */
uint32_t fdb_count(const struct fdb *fdb);
/* Of one port: learned, and static or sticky. */
uint32_t fdb_port_count(const struct fdb *fdb, unsigned int port);
uint32_t fdb_port_pinned(const struct fdb *fdb, unsigned int port);

enum fdb_kind { FDB_LEARNED, FDB_STICKY, FDB_STATIC };

struct fdb_row {
	struct mac mac;
	uint16_t vlan;
	enum fdb_kind kind;
	unsigned int port;
	uint64_t age_ns; /* 0 if it does not age */
};

/* Calls each for every address that has not aged out; each changes nothing. */
void fdb_each(const struct fdb *fdb, uint64_t now_ns,
    void (*each)(void *arg, const struct fdb_row *row), void *arg);

/* The entry of mac, which has not aged out.  False: there is none. */
bool fdb_look_up(const struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    uint64_t now_ns, struct fdb_row *row);

#endif
