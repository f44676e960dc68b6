#include "switch/vhost_msg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Every request that is known, with a payload. */
static const struct vhost_msg known[] = {
	{ .request = VHOST_GET_FEATURES },
	{ .request = VHOST_SET_FEATURES, .u64 = 0x1234567890abcdef },
	{ .request = VHOST_SET_OWNER },
	{ .request = VHOST_RESET_OWNER },
	{ .request = VHOST_SET_MEM_TABLE, .memory = { .n = 0 } },
	{ .request = VHOST_SET_MEM_TABLE,
	    .memory = { 2, { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } } },
	    .nfds = 2,
	    .fd = { 0, 0 } },
	{ .request = VHOST_SET_VRING_NUM, .state = { 1, 256 } },
	{ .request = VHOST_SET_VRING_ADDR, .addr = { 1, 2, 3, 4, 5, 6 } },
	{ .request = VHOST_SET_VRING_BASE, .state = { 3, 4 } },
	{ .request = VHOST_GET_VRING_BASE, .state = { 3, 0 } },
	{ .request = VHOST_SET_VRING_KICK, .u64 = 1, .nfds = 1 },
	{ .request = VHOST_SET_VRING_CALL, .u64 = 0x101 },
	{ .request = VHOST_SET_VRING_ERR, .u64 = 2, .nfds = 1 },
	{ .request = VHOST_GET_PROTOCOL_FEATURES },
	{ .request = VHOST_SET_PROTOCOL_FEATURES, .u64 = 9 },
	{ .request = VHOST_GET_QUEUE_NUM },
	{ .request = VHOST_SET_VRING_ENABLE, .state = { 1, 1 } },
	{ .request = VHOST_NET_SET_MTU, .u64 = 1500 },
	{ .request = VHOST_GET_MAX_MEM_SLOTS },
	{ .request = VHOST_ADD_MEM_REG,
	    .memory = { 1, { { 1, 2, 3, 4 } } },
	    .nfds = 1 },
	{ .request = VHOST_SET_LINK_CALL, .nfds = 1 },
	{ .request = VHOST_GET_LINK },
	{ .request = VHOST_REM_MEM_REG, .memory = { 1, { { 1, 2, 3, 4 } } } },
};

static const unsigned int nknown = sizeof(known) / sizeof(known[0]);

static void
what_is_written_is_what_is_parsed(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < nknown; i++) {
		uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
		uint8_t again[sizeof(bytes)];
		struct vhost_msg msg = known[i], got;
		size_t n;

		msg.flags = VHOST_VERSION | (i & 1 ? VHOST_NEED_REPLY : 0);
		n = vhost_msg_write(&msg, bytes);
		memset(&got, 0xaa, sizeof(got));
		assert_int_equal(vhost_msg_header(&got, bytes), VHOST_OK);
		assert_int_equal(got.request, msg.request);
		assert_int_equal(got.flags, msg.flags);
		assert_int_equal(got.bytes, n - VHOST_HEADER_BYTES);
		got.nfds = msg.nfds;
		assert_int_equal(
		    vhost_msg_payload(&got, bytes + VHOST_HEADER_BYTES),
		    VHOST_OK);
		assert_int_equal(vhost_msg_write(&got, again), n);
		assert_memory_equal(bytes, again, n);
		assert_string_not_equal(vhost_request_name(got.request), "?");
	}
}

static void
each_request_has_one_length(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < nknown; i++) {
		uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
		struct vhost_msg msg = known[i], got;
		uint32_t right, len;

		msg.flags = VHOST_VERSION;
		right =
		    (uint32_t)vhost_msg_write(&msg, bytes) - VHOST_HEADER_BYTES;
		for (len = 0; len < 400; len++) {
			enum vhost_refusal refusal;

			memcpy(bytes + 8, &len, sizeof(len));
			refusal = vhost_msg_header(&got, bytes);
			if (msg.request == VHOST_SET_MEM_TABLE)
				assert_int_equal(refusal == VHOST_OK,
				    len >= 8 && len <= 264 &&
					(len - 8) % 32 == 0);
			else
				assert_int_equal(
				    refusal == VHOST_OK, len == right);
		}
	}
}

static void
unknown_requests_are_refused(void **state)
{
	uint8_t bytes[VHOST_HEADER_BYTES] = { 0, 0, 0, 0, 1 };
	struct vhost_msg msg;
	unsigned int n = 0;

	(void)state;
	for (uint32_t request = 0; request < 300; request++) {
		memcpy(bytes, &request, sizeof(request));
		n += vhost_msg_header(&msg, bytes) != VHOST_BAD_REQUEST;
		assert_int_equal(
		    vhost_msg_header(&msg, bytes) == VHOST_BAD_REQUEST,
		    vhost_request_name(request)[0] == '?');
	}
	assert_int_equal(n, nknown - 1); /* SET_MEM_TABLE is there twice */
}

static void
descriptors_must_be_as_many_as_belong_to_the_request(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < nknown; i++) {
		uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
		struct vhost_msg msg = known[i], got;
		unsigned int max = msg.nfds;

		/* Some front ends send one along; it is closed. */
		if (msg.request == VHOST_REM_MEM_REG)
			max = 1;
		msg.flags = VHOST_VERSION;
		vhost_msg_write(&msg, bytes);
		for (unsigned int n = 0; n <= VHOST_FDS_MAX; n++) {
			assert_int_equal(
			    vhost_msg_header(&got, bytes), VHOST_OK);
			got.nfds = n;
			assert_int_equal(
			    vhost_msg_payload(&got, bytes + VHOST_HEADER_BYTES),
			    n >= msg.nfds && n <= max ? VHOST_OK
						      : VHOST_BAD_FDS);
		}
	}
}

static void
a_table_has_as_many_regions_as_it_says(void **state)
{
	uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX] = { 0 };
	struct vhost_msg msg;
	uint32_t words[] = { VHOST_SET_MEM_TABLE, VHOST_VERSION, 8 + 64, 0 };

	(void)state;
	for (uint32_t n = 0; n < 10; n++) {
		words[3] = n;
		memcpy(bytes, words, sizeof(words));
		assert_int_equal(vhost_msg_header(&msg, bytes), VHOST_OK);
		msg.nfds = n;
		assert_int_equal(
		    vhost_msg_payload(&msg, bytes + VHOST_HEADER_BYTES),
		    n == 2 ? VHOST_OK : VHOST_BAD_SIZE);
	}
	words[3] = UINT32_MAX;
	memcpy(bytes, words, sizeof(words));
	msg.nfds = 2;
	assert_int_equal(vhost_msg_payload(&msg, bytes + VHOST_HEADER_BYTES),
	    VHOST_BAD_SIZE);
}

static void
replies_carry_a_number_or_what_the_request_asks_for(void **state)
{
	uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
	struct vhost_msg msg = { .request = VHOST_GET_VRING_BASE,
		.flags = VHOST_VERSION | VHOST_REPLY,
		.state = { 1, 77 } };
	static const uint32_t base[] = { VHOST_GET_VRING_BASE, 5, 8, 1, 77 };
	static const uint32_t ack[] = { VHOST_SET_MEM_TABLE, 5, 8, 1, 0 };

	(void)state;
	assert_int_equal(vhost_msg_write(&msg, bytes), 20);
	assert_memory_equal(bytes, base, 20);
	msg = (struct vhost_msg){ .request = VHOST_SET_MEM_TABLE,
		.flags = VHOST_VERSION | VHOST_REPLY,
		.u64 = 1 };
	assert_int_equal(vhost_msg_write(&msg, bytes), 20);
	assert_memory_equal(bytes, ack, 20);
	assert_true(vhost_msg_answers(VHOST_GET_FEATURES));
	assert_false(vhost_msg_answers(VHOST_SET_MEM_TABLE));
	assert_false(vhost_msg_answers(UINT32_MAX));
}

static void
every_refusal_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < VHOST_REFUSALS; i++) {
		const char *name = vhost_refusal_name((enum vhost_refusal)i);

		assert_non_null(name);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(
			    name, vhost_refusal_name((enum vhost_refusal)k));
	}
	assert_string_equal(vhost_refusal_name(VHOST_REFUSALS), "?");
}

/* ---- the reader ---- */

/* Sends n bytes with so many descriptors, all the same. */
static void
put(int fd, const void *bytes, size_t n, int which, unsigned int nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	struct msghdr to = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds > 0) {
		struct cmsghdr *c = &control.align;

		to.msg_control = control.bytes;
		to.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (unsigned int i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &which,
			    sizeof(which));
	}
	assert_int_equal(sendmsg(fd, &to, 0), n);
}

/* The lowest descriptor that is free: moves up when one leaks. */
static int
lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void
messages_in_one_piece_and_in_many_are_read_alike(void **state)
{
	struct vhost_reader reader = { .have = 0 };
	int pair[2], event = eventfd(0, EFD_CLOEXEC), before;
	enum vhost_refusal refusal;

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	before = lowest_free();
	for (unsigned int chunk = 1; chunk < 30; chunk++) {
		for (unsigned int i = 0; i < nknown; i++) {
			uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
			struct vhost_msg msg = known[i];
			size_t n, at = 0;

			msg.flags = VHOST_VERSION;
			n = vhost_msg_write(&msg, bytes);
			while (at < n) {
				size_t part = n - at < chunk ? n - at : chunk;

				put(pair[0], bytes + at, part, event,
				    at == 0 ? msg.nfds : 0);
				at += part;
				assert_int_equal(vhost_reader_next(&reader,
						     pair[1], &refusal),
				    at == n);
			}
			assert_int_equal(reader.msg.request, msg.request);
			assert_int_equal(reader.msg.nfds, msg.nfds);
		}
		assert_int_equal(
		    vhost_reader_next(&reader, pair[1], &refusal), 0);
		assert_int_equal(lowest_free(), before);
	}
	close(pair[0]);
	assert_int_equal(
	    vhost_reader_next(&reader, pair[1], &refusal), -ECONNRESET);
	close(pair[1]);
	close(event);
}

static void
a_message_that_ends_early_is_cut_off(void **state)
{
	static const uint32_t set[] = { 2, 1, 8, 0, 0 };
	int event = eventfd(0, EFD_CLOEXEC);
	enum vhost_refusal refusal;

	(void)state;
	for (unsigned int n = 1; n < sizeof(set); n++) {
		struct vhost_reader reader = { .have = 0 };
		int pair[2], before = lowest_free();

		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
		    0);
		put(pair[0], set, n, event, n % 3);
		close(pair[0]);
		assert_int_equal(
		    vhost_reader_next(&reader, pair[1], &refusal), -EPROTO);
		assert_int_equal(refusal, VHOST_CUT_OFF);
		vhost_reader_clear(&reader);
		close(pair[1]);
		assert_int_equal(lowest_free(), before);
	}
	close(event);
}

static void
descriptors_beyond_any_message_are_closed(void **state)
{
	static const uint32_t kick[] = { 12, 1, 8, 1, 0 };
	struct vhost_reader reader = { .have = 0 };
	int pair[2], event = eventfd(0, EFD_CLOEXEC), before = lowest_free();
	enum vhost_refusal refusal;

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	put(pair[0], kick, sizeof(kick), event, 12);
	assert_int_equal(
	    vhost_reader_next(&reader, pair[1], &refusal), -EPROTO);
	assert_int_equal(refusal, VHOST_BAD_FDS);
	vhost_reader_clear(&reader);
	close(pair[0]);
	close(pair[1]);
	/* And those that come in several parts. */
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	put(pair[0], kick, 4, event, 6);
	put(pair[0], (const uint8_t *)kick + 4, 4, event, 6);
	assert_int_equal(
	    vhost_reader_next(&reader, pair[1], &refusal), -EPROTO);
	assert_int_equal(refusal, VHOST_BAD_FDS);
	vhost_reader_clear(&reader);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(lowest_free(), before);
	close(event);
}

static void
a_connection_that_is_passed_through_itself_still_ends(void **state)
{
	static const uint32_t call[] = { 13, 1, 8, 1, 0 };
	struct vhost_reader reader = { .have = 0 };
	int pair[2], epoll = epoll_create1(EPOLL_CLOEXEC);
	enum vhost_refusal refusal;

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	put(pair[0], call, 5, pair[0], 1);
	close(pair[0]);
	assert_int_equal(
	    vhost_reader_next(&reader, pair[1], &refusal), -EPROTO);
	assert_int_equal(refusal, VHOST_BAD_FDS);
	close(pair[1]);
	/* Nor is anything else of use but what messages carry. */
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	put(pair[0], call, sizeof(call), epoll, 1);
	vhost_reader_clear(&reader);
	assert_int_equal(
	    vhost_reader_next(&reader, pair[1], &refusal), -EPROTO);
	assert_int_equal(refusal, VHOST_BAD_FDS);
	close(pair[0]);
	close(pair[1]);
	close(epoll);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_what_is_parsed),
		cmocka_unit_test(each_request_has_one_length),
		cmocka_unit_test(unknown_requests_are_refused),
		cmocka_unit_test(
		    descriptors_must_be_as_many_as_belong_to_the_request),
		cmocka_unit_test(a_table_has_as_many_regions_as_it_says),
		cmocka_unit_test(
		    replies_carry_a_number_or_what_the_request_asks_for),
		cmocka_unit_test(every_refusal_has_a_name_of_its_own),
		cmocka_unit_test(
		    messages_in_one_piece_and_in_many_are_read_alike),
		cmocka_unit_test(a_message_that_ends_early_is_cut_off),
		cmocka_unit_test(descriptors_beyond_any_message_are_closed),
		cmocka_unit_test(
		    a_connection_that_is_passed_through_itself_still_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
