/*
 * request.h - one request on a lab's control socket, read from a JSON line.
 *
 *     {"call": "show", "what": "nat"}
 *     {"call": "exec", "node": "alice", "run": "ping -c 1 10.0.0.1"}
 *     {"call": "set", "port": "alice.eth0", "down": true}
 *     {"call": "set", "port": "alice.eth0", "both": {"delay": "20ms"}}
 *     {"call": "set", "port": "lan.core", "stp": {"stp-cost": "100"}}
 *     {"call": "set", "port": "alice.eth0", "switch": {"vlan": "10"}}
 *     {"call": "set", "port": "gw", "nat": {"mapping": "address-dependent"}}
 *     {"call": "vm", "node": "alice"}
 *     {"call": "restore", "node": "alice", "checkpoint": "monday"}
 *     {"call": "capture", "at": ["gw.inside"], "file": "/tmp/a.pcapng"}
 *     {"call": "explain", "port": "alice.eth0", "frame": "icmp ..."}
 *     {"call": "measure", "from": "left", "to": "right",
 *         "with": {"rate": "1000"}}
 *     {"call": "info"}
 *     {"call": "stop"}
 *
 * Pure, so that it can be tested and fuzzed without a lab.
 */
#ifndef LAB_REQUEST_H
#define LAB_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

#define REQUEST_MAX_BYTES 65536
#define REQUEST_MAX_PORTS 64

enum request_call {
	REQUEST_INFO,
	REQUEST_SHOW,
	REQUEST_EXEC,
	REQUEST_SET,
	REQUEST_VM,
	REQUEST_RESTORE,
	REQUEST_CAPTURE,
	REQUEST_EXPLAIN,
	REQUEST_MEASURE,
	REQUEST_STOP,
};

struct request {
	enum request_call call;
	json_t *json; /* what the texts below belong to */
	const char *what, *node, *run, *port, *file, *filter, *frame,
	    *checkpoint, *from, *to;
	bool down, plain;
	const json_t *link; /* set: down, or NULL */
	/* set: {KEY: VALUE}, or NULL */
	json_t *both, *in, *out, *rules, *stp, *nat;
	json_t *with; /* measure: the same */
	const char *at[REQUEST_MAX_PORTS];
	unsigned int nports;
};

/* Reads one line, without its end.  0, or -EINVAL with *err. */
int request_read(
    struct request *request, const char *line, size_t len, struct err *err);
void request_free(struct request *request);

#endif
