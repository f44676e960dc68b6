#include "net/stun.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

/* RFC 5769, 2.2: a response with what we pass over: SOFTWARE, FINGERPRINT. */
static const uint8_t sample[] = { 0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4,
	0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
	0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65,
	0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1,
	0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5,
	0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba,
	0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c,
	0x96 };

static enum reason
parse(struct stun *stun, const uint8_t *bytes, size_t len)
{
	struct exact e = exact(bytes, len);
	enum reason reason = stun_parse(stun, &e.c);

	exact_free(&e);
	return reason;
}

static void
the_rfcs_own_answer_is_read(void **state)
{
	struct stun stun;

	(void)state;
	assert_int_equal(parse(&stun, sample, sizeof(sample)), REASON_NONE);
	assert_int_equal(stun.type, STUN_ANSWER);
	assert_int_equal(stun.mapped.ip, 0xc0000201);
	assert_int_equal(stun.mapped.port, 32853);
	assert_int_equal(stun.other.ip, 0);
}

static void
what_is_cut_short_is_refused(void **state)
{
	struct stun stun;

	(void)state;
	for (size_t n = 0; n < sizeof(sample); n++)
		assert_int_equal(parse(&stun, sample, n),
		    n < STUN_HEADER_BYTES ? DROP_SHORT : DROP_STUN);
}

static void
what_contradicts_itself_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		enum reason reason;
	} rows[] = {
		{ 0, 0x41, DROP_STUN },    /* no STUN */
		{ 1, 0x03, DROP_STUN },    /* another method */
		{ 3, 0x3d, DROP_STUN },    /* no multiple of 4 */
		{ 3, 0x38, DROP_STUN },    /* shorter than it is */
		{ 23, 0xff, DROP_STUN },   /* beyond the end */
		{ 37, 0x2a, DROP_STUN },   /* to be understood */
		{ 20, 0xff, REASON_NONE }, /* may be passed over */
		{ 39, 0x04, DROP_STUN },   /* half an address */
		{ 41, 0x02, REASON_NONE }, /* an IPv6 one, passed over */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[sizeof(sample)];
		struct stun stun;

		memcpy(bytes, sample, sizeof(bytes));
		bytes[rows[i].at] = rows[i].byte;
		assert_int_equal(
		    parse(&stun, bytes, sizeof(bytes)), rows[i].reason);
	}
}

/* Everything that can be in a message at once. */
static struct stun
full(bool later)
{
	struct stun stun = { .type = STUN_REQUEST,
		.id = { 0x21, 0x12, 0xa4, 0x42, 1, 2, 3 },
		.change_ip = true,
		.change_port = true,
		.response_port = 40001,
		.padding_bytes = 1001,
		.mapped = { 0xcb007101, 5000 },
		.origin = { 0xcb00710a, 3478 },
		.other = { 0xcb007142, 3479 },
		.respond_to = { 0x0a000064, 6000 } };

	if (!later)
		stun.id[0] = 0;
	return stun;
}

static void
what_is_written_is_read_again(void **state)
{
	static uint8_t room[STUN_MAX_BYTES];

	(void)state;
	for (int later = 0; later < 2; later++) {
		struct stun stun = full(later), again;
		struct writer w = writer(room, sizeof(room));

		stun_write(&w, &stun);
		assert_false(w.overrun);
		assert_int_equal(
		    parse(&again, room, (size_t)(w.at - room)), REASON_NONE);
		assert_memory_equal(&stun, &again, sizeof(stun));
	}
}

static void
the_address_is_hidden_from_those_who_know_the_cookie(void **state)
{
	uint8_t room[64];
	struct writer w = writer(room, sizeof(room));
	struct stun stun = { .type = STUN_ANSWER,
		.id = { 0x21, 0x12, 0xa4, 0x42 },
		.mapped = { 0xcb007101, 5000 } };

	(void)state;
	stun_write(&w, &stun);
	assert_int_equal(get_be16(room + 20), 0x0020);
	assert_int_equal(get_be32(room + 28), 0xcb007101 ^ STUN_COOKIE);
	stun.id[3] = 0;
	w = writer(room, sizeof(room));
	stun_write(&w, &stun);
	assert_int_equal(get_be16(room + 20), 0x0001);
	assert_int_equal(get_be32(room + 28), 0xcb007101);
}

static void
what_does_not_fit_is_not_written(void **state)
{
	static uint8_t room[STUN_MAX_BYTES];
	struct stun stun = full(true);
	struct writer w = writer(room, sizeof(room));
	size_t bytes;

	(void)state;
	stun_write(&w, &stun);
	bytes = (size_t)(w.at - room);
	for (size_t n = 0; n < bytes; n += 7) {
		w = writer(room, n);
		stun_write(&w, &stun);
		assert_true(w.overrun);
		assert_ptr_equal(w.at, room);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rfcs_own_answer_is_read),
		cmocka_unit_test(what_is_cut_short_is_refused),
		cmocka_unit_test(what_contradicts_itself_is_refused),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(
		    the_address_is_hidden_from_those_who_know_the_cookie),
		cmocka_unit_test(what_does_not_fit_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
