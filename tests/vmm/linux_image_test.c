/*
 * Where the Linux guest is looked for, in a tree made for each test.
 */
#include "vmm/linux_image.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct tree {
	char dir[32];
	char program[64];
	struct linux_image image;
	struct err err;
};

static void
make_dir(const struct tree *t, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void
make_file(
    const struct tree *t, const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s", t->dir, dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
make_image(const struct tree *t, const char *dir, const char *cmdline)
{
	make_file(t, dir, "vmlinuz", "kernel");
	make_file(t, dir, "initrd", "archive");
	make_file(t, dir, "cmdline", cmdline);
}

static int
set_up(void **state)
{
	static const char *const dirs[] = { "bin", "bin/guest",
		"bin/guest/linux", "share", "share/lanyard",
		"share/lanyard/linux" };
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(t->dir, sizeof(t->dir), "/tmp/linux_image.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		make_dir(t, dirs[i]);
	make_file(t, "bin", "lanyard", "program");
	snprintf(t->program, sizeof(t->program), "%s/bin/lanyard", t->dir);
	*state = t;
	return 0;
}

static int
tear_down(void **state)
{
	struct tree *t = *state;
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", t->dir);
	assert_int_equal(system(command), 0);
	free(t);
	return 0;
}

static void
assert_found_in(struct tree *t, const char *dir)
{
	char want[LINUX_IMAGE_PATH_BYTES];

	assert_int_equal(linux_image_find(&t->image, t->program, &t->err), 0);
	assert_string_equal(t->err.text, "");
	snprintf(want, sizeof(want), "%s/%s/vmlinuz", t->dir, dir);
	assert_string_equal(t->image.kernel, want);
	snprintf(want, sizeof(want), "%s/%s/initrd", t->dir, dir);
	assert_string_equal(t->image.initrd, want);
}

static void
it_is_found_beside_the_program(void **state)
{
	struct tree *t = *state;

	make_image(t, "bin/guest/linux", "console=ttyS0 quiet\n");
	make_image(t, "share/lanyard/linux", "other\n");
	assert_found_in(t, "bin/guest/linux");
	assert_string_equal(t->image.cmdline, "console=ttyS0 quiet");
}

static void
it_is_found_where_it_is_installed(void **state)
{
	struct tree *t = *state;

	make_image(t, "share/lanyard/linux", "quiet\n");
	assert_found_in(t, "bin/../share/lanyard/linux");
	assert_string_equal(t->image.cmdline, "quiet");
}

static void
it_is_found_through_a_link_to_the_program(void **state)
{
	struct tree *t = *state;
	char link[64];

	make_image(t, "bin/guest/linux", "quiet\n");
	snprintf(link, sizeof(link), "%s/link", t->dir);
	assert_int_equal(symlink(t->program, link), 0);
	snprintf(t->program, sizeof(t->program), "%s", link);
	assert_found_in(t, "bin/guest/linux");
}

static void
half_an_image_is_none(void **state)
{
	struct tree *t = *state;

	make_file(t, "bin/guest/linux", "vmlinuz", "kernel");
	assert_int_equal(
	    linux_image_find(&t->image, t->program, &t->err), -ENOENT);
	assert_non_null(strstr(t->err.text, "run \"make guest\""));
	assert_non_null(strstr(t->err.text, t->dir));
	make_image(t, "share/lanyard/linux", "quiet\n");
	err_clear(&t->err);
	assert_found_in(t, "bin/../share/lanyard/linux");
}

static void
a_missing_program_is_said(void **state)
{
	struct tree *t = *state;

	assert_int_equal(
	    linux_image_find(&t->image, "/nonexistent/lanyard", &t->err),
	    -ENOENT);
	assert_non_null(strstr(t->err.text, "/nonexistent/lanyard"));
}

static void
a_bad_command_line_is_refused(void **state)
{
	struct tree *t = *state;
	char longest[LINUX_IMAGE_CMDLINE_BYTES + 2];
	const struct {
		const char *text;
		int result;
	} rows[] = {
		{ "", -EINVAL },
		{ "quiet", -EINVAL }, /* cut off */
		{ "\n", 0 },
		{ "quiet\nmore\n", 0 }, /* the first line counts */
		{ "a\tb\n", -EINVAL },
		{ "\xc3\xa4\n", -EINVAL },
		{ longest, -EINVAL },
		{ longest + 1, 0 },
	};

	/* One letter less just fits. */
	memset(longest, 'x', sizeof(longest));
	longest[LINUX_IMAGE_CMDLINE_BYTES] = '\n';
	longest[LINUX_IMAGE_CMDLINE_BYTES + 1] = '\0';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_image(t, "bin/guest/linux", rows[i].text);
		err_clear(&t->err);
		if (rows[i].result ==
		    linux_image_find(&t->image, t->program, &t->err))
			continue;
		fail_msg("row %zu: %s", i, t->err.text);
	}
	assert_int_equal(
	    strlen(t->image.cmdline), LINUX_IMAGE_CMDLINE_BYTES - 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_found_beside_the_program),
		TEST(it_is_found_where_it_is_installed),
		TEST(it_is_found_through_a_link_to_the_program),
		TEST(half_an_image_is_none),
		TEST(a_missing_program_is_said),
		TEST(a_bad_command_line_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
