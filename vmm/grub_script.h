/*
 * grub_script.h - GRUB's script language as words, and its variables.
 */
#ifndef VMM_GRUB_SCRIPT_H
#define VMM_GRUB_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#define GRUB_WORDS_MAX  256
#define GRUB_POOL_BYTES 16384 /* for the words of a command */
#define GRUB_VARS_MAX   256
#define GRUB_NAME_BYTES 64

struct grub_vars {
	unsigned int n;
	size_t bytes; /* of all values */
	struct {
		char name[GRUB_NAME_BYTES];
		char *value;
	} list[GRUB_VARS_MAX];
};

const char *grub_get(const struct grub_vars *vars, const char *name); /* "" */
/* Too many, too long or no memory: as if it had not been set. */
void grub_set(struct grub_vars *vars, const char *name, size_t name_bytes,
    const char *value);
void grub_vars_free(struct grub_vars *vars);

/* One command: its words, with variables replaced. */
struct grub_command {
	unsigned int n;
	char *word[GRUB_WORDS_MAX + 1]; /* NULL after the last */
	bool block;                     /* a "{" ended it */
	bool assigns;                   /* the first word is NAME=VALUE */
	char pool[GRUB_POOL_BYTES];
};

struct grub_reader {
	const char *text;
	size_t bytes, at;
	const struct grub_vars *vars;
};

/* The next command that is not empty.  Keywords after which another command may
 * stand (then, else, do, {, }) are commands by themselves.  False: the text has
 * ended.  What is too long is cut off. */
bool grub_next(struct grub_reader *reader, struct grub_command *command);

#endif
