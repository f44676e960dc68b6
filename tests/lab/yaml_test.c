#include "lab/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reading {
	struct arena *arena;
	struct problems problems;
};

static int
setup(void **state)
{
	struct reading *r = calloc(1, sizeof(*r));

	r->arena = arena_new();
	problems_init(&r->problems, r->arena, "t.yaml");
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct reading *r = *state;

	arena_free(r->arena);
	free(r);
	return 0;
}

static const struct yaml *
reads(struct reading *r, const char *text)
{
	return yaml_read(r->arena, text, strlen(text), &r->problems);
}

static void
values_keep_their_text_and_place(void **state)
{
	const struct yaml *root =
	    reads(*state, "a: 010\nb:\n  - no\n  - {c: 52:54:00:00:00:01}\n");
	const struct yaml *b = yaml_get(root, "b"), *c;

	assert_non_null(b);
	assert_string_equal(yaml_get(root, "a")->text, "010");
	assert_int_equal(b->kind, YAML_LIST);
	assert_int_equal(b->nchildren, 2);
	assert_string_equal(b->first->text, "no");
	c = yaml_get(b->first->next, "c");
	assert_string_equal(c->text, "52:54:00:00:00:01");
	assert_int_equal(c->at.line, 4);
	assert_int_equal(c->at.column, 9);
	assert_int_equal(c->key_at.column, 6);
}

static void
a_key_without_value_is_empty(void **state)
{
	const struct yaml *root = reads(*state, "a:\nb: ''\nc: x\n");

	assert_true(yaml_is_empty(yaml_get(root, "a")));
	assert_true(yaml_is_empty(yaml_get(root, "b")));
	assert_false(yaml_is_empty(yaml_get(root, "c")));
	assert_null(yaml_get(root, "d"));
}

static void
what_lab_files_do_not_need_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
		unsigned int line, column;
	} cases[] = {
		{ "a: &x 1\n", "anchor", 1, 4 },
		{ "a: *x\n", "alias", 1, 4 },
		{ "a: !!int 1\n", "tag", 1, 4 },
		{ "a: {<<: {}}\n", "merge", 1, 5 },
		{ "a: 1\n---\nb: 2\n", "second document", 2, 1 },
		{ "a: 1\n[x]: 2\n", "keys are names", 2, 1 },
		{ "a: \"x\\u0007y\"\n", "control character", 1, 4 },
		{ "a: |\n  x\n  y\n", "line break", 1, 4 },
		{ "a: [1, 2\nb: 3\n", "", 2, 2 },
		{ "a: b: c\n", "second \": \"", 1, 5 },
	};
	struct reading *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		problems_init(&r->problems, r->arena, "t.yaml");
		assert_null(reads(r, cases[i].text));
		assert_int_equal(r->problems.errors, 1);
		assert_non_null(
		    strstr(r->problems.list[0].text, cases[i].says));
		assert_int_equal(r->problems.list[0].at.line, cases[i].line);
		assert_int_equal(
		    r->problems.list[0].at.column, cases[i].column);
	}
}

static void
the_first_of_two_keys_counts(void **state)
{
	struct reading *r = *state;
	const struct yaml *root = reads(r, "a: 1\nb: 2\na: 3\n");

	assert_string_equal(yaml_get(root, "a")->text, "1");
	assert_int_equal(root->nchildren, 2);
	assert_int_equal(r->problems.errors, 1);
	assert_int_equal(r->problems.list[0].at.line, 3);
}

static void
depth_and_breadth_are_limited(void **state)
{
	struct reading *r = *state;
	char text[8 * YAML_MAX_CHILDREN + 64] = "", *p = text;

	for (int i = 0; i < YAML_MAX_DEPTH; i++)
		*p++ = '[';
	for (int i = 0; i < YAML_MAX_DEPTH; i++)
		*p++ = ']';
	assert_non_null(reads(r, text));
	for (int i = 0; i <= 2 * YAML_MAX_DEPTH; i++)
		text[i] = '[';
	assert_null(reads(r, text));
	p = text;
	for (int i = 0; i <= YAML_MAX_CHILDREN; i++)
		p += sprintf(p, "- %d\n", i);
	assert_null(reads(r, text));
	assert_int_equal(r->problems.errors, 2);
}

static void
a_file_beyond_the_limit_is_refused(void **state)
{
	struct reading *r = *state;
	char *text = malloc(YAML_MAX_BYTES + 1);

	memset(text, '#', YAML_MAX_BYTES + 1);
	assert_null(
	    yaml_read(r->arena, text, YAML_MAX_BYTES + 1, &r->problems));
	assert_int_equal(r->problems.errors, 1);
	free(text);
}

static void
bytes_that_are_no_text_are_refused(void **state)
{
	static const char *const texts[] = { "a: \xff\n", "a: \x01\n",
		"\xc3\x28: 1\n" };
	struct reading *r = *state;

	for (size_t i = 0; i < 3; i++)
		assert_null(reads(r, texts[i]));
	assert_null(yaml_read(r->arena, "a: \0b", 5, &r->problems));
	assert_true(r->problems.errors >= 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    values_keep_their_text_and_place, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_key_without_value_is_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_lab_files_do_not_need_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    the_first_of_two_keys_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    depth_and_breadth_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_file_beyond_the_limit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    bytes_that_are_no_text_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
