/*
 * command.h - the commands of the shell, and what they have in common.
 *
 * A command returns its exit status; STATUS_USAGE also prints how it is used.
 * Each file of commands has its own const table; command.c lists the tables.
 */
#ifndef GUEST_COMMAND_H
#define GUEST_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/ip6.h"
#include "net/reason.h"

#include "vmm/guest/shell.h"

struct command {
	const char *name, *usage;
	const char *does; /* for help */
	int (*run)(struct shell *sh, int argc, char **argv);
};

extern const struct command commands_net[], commands_ping[], commands_tcp[],
    commands_nat[], commands_pcp[],
    commands_system[]; /* each ends with a row without name */

/* NULL: there is no such command. */
const struct command *command_find(const char *name);

/*
 * The options of a command line, one by one: letters names the options, a ':'
 * behind those that take a value (as getopt).  Each call returns a letter with
 * value set, 0 after the last one (at is then the first operand), or -1 after
 * having said what is wrong.
 */
struct options {
	struct shell *sh;
	int argc;
	char **argv;
	const char *letters;
	int at; /* 1 at first */
	const char *value, *rest;
};

int options_next(struct options *o);
/* The value as a number or a time; false after having said what is wrong. */
bool options_number(const struct options *o, int letter, uint32_t *out,
    uint32_t min, uint32_t max);
bool options_seconds(
    const struct options *o, int letter, uint64_t *out_us, uint32_t max_s);

/* "ping: " and a sentence with its newline. */
void command_say(struct shell *sh, const char *command, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* All wait a few seconds for a lease or an address that is on its way, so that
 * the first command need not come after it. */

/* The addresses of a name, of a type, by DNS.  False after having said why, or
 * interrupted. */
struct dns;
bool command_resolve(struct shell *sh, const char *command, const char *name,
    uint16_t type, struct dns *answer);

/* Whom a command is about. */
struct host {
	struct ip6_addr addr;
	/* As "fe80::1%eth0" says: our address there.  Else zero. */
	struct ip6_addr from;
};
enum host_kind { HOST_ANY, HOST_IP4, HOST_IP6 };

/* The address of a host, by itself or by DNS: of a name an IPv6 one, if there is
 * one and a way to it.  False after having said why, or interrupted. */
bool command_host(struct shell *sh, const char *command, const char *text,
    enum host_kind kind, struct host *host);
/* An IPv4 one. */
bool command_host4(
    struct shell *sh, const char *command, const char *text, uint32_t *addr);

/* Why the stack could not send, in words. */
const char *command_reason(enum reason why);

/* The sentence of an ICMP error, as ping prints it. */
struct icmp_note;
void command_icmp_text(char *out, size_t size, const struct icmp_note *note);

#endif
