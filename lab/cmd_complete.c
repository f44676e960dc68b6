/*
 * complete: what the last word of a command line may become, one to a line, for
 * the shell's own completion (lab/lanyard.bash).  All of it is known already:
 * the commands and their options and arguments by their table, the names by the
 * labs that run.  Where nothing is listed, a file's name is meant, or what
 * nobody can know.
 */
#include <stdlib.h>
#include <string.h>

#include "lab/client.h"
#include "lab/command.h"
#include "lab/rundir.h"
#include "lab/show.h"

static void
print_lab(void *arg, const char *lab, pid_t pid)
{
	(void)pid;
	fprintf(arg, "%s\n", lab);
}

/* The first column of a table of a running lab, each name once, where rows of a
 * name follow each other; a lab that is none has none. */
static void
print_column(const char *lab, const char *table, const char *key)
{
	struct client_link link;
	struct err err = { "" };
	json_t *reply = NULL, *row;
	const char *last = "";
	size_t i;

	if (client_open(&link, lab, &err) == 0)
		reply = client_call(&link,
		    json_pack("{s:s,s:s}", "call", "show", "what", table),
		    &err);
	client_close(&link);
	json_array_foreach(json_object_get(reply, "rows"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, key));

		if (name != NULL && strcmp(name, last) != 0)
			puts(name);
		last = name != NULL ? name : last;
	}
	json_decref(reply);
}

static void
print_tables(void)
{
	for (int i = 0; show_heads[i] != NULL; i++)
		puts(show_heads[i]->name);
}

/* What a word of a command's usage stands for. */
static void
print_kind(const char *kind, size_t len, const char *lab)
{
	static const struct {
		const char *kind, *table, *key;
	} rows[] = {
		{ "VM", "vms", "vm" },
		{ "ROUTER", "nat-rules", "router" },
		{ "NODE.PORT", "ports", "port" },
		{ "NODE[.PORT]", "ports", "port" },
		{ "[POINT...]", "ports", "port" },
		{ "FROM", "traffic", "port" },
		{ "TO", "traffic", "port" },
	};
	struct err err = { "" };

	if (strncmp(kind, "LAB", len) == 0)
		rundir_each(print_lab, stdout, &err);
	else if (strncmp(kind, "[TABLE...]", len) == 0)
		print_tables();
	for (size_t i = 0; lab != NULL && i < sizeof(rows) / sizeof(rows[0]);
	     i++)
		if (strlen(rows[i].kind) == len &&
		    strncmp(kind, rows[i].kind, len) == 0)
			print_column(lab, rows[i].table, rows[i].key);
}

/* The n-th word of a usage, or its last one if that is for several. */
static const char *
usage_word(const char *usage, int n, size_t *len)
{
	const char *word = usage;

	for (;; n--) {
		const char *next;

		*len = strcspn(word, " ");
		next = word + *len + strspn(word + *len, " ");
		if (n == 0 || (*next == '\0' && memmem(word, *len, "...", 3)))
			return word;
		if (*next == '\0') {
			*len = 0;
			return next;
		}
		word = next;
	}
}

static const struct option_row *
find_option(const struct command *c, const char *word)
{
	if (c->options == NULL || word[0] != '-' || word[1] == '\0')
		return NULL;
	for (const struct option_row *o = c->options; o->name != NULL; o++)
		if ((word[1] == '-' && strcmp(word + 2, o->name) == 0) ||
		    (word[1] == o->letter && word[2] == '\0'))
			return o;
	return NULL;
}

static void
print_options(const struct command *c)
{
	for (const struct option_row *o = c->options;
	     o != NULL && o->name != NULL; o++)
		printf("--%s\n", o->name);
	puts("--help");
}

/* The last of n words that follow a command's name. */
static void
complete_argument(const struct command *c, int n, char **words)
{
	const char *lab = NULL, *word;
	int nargs = 0;
	size_t len;

	for (int i = 0; i < n - 1; i++) {
		const struct option_row *o = find_option(c, words[i]);

		if (strcmp(words[i], "--") == 0)
			return;
		if (o != NULL && o->value != NULL && ++i == n - 1)
			return; /* an option's value */
		if (o == NULL && words[i][0] != '-' && nargs++ == 0)
			lab = words[i];
	}
	if (words[n - 1][0] == '-') {
		print_options(c);
		return;
	}
	word = usage_word(c->arguments, nargs, &len);
	print_kind(word, len, lab);
}

static const struct command *
find_named(const struct command *const *all, const char *word)
{
	for (int i = 0; all[i] != NULL; i++) {
		const char *blank = strrchr(all[i]->name, ' ');
		const char *name = blank != NULL ? blank + 1 : all[i]->name;

		if (strcmp(name, word) == 0)
			return all[i];
	}
	return NULL;
}

static void
print_names(const struct command *const *all)
{
	for (int i = 0; all[i] != NULL; i++) {
		const char *blank = strrchr(all[i]->name, ' ');

		puts(blank != NULL ? blank + 1 : all[i]->name);
	}
}

static int
run_complete(int argc, char **argv)
{
	const struct command *const *all = commands;
	const struct command *c = NULL;
	int i = 1;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		printf("lanyard complete [WORD...]\n\nLists what the last word "
		       "of a command line may become, for shells.\n");
		return 0;
	}
	for (; i < argc - 1 && all != NULL; i++) {
		c = find_named(all, argv[i]);
		if (c == NULL)
			return 0;
		all = c->parts;
	}
	if (all != NULL)
		print_names(all);
	else if (i < argc)
		complete_argument(c, argc - i, argv + i);
	return 0;
}

const struct command command_complete = {
	.name = "complete",
	.arguments = "[WORD...]",
	.summary = "lists what a command line's last word may become",
	.raw = run_complete,
};
