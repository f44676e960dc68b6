/*
 * tree_change.h - changes to the spanning trees of a running lab.
 *
 * A change is of a switch ("lan") or of one of its ports ("lan.core"; that which
 * "alice.eth0" is plugged into).  What is added is checked at once and done at the end, so
 * that all of it happens or nothing.
 */
#ifndef LAB_TREE_CHANGE_H
#define LAB_TREE_CHANGE_H

#include "lab/fabric.h"

struct tree_change {
	struct stp_switch *tree;
	struct port *port; /* NULL: of the switch */
	bool asks;         /* what the neighbour speaks */
	struct stp_options options;
	struct stp_port_options port_options;
};

/* 0, or -ENOENT or -EINVAL with *err. */
int tree_change_begin(struct tree_change *change, const struct fabric *fabric,
    const char *name, struct err *err);
/* KEY=VALUE as of lanyard set (tree.h), and "stp-check" = "true". */
int tree_change_add(struct tree_change *change, const char *key,
    const char *value, struct err *err);
/* 0, or -ENOMEM with *err. */
int tree_change_do(struct tree_change *change, struct err *err);

#endif
