/*
 * porter.h - the two errands that a confined VM still has in the world of names:
 * to connect to its back ends again when they come back, and to take away the
 * sockets that it listened on.
 *
 * A process of its own, confined too, does them, for the paths that it was told
 * in the beginning and no others.  It ends when the VM does, however that ends.
 */
#ifndef VMM_PORTER_H
#define VMM_PORTER_H

#include "base/err.h"
#include "vmm/sandbox.h"

#define PORTER_PATHS 32

struct porter;

struct porter_errands {
	const char *connect[PORTER_PATHS]; /* sockets of others */
	unsigned int nconnect;
	const char *remove[PORTER_PATHS]; /* ours, which exist by now */
	unsigned int nremove;
};

/* Starts the process.  Before there are secrets in memory that it need not
 * have.  NULL: *err. */
struct porter *porter_new(const struct porter_errands *errands,
    const struct sandbox *sandbox, struct err *err);
/* It removes what it should, and has ended when this returns.  NULL is fine. */
void porter_free(struct porter *porter);

/* A connection to a path of its connect[], or -Exxx.  One thread at a time. */
int porter_connect(struct porter *porter, const char *path);

#endif
