#include "lab/remains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PID 7654321 /* beyond what the kernel gives */

struct corner {
	char runtime[32], base[64], dir[96], lock[96];
};

static void
put_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A directory of labs, and in it what is left of lab "old". */
static int
set_up(void **state)
{
	struct corner *p = calloc(1, sizeof(*p));
	char path[128], pid[16];

	strcpy(p->runtime, "/tmp/remains-XXXXXX");
	assert_non_null(mkdtemp(p->runtime));
	setenv("XDG_RUNTIME_DIR", p->runtime, 1);
	snprintf(p->base, sizeof(p->base), "%s/lanyard", p->runtime);
	snprintf(p->dir, sizeof(p->dir), "%s/old", p->base);
	snprintf(p->lock, sizeof(p->lock), "%s/old.lock", p->base);
	assert_int_equal(mkdir(p->base, 0700), 0);
	assert_int_equal(mkdir(p->dir, 0700), 0);
	snprintf(pid, sizeof(pid), "%d\n", PID);
	put_file(p->lock, pid);
	snprintf(path, sizeof(path), "%s/control", p->dir);
	put_file(path, "");
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct corner *p = *state;

	rmdir(p->base);
	assert_int_equal(rmdir(p->runtime), 0);
	free(p);
	return 0;
}

static void
put_host(const struct corner *p, const char *lines)
{
	char path[128], text[4096];
	struct stat st;

	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	snprintf(path, sizeof(path), "%s/host", p->dir);
	snprintf(text, sizeof(text), "namespace %llu\n%s",
	    (unsigned long long)st.st_ino, lines);
	put_file(path, text);
}

static char *
cleared(void)
{
	char *text = NULL;
	size_t len;
	FILE *notes = open_memstream(&text, &len);

	remains_clear(notes);
	fclose(notes);
	return text;
}

static void
what_a_killed_lab_left_is_removed_and_told_once(void **state)
{
	const struct corner *p = *state;
	char *text, want[256];

	text = cleared();
	snprintf(want, sizeof(want),
	    "lanyard: lab \"old\" was killed (process %d); its directory %s is "
	    "removed\n",
	    PID, p->dir);
	assert_string_equal(text, want);
	assert_int_not_equal(access(p->dir, F_OK), 0);
	assert_int_not_equal(access(p->lock, F_OK), 0);
	free(text);
	text = cleared();
	assert_string_equal(text, "");
	free(text);
}

static void
interfaces_are_looked_at(void **state)
{
	char *text;

	put_host(*state,
	    "made ly-nobody 77\npromiscuous lo 1\n"
	    "promiscuous ly-no-nic 78\n");
	text = cleared();
	assert_non_null(
	    strstr(text, "; its interface ly-nobody is gone; lo is not "));
	assert_non_null(
	    strstr(text, "; ly-no-nic, on which it listened, is gone\n"));
	free(text);
}

static void
an_interface_of_another_index_is_not_touched(void **state)
{
	char *text;

	put_host(*state, "made lo 4242\n");
	text = cleared();
	assert_non_null(strstr(text, "; its interface lo is gone\n"));
	free(text);
}

static void
another_namespace_is_not_looked_at(void **state)
{
	const struct corner *p = *state;
	char path[128], *text;

	snprintf(path, sizeof(path), "%s/host", p->dir);
	put_file(path, "namespace 1\nmade lo 1\n");
	text = cleared();
	assert_non_null(strstr(text, "in another network namespace"));
	assert_null(strstr(text, "lo is"));
	free(text);
}

static void
what_is_no_note_is_passed_over(void **state)
{
	static const char *const bad[] = { "", "made\n", "made lo\n",
		"made lo minus\n", "sold lo 1\n", "\n\n\n",
		"made a-name-of-far-too-many-letters-for-an-interface 1\n" };
	char *text;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct corner *p = *state;

		put_host(p, bad[i]);
		text = cleared();
		assert_non_null(strstr(text, "is removed\n"));
		free(text);
		mkdir(p->dir, 0700);
		put_file(p->lock, "");
	}
	text = cleared();
	free(text);
}

static void
a_lab_that_runs_is_left_alone(void **state)
{
	const struct corner *p = *state;
	struct rundir dir;
	struct err err;
	char *text;

	assert_int_equal(rundir_open(&dir, "old", &err), 0);
	text = cleared();
	assert_string_equal(text, "");
	assert_int_equal(access(p->dir, F_OK), 0);
	rundir_close(&dir);
	free(text);
}

int
main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(what_a_killed_lab_left_is_removed_and_told_once),
		WITH(interfaces_are_looked_at),
		WITH(an_interface_of_another_index_is_not_touched),
		WITH(another_namespace_is_not_looked_at),
		WITH(what_is_no_note_is_passed_over),
		WITH(a_lab_that_runs_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
