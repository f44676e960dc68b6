#include "lab/draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lab/load.h"

/* The drawing of a lab, the caller's to free. */
static char *
drawing(const char *path, enum draw_format format, unsigned int width)
{
	struct loaded l;
	char *text = NULL;
	size_t len;
	FILE *out;

	assert_true(load_file(&l, path, path));
	assert_non_null(l.lab);
	out = open_memstream(&text, &len);
	assert_int_equal(draw(l.lab, format, width, out), 0);
	fclose(out);
	load_free(&l);
	return text;
}

static void
drawings_are_as_they_were_approved(void **state)
{
	static const struct {
		const char *lab, *drawing;
		enum draw_format format;
		unsigned int width;
	} cases[] = {
		{ "topologies/nat.yaml", "nat.txt", DRAW_TEXT, 100 },
		{ "topologies/nat.yaml", "nat-narrow.txt", DRAW_TEXT, 60 },
		{ "topologies/nat.yaml", "nat.dot", DRAW_DOT, 0 },
		{ "topologies/nat.yaml", "nat.mermaid", DRAW_MERMAID, 0 },
		{ "topologies/nat.yaml", "nat.svg", DRAW_SVG, 0 },
		{ "tests/lab/drawings/mesh.yaml", "mesh.svg", DRAW_SVG, 0 },
		{ "topologies/hundred.yaml", "hundred.txt", DRAW_TEXT, 100 },
		{ "topologies/two-switches.yaml", "two-switches.txt", DRAW_TEXT,
		    100 },
		{ "tests/lab/drawings/mesh.yaml", "mesh.txt", DRAW_TEXT, 200 },
		{ "topologies/ring.yaml", "ring.txt", DRAW_TEXT, 100 },
		{ "tests/lab/drawings/loop.yaml", "loop.txt", DRAW_TEXT, 40 },
		{ "tests/lab/drawings/cables.yaml", "cables.txt", DRAW_TEXT,
		    200 },
		{ "tests/lab/drawings/cables.yaml", "cables-narrow.txt",
		    DRAW_TEXT, 40 },
		{ "tests/lab/drawings/cables.yaml", "cables.svg", DRAW_SVG, 0 },
		{ "tests/lab/drawings/cables.yaml", "cables.dot", DRAW_DOT, 0 },
		{ "tests/lab/drawings/cables.yaml", "cables.mermaid",
		    DRAW_MERMAID, 0 },
	};
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[200];
		char *is =
		    drawing(cases[i].lab, cases[i].format, cases[i].width);
		char *was;
		size_t len;

		snprintf(path, sizeof(path), "tests/lab/drawings/%s",
		    cases[i].drawing);
		was = load_bytes(path, &len);
		assert_non_null(was);
		if (strcmp(is, was) != 0) {
			print_error("%s is now:\n%s", path, is);
			wrong++;
		}
		free(is);
		free(was);
	}
	assert_int_equal(wrong, 0);
}

static void
every_name_is_in_every_drawing(void **state)
{
	static const char *const names[] = { "alice", "bob", "server", "gw",
		"lan", "internet", "inside", "10.0.0.1/24", "203.0.113.10/24" };

	(void)state;
	for (int f = 0; draw_formats[f] != NULL; f++)
		for (unsigned int width = 0; width < 300; width += 100) {
			char *text = drawing(
			    "topologies/nat.yaml", (enum draw_format)f, width);

			for (size_t i = 0; i < 9; i++)
				assert_non_null(strstr(text, names[i]));
			free(text);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drawings_are_as_they_were_approved),
		cmocka_unit_test(every_name_is_in_every_drawing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
