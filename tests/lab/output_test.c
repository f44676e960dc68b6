#include "lab/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/table.h"

/* What print writes, the caller's to free. */
static char *
printed(const struct output *output, unsigned int lines)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	output_print(output, "> ", lines, NULL, NULL, out);
	fclose(out);
	return text;
}

static void
the_beginning_and_the_end_are_kept(void **state)
{
	struct output *o = calloc(1, sizeof(*o));
	size_t all = 0;

	(void)state;
	output_clear(o);
	output_add(o, "first\n", 6);
	all += 6;
	for (int i = 0; i < 5000; i++) {
		char line[32];
		int n = snprintf(line, sizeof(line), "line %d\n", i);

		output_add(o, line, (size_t)n);
		all += (size_t)n;
	}
	output_add(o, "last\n", 5);
	all += 5;
	assert_int_equal(o->len, OUTPUT_MAX_BYTES);
	assert_int_equal(o->len + o->dropped, all);
	assert_memory_equal(o->text, "first\nline 0\n", 13);
	assert_string_equal(o->text + o->len - 15, "line 4999\nlast\n");
	free(o);
}

static void
one_piece_larger_than_all_is_kept_in_part(void **state)
{
	struct output *o = calloc(1, sizeof(*o));
	char *big = malloc(3 * OUTPUT_MAX_BYTES);

	(void)state;
	memset(big, 'x', 3 * OUTPUT_MAX_BYTES);
	big[0] = 'a';
	big[3 * OUTPUT_MAX_BYTES - 1] = 'z';
	output_add(o, big, 3 * OUTPUT_MAX_BYTES);
	assert_int_equal(o->len, OUTPUT_MAX_BYTES);
	assert_int_equal(o->dropped, 2 * OUTPUT_MAX_BYTES);
	assert_int_equal(o->text[0], 'a');
	assert_int_equal(o->text[o->len - 1], 'z');
	free(big);
	free(o);
}

static void
only_the_last_lines_are_printed(void **state)
{
	struct output *o = calloc(1, sizeof(*o));
	char *text;

	(void)state;
	output_add(o, "a\nb\n\nc", 6);
	text = printed(o, 10);
	assert_string_equal(text, "> a\n> b\n\n> c\n");
	free(text);
	text = printed(o, 2);
	assert_string_equal(text, "\n> c\n");
	free(text);
	free(o);
}

static void
what_would_control_a_terminal_is_taken_out(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain\ttext\n", "plain\ttext\n" },
		{ "\x1b[2Jgone", "?[2Jgone" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x94\x80\xf0\x9f\x90\xa7",
		    "\xe2\x94\x80\xf0\x9f\x90\xa7" },
		{ "\xc2\x9b", "??" },      /* a C1 control */
		{ "\xc0\xaf", "??" },      /* too long a form */
		{ "\xed\xa0\x80", "???" }, /* a surrogate */
		{ "\xf5\x80\x80\x80", "????" },
		{ "\xff", "?" },
		{ "cut \xe2\x94", "cut ??" },
		{ "\r\n", " \n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32];

		strcpy(text, cases[i].in);
		output_clean(text, strlen(text));
		assert_string_equal(text, cases[i].out);
	}
}

static void
pieces_end_between_characters(void **state)
{
	static const struct {
		const char *text;
		size_t whole;
	} cases[] = {
		{ "", 0 }, { "abc", 3 }, { "ab\xc3", 2 }, { "ab\xc3\xbc", 4 },
		{ "a\xe2\x94", 1 }, { "a\xe2\x94\x80", 4 },
		{ "\xf0\x9f\x90", 0 }, { "\xf0\x9f\x90\xa7", 4 },
		{ "\x80\x80\x80\x80", 4 }, /* no character at all */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    output_whole(cases[i].text, strlen(cases[i].text)),
		    cases[i].whole);
}

static void
a_table_is_text_and_json_by_one_head(void **state)
{
	static const struct table_head head = {
		.name = "t",
		.columns = { { "name", "NAME" }, { "hidden", NULL },
		    { "n", "N" }, { "why", "WHY" }, { NULL, NULL } },
	};
	struct table t;
	json_t *rows;
	char *text = NULL;
	size_t len;
	FILE *out;

	(void)state;
	assert_int_equal(table_init(&t, &head), 0);
	table_add(&t, "[s,i,i,s?]", "alice", 1, 7, NULL);
	table_add(&t, "[s,i,i,s?]", "bo", 2, 1234, "because");
	rows = table_json(&t);
	assert_int_equal(json_integer_value(json_object_get(
			     json_array_get(rows, 1), "hidden")),
	    2);
	out = open_memstream(&text, &len);
	table_print(&head, rows, "  ", out);
	fclose(out);
	assert_string_equal(text,
	    "  NAME      N  WHY\n"
	    "  alice     7  -\n"
	    "  bo     1234  because\n");
	free(text);
	json_decref(rows);
	/* No UTF-8, no row; and it is counted. */
	table_add(&t, "[s,i,i,s?]", "\xff", 1, 7, NULL);
	assert_int_equal(t.left_out, 1);
	table_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_beginning_and_the_end_are_kept),
		cmocka_unit_test(one_piece_larger_than_all_is_kept_in_part),
		cmocka_unit_test(only_the_last_lines_are_printed),
		cmocka_unit_test(what_would_control_a_terminal_is_taken_out),
		cmocka_unit_test(pieces_end_between_characters),
		cmocka_unit_test(a_table_is_text_and_json_by_one_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
