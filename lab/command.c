#include "lab/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/model.h"
#include "lab/nearest.h"
#include "lab/remains.h"

const struct command *const commands[] = {
	&command_run,
	&command_check,
	&command_draw,
	&command_ls,
	&command_show,
	&command_exec,
	&command_console,
	&command_checkpoint,
	&command_restore,
	&command_set,
	&command_explain,
	&command_measure,
	&command_nat,
	&command_capture,
	&command_extcap,
	&command_pcap,
	&command_doctor,
	&command_vm,
	&command_disk,
	&command_schema,
	&command_reasons,
	&command_complete,
	&command_help,
	NULL,
};

static const struct command *
find_command(const char *name)
{
	for (int i = 0; commands[i] != NULL; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static void
help_parts(const struct command *const *parts, FILE *out)
{
	for (int i = 0; parts[i] != NULL; i++)
		fprintf(out, "  lanyard %s %s\n      %s\n", parts[i]->name,
		    parts[i]->arguments, parts[i]->summary);
}

static void
help_command(const struct command *c, FILE *out)
{
	fprintf(out, "lanyard %s%s%s\n\n%s\n", c->name,
	    c->arguments[0] != '\0' ? " " : "", c->arguments, c->help);
	if (c->options != NULL && c->options[0].name != NULL) {
		fprintf(out, "\noptions:\n");
		options_help(c->options, out);
	}
	if (c->parts != NULL) {
		fputc('\n', out);
		help_parts(c->parts, out);
	}
}

static void
help_all(FILE *out)
{
	fprintf(out,
	    "lanyard %s: virtual networks in which every frame is explained\n\n"
	    "usage: lanyard COMMAND ...\n\n",
	    LANYARD_VERSION);
	for (int i = 0; commands[i] != NULL; i++)
		fprintf(out, "  %-9s %s\n", commands[i]->name,
		    commands[i]->summary);
	fprintf(out, "\nlanyard COMMAND --help says more.\n");
}

static int
no_such_command(struct call *call, const char *name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (int i = 0; commands[i] != NULL; i++)
		nearest_try(&near, commands[i]->name);
	if (near.best != NULL)
		err_set(&call->err, -EINVAL,
		    "\"%.60s\" is no command; did you mean \"%s\"?", name,
		    near.best);
	else
		err_set(&call->err, -EINVAL,
		    "\"%.60s\" is no command; \"lanyard help\" lists them",
		    name);
	return 2;
}

static bool
asks_for_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/* Runs c with the argc words at argv, which follow its name. */
static int
run_command(struct call *call, const struct command *c, int argc, char **argv)
{
	static const struct option_row none[] = { { 0 } };

	if (asks_for_help(argc, argv)) {
		help_command(c, call->out);
		return 0;
	}
	if (options_read(&call->options, c->options != NULL ? c->options : none,
		argc, argv, &call->err) < 0)
		return 2;
	if (call->options.nargs < c->min_args ||
	    (c->max_args >= 0 && call->options.nargs > c->max_args)) {
		err_set(&call->err, -EINVAL,
		    "%s arguments; usage: lanyard %s %s",
		    call->options.nargs < c->min_args ? "too few" : "too many",
		    c->name, c->arguments);
		return 2;
	}
	return c->run(call);
}

/* The last word of a part's name. */
static const char *
part_word(const struct command *part)
{
	return strrchr(part->name, ' ') + 1;
}

static int
run_part(struct call *call, const struct command *c, int argc, char **argv)
{
	struct nearest near;

	if (argc == 0 || argv[0][0] == '-') {
		bool asked = asks_for_help(argc, argv);

		help_command(c, asked ? call->out : call->notes);
		return asked ? 0 : 2;
	}
	nearest_init(&near, argv[0]);
	for (int i = 0; c->parts[i] != NULL; i++) {
		if (strcmp(part_word(c->parts[i]), argv[0]) == 0)
			return run_command(
			    call, c->parts[i], argc - 1, argv + 1);
		nearest_try(&near, part_word(c->parts[i]));
	}
	if (near.best != NULL)
		err_set(&call->err, -EINVAL,
		    "\"%s %.60s\" is no command; did you mean \"%s\"?", c->name,
		    argv[0], near.best);
	else
		err_set(&call->err, -EINVAL,
		    "\"%s %.60s\" is no command; \"lanyard help %s\" lists "
		    "them",
		    c->name, argv[0], c->name);
	return 2;
}

/* Whether the program was called by the name that Wireshark knows. */
static bool
is_extcap(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash != NULL ? slash + 1 : path, "lanyard-extcap") == 0;
}

int
command_dispatch(struct call *call, int argc, char **argv)
{
	const struct command *c;

	if (argc > 0 && is_extcap(argv[0]))
		return run_command(call, &command_extcap, argc - 1, argv + 1);
	if (argc < 2) {
		help_all(call->notes);
		return 2;
	}
	if (strcmp(argv[1], "--version") == 0) {
		fprintf(call->out, "lanyard %s\n", LANYARD_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		c = &command_help;
	else
		c = find_command(argv[1]);
	if (c == NULL)
		return no_such_command(call, argv[1]);
	if (c->raw != NULL)
		return c->raw(argc - 1, argv + 1);
	remains_clear(call->notes);
	if (c->parts != NULL)
		return run_part(call, c, argc - 2, argv + 2);
	return run_command(call, c, argc - 2, argv + 2);
}

/* ---- help ---- */

static int
run_help(struct call *call)
{
	const struct command *c;

	if (call->options.nargs == 0) {
		help_all(call->out);
		return 0;
	}
	c = find_command(call->options.args[0]);
	if (c == NULL)
		return no_such_command(call, call->options.args[0]);
	if (c->raw != NULL) {
		char name[32], option[] = "--help";

		snprintf(name, sizeof(name), "%s", c->name);
		return c->raw(2, (char *[]){ name, option, NULL });
	}
	help_command(c, call->out);
	return 0;
}

const struct command command_help = {
	.name = "help",
	.arguments = "[COMMAND]",
	.summary = "says what the commands do",
	.help = "Lists the commands, or explains one.",
	.max_args = 1,
	.run = run_help,
};

/* ---- lab files ---- */

/* All of the file, the caller's to free; or NULL. */
static char *
read_file(const char *path, size_t *len, struct err *err)
{
	FILE *file = fopen(path, "re");
	char *bytes = NULL;

	if (file == NULL) {
		err_sys(
		    err, -errno, "name a lab file", "%s: cannot be read", path);
		return NULL;
	}
	bytes = malloc(YAML_MAX_BYTES + 1);
	if (bytes == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", path);
	} else {
		*len = fread(bytes, 1, YAML_MAX_BYTES + 1, file);
		if (ferror(file)) {
			err_sys(err, -errno, "name a lab file",
			    "%s: cannot be read", path);
			free(bytes);
			bytes = NULL;
		}
	}
	fclose(file);
	return bytes;
}

struct lab *
command_load(struct call *call, const char *path)
{
	struct problems problems;
	struct arena *arena;
	struct lab *lab;
	size_t len;
	char *bytes = read_file(path, &len, &call->err);

	if (bytes == NULL)
		return NULL;
	arena = arena_new();
	if (arena == NULL) {
		err_set(&call->err, -ENOMEM, "%s: out of memory", path);
		free(bytes);
		return NULL;
	}
	problems_init(&problems, arena, path);
	lab = lab_load(bytes, len, &problems);
	free(bytes);
	problems_print(&problems, call->notes);
	if (lab == NULL) {
		if (problems.errors == 0)
			err_set(&call->err, -ENOMEM, "%s: out of memory", path);
		arena_free(arena);
	}
	return lab;
}
