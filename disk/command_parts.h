/*
 * command_parts.h - what the commands on disks share: disk_command.c has the
 * command line and those on images, tree_command.c those on trees of them.
 */
#ifndef DISK_COMMAND_PARTS_H
#define DISK_COMMAND_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { DONE = 0, FOUND = 1, FAILED = 2 };

struct request {
	char **args;
	int n;
	struct err err;
	bool json, full, linked, keep, relabel, read_only, outside, replace;
	bool raw, share, idle;
	const char *backing, *format, *socket, *export;
	uint64_t cluster, threads, connections;
};

/* Prints it in quotes. */
void command_put_json(const char *text);

/* Each returns one of the exit codes above. */
int tree_command_draw(struct request *r);
int tree_command_snapshot(struct request *r);
int tree_command_rollback(struct request *r);
int tree_command_commit(struct request *r);
int tree_command_compact(struct request *r);
int tree_command_clone(struct request *r);
int tree_command_diff(struct request *r);

#endif
