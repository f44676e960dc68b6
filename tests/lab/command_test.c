#include "lab/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct said {
	int status;
	char *out, *notes;
	struct err err;
};

/* Runs a command line of words parted by blanks. */
static struct said
run(const char *line)
{
	struct said said = { 0 };
	struct call call = { 0 };
	char words[512], *argv[32] = { words }, *p = words;
	size_t out_len, notes_len;
	int argc = 0;

	snprintf(words, sizeof(words), "lanyard %s", line);
	while ((argv[argc] = strsep(&p, " ")) != NULL)
		argc += argv[argc][0] != '\0';
	call.out = open_memstream(&said.out, &out_len);
	call.notes = open_memstream(&said.notes, &notes_len);
	said.status = command_dispatch(&call, argc, argv);
	fclose(call.out);
	fclose(call.notes);
	said.err = call.err;
	return said;
}

static void
forget(struct said *said)
{
	free(said->out);
	free(said->notes);
}

static void
wrong_command_lines_are_told_with_a_remedy(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "rum x", "did you mean \"run\"?" },
		{ "frobnicate", "\"lanyard help\" lists them" },
		{ "check", "too few arguments; usage: lanyard check FILE" },
		{ "check a b", "too many arguments" },
		{ "run --virtal-time x", "did you mean --virtual-time?" },
		{ "run --for", "lacks its DURATION" },
		{ "run --for 5 x", "has no unit" },
		{ "run --seed=x y", "is not a number" },
		{ "run --json=1 y", "takes no value" },
		{ "draw -x y", "option -x is not known" },
		{ "draw --format dor topologies/nat.yaml", "use dot" },
		{ "check /nonexistent/a.yaml", "cannot be read" },
		{ "set a b sideways", "use down, up, plain" },
		{ "set a b dellay=1ms", "did you mean \"delay\"" },
		{ "set a b delay=1", "no unit" },
		{ "capture a b", "add -w FILE" },
		{ "ls a", "too many" },
		{ "show a nat refusal", "did you mean \"refusals\"?" },
		{ "help frobnicate", "is no command" },
		{ "doctor kvn", "did you mean \"kvm\"?" },
		{ "run --engine bochs topologies/nat.yaml",
		    "--engine bochs is not known; use auto, kvm, emulate or "
		    "qemu" },
		{ "run topologies/nat.yaml --virtual-time",
		    "run it without --virtual-time" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct said said = run(cases[i].line);

		if (strstr(said.err.text, cases[i].says) == NULL)
			print_error("%s: %s\n", cases[i].line, said.err.text);
		assert_non_null(strstr(said.err.text, cases[i].says));
		assert_int_equal(said.status, 2);
		assert_string_equal(said.out, "");
		forget(&said);
	}
}

static void
every_command_explains_itself(void **state)
{
	(void)state;
	for (int i = 0; commands[i] != NULL; i++) {
		char line[64];
		struct said said;

		if (commands[i]->raw != NULL)
			continue;
		snprintf(line, sizeof(line), "%s --help", commands[i]->name);
		said = run(line);
		assert_int_equal(said.status, 0);
		assert_non_null(strstr(said.out, commands[i]->help));
		assert_string_equal(said.err.text, "");
		forget(&said);
		snprintf(line, sizeof(line), "help %s", commands[i]->name);
		said = run(line);
		assert_int_equal(said.status, 0);
		forget(&said);
	}
}

static bool
lists_all_commands(const char *text)
{
	for (int i = 0; commands[i] != NULL; i++)
		if (strstr(text, commands[i]->summary) == NULL)
			return false;
	return true;
}

static void
help_lists_all_commands(void **state)
{
	static const char *const asked[] = { "help", "--help", "-h" };
	struct said said;

	(void)state;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		said = run(asked[i]);
		assert_int_equal(said.status, 0);
		assert_true(lists_all_commands(said.out));
		assert_string_equal(said.notes, "");
		assert_string_equal(said.err.text, "");
		forget(&said);
	}
	said = run("--version");
	assert_string_equal(said.out, "lanyard " LANYARD_VERSION "\n");
	forget(&said);
}

static void
no_command_is_an_error_that_lists_them(void **state)
{
	struct said said = run("");

	(void)state;
	assert_int_equal(said.status, 2);
	assert_true(lists_all_commands(said.notes));
	assert_string_equal(said.out, "");
	forget(&said);
}

static void
check_says_what_is_wrong_and_fails(void **state)
{
	struct said said = run("check tests/lab/broken/19-missing-unit.yaml");

	(void)state;
	assert_int_equal(said.status, 2);
	assert_non_null(strstr(said.notes, "19-missing-unit.yaml:2:26: "));
	forget(&said);
	said = run("check topologies/nat.yaml");
	assert_int_equal(said.status, 0);
	assert_string_equal(said.notes, "");
	forget(&said);
}

static void
reasons_and_schema_are_json_on_request(void **state)
{
	struct said said = run("reasons --json");

	(void)state;
	assert_int_equal(said.status, 0);
	assert_non_null(strstr(said.out, "\"nat-unsolicited\""));
	forget(&said);
	said = run("schema");
	assert_int_equal(said.status, 0);
	assert_non_null(strstr(said.out, "\"additionalProperties\": false"));
	forget(&said);
}

static void
options_and_arguments_may_mix(void **state)
{
	static const struct option_row rows[] = {
		{ "for", 0, "DURATION", "" },
		{ "write", 'w', "FILE", "" },
		{ "quiet", 'q', NULL, "" },
		{ 0 },
	};
	char words[] = "a --for=5s -wfile b -q -- -c --for";
	char *argv[16], *p = words;
	struct options o;
	int argc = 0;

	(void)state;
	while ((argv[argc] = strsep(&p, " ")) != NULL)
		argc++;
	assert_int_equal(options_read(&o, rows, argc, argv, NULL), 0);
	assert_int_equal(o.nargs, 4);
	assert_string_equal(o.args[0], "a");
	assert_string_equal(o.args[1], "b");
	assert_string_equal(o.args[2], "-c");
	assert_string_equal(o.args[3], "--for");
	assert_string_equal(option_get(&o, "for"), "5s");
	assert_string_equal(option_get(&o, "write"), "file");
	assert_non_null(option_get(&o, "quiet"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_command_lines_are_told_with_a_remedy),
		cmocka_unit_test(every_command_explains_itself),
		cmocka_unit_test(help_lists_all_commands),
		cmocka_unit_test(no_command_is_an_error_that_lists_them),
		cmocka_unit_test(check_says_what_is_wrong_and_fails),
		cmocka_unit_test(reasons_and_schema_are_json_on_request),
		cmocka_unit_test(options_and_arguments_may_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
