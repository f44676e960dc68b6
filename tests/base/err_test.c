#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
sentence_is_formatted_and_code_returned(void **state)
{
	struct err err = { "" };

	(void)state;
	assert_int_equal(err_set(&err, -EINVAL,
			     "port \"%s\": mtu %d is too "
			     "large; use 68 to %d",
			     "alice.eth0", 90000, 65521),
	    -EINVAL);
	assert_string_equal(err.text,
	    "port \"alice.eth0\": mtu 90000 is too large; use 68 to 65521");
}

static void
first_sentence_stays(void **state)
{
	struct err err = { "" };

	(void)state;
	err_set(&err, -EINVAL, "the cause");
	assert_int_equal(err_set(&err, -EIO, "a consequence"), -EIO);
	assert_int_equal(
	    err_sys(&err, -EPERM, "run as root", "another one"), -EPERM);
	assert_string_equal(err.text, "the cause");
}

static void
clear_makes_room(void **state)
{
	struct err err = { "" };

	(void)state;
	err_set(&err, -EINVAL, "one");
	err_clear(&err);
	assert_string_equal(err.text, "");
	err_set(&err, -EINVAL, "two");
	assert_string_equal(err.text, "two");
}

static void
without_err_only_the_code_is_told(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -ENOENT, "%s", "nobody reads"), -ENOENT);
	assert_int_equal(err_sys(NULL, -EIO, NULL, "nobody reads"), -EIO);
}

static void
system_error_is_told_with_its_remedy(void **state)
{
	struct err err = { "" };

	(void)state;
	assert_int_equal(err_sys(&err, -EACCES, "run as root",
			     "tap:%s: cannot open /dev/net/tun", "lan0"),
	    -EACCES);
	assert_string_equal(err.text,
	    "tap:lan0: cannot open /dev/net/tun: Permission denied; "
	    "run as root");
	err_clear(&err);
	err_sys(&err, -ENOENT, NULL, "lab.yaml");
	assert_string_equal(err.text, "lab.yaml: No such file or directory");
}

/* The remedy and what it is about may hold what looks like a format. */
static void
percent_signs_in_values_are_text(void **state)
{
	struct err err = { "" };

	(void)state;
	err_sys(&err, -EIO, "use 100%s", "loss %s", "5%n");
	assert_string_equal(
	    err.text, "loss 5%n: Input/output error; use 100%s");
}

static void
long_sentences_are_cut_and_ended(void **state)
{
	struct err err = { "" };
	struct {
		struct err err;
		uint8_t guard[16];
	} guarded = { .err = { "" } };
	char big[4 * ERR_MAX_BYTES];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	memset(guarded.guard, 0xa5, sizeof(guarded.guard));
	err_set(&guarded.err, -EINVAL, "%s", big);
	assert_int_equal(strlen(guarded.err.text), ERR_MAX_BYTES - 1);
	for (size_t i = 0; i < sizeof(guarded.guard); i++)
		assert_int_equal(guarded.guard[i], 0xa5);
	assert_int_equal(err_sys(&err, -EIO, big, "%s", big), -EIO);
	assert_int_equal(strlen(err.text), ERR_MAX_BYTES - 1);

	/* One that just fits is whole. */
	big[ERR_MAX_BYTES - 1] = '\0';
	err_clear(&err);
	err_set(&err, -EINVAL, "%s", big);
	assert_string_equal(err.text, big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentence_is_formatted_and_code_returned),
		cmocka_unit_test(first_sentence_stays),
		cmocka_unit_test(clear_makes_room),
		cmocka_unit_test(without_err_only_the_code_is_told),
		cmocka_unit_test(system_error_is_told_with_its_remedy),
		cmocka_unit_test(percent_signs_in_values_are_text),
		cmocka_unit_test(long_sentences_are_cut_and_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
