/*
 * shell.h - one line of words in, output and an exit status out.
 *
 * Two run side by side, for the console and for the agent, each in a task of
 * its own; the commands may wait.  Where the output goes and how one waits is
 * the owner's business, so that a test can be one.
 */
#ifndef GUEST_SHELL_H
#define GUEST_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHELL_WORDS      32
#define SHELL_LINE_BYTES 512

#define STATUS_OK     0
#define STATUS_FAILED 1
#define STATUS_ERROR  2
#define STATUS_USAGE \
	(-1) /* of a command: shell_run() says how it is
				   used and makes it STATUS_ERROR */
#define STATUS_UNKNOWN     127
#define STATUS_INTERRUPTED 130

struct stack;
struct shell;

enum shell_end { SHELL_POWEROFF, SHELL_REBOOT };

struct shell_ops {
	/* All of data, waiting for room if need be. */
	void (*write)(struct shell *sh, const char *data, size_t len);
	/* Others run until sh->woken, sh->interrupted or until_us. */
	void (*wait)(struct shell *sh, uint64_t until_us);
	/* Ends the machine; need not return. */
	void (*end)(struct shell *sh, enum shell_end how);
};

struct shell {
	struct stack *stack;
	const struct shell_ops *ops;
	void *arg;        /* the owner's */
	bool woken;       /* something that the command waits for came */
	bool interrupted; /* the user wants the command to end */
};

/* Runs one line, which it takes apart.  Returns the exit status. */
int shell_run(struct shell *sh, char *line);

/*
 * Splits line into words at spaces and tabs; '...' and "..." and \c keep them
 * together.  The words point into line, which is changed.  Their number, or
 * -1 with *wrong saying why: an open quote, or too many words.
 */
int shell_split(char *line, char *words[SHELL_WORDS], const char **wrong);

void shell_printf(struct shell *sh, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Bytes from a stranger: printable ones, newlines and tabs as they are, others
 * as \xNN, so that no terminal and no protocol is led astray. */
void shell_print_data(struct shell *sh, const void *data, size_t len);

/* Waits until woken or until_us.  False: interrupted. */
bool shell_wait(struct shell *sh, uint64_t until_us);
/* Waits until until_us, whatever wakes.  False: interrupted. */
bool shell_sleep(struct shell *sh, uint64_t until_us);

#endif
