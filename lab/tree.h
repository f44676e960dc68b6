/*
 * tree.h - the spanning trees of a lab: what the file says, and changes to a
 * running one.
 */
#ifndef LAB_TREE_H
#define LAB_TREE_H

#include "base/err.h"
#include "lab/model.h"
#include "switch/stp_switch.h"

#define TREE_KEY_PREFIX "stp-"

/* What the file says as options, which have been checked.  0, or -EINVAL with
 * *err: "stp: what; what to do". */
int tree_options(
    struct stp_options *options, const struct lab_stp *stp, struct err *err);

/* The same of a switch's port.  says: what the file says of it, or NULL; node:
 * the port of a node that is plugged in, or NULL. */
int tree_port_options(struct stp_port_options *options,
    const struct lab_stp *stp, const struct lab_stp_port *says,
    const struct lab_port *node, struct err *err);

/* KEY=VALUE behind lanyard set, of a switch ("stp-priority") or of its port
 * ("stp-cost"); "stp-priority/3" is of an instance.  Changes *options.  0, or
 * -EINVAL with *err. */
int tree_set(struct stp_options *options, const char *key, const char *value,
    struct err *err);
int tree_set_port(struct stp_port_options *options,
    const struct stp_options *of, const char *key, const char *value,
    struct err *err);

#endif
