/*
 * What a DNS server may say by TCP: the answer, in pieces of any length, and
 * all that is none.
 */
#include "router/dns_stream.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"

/* "a.b", A, IN, and id 0x1234. */
static const uint8_t question[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1,
	'a', 1, 'b', 0, 0, 1, 0, 1 };

#define HEADER_BYTES 12

static struct {
	struct loop *loop;
	struct loop_watch *listening, *talking;
	int listener, fd;
	uint16_t port;
	uint8_t say[2 + 65535];
	size_t bytes, piece, said, heard;
	bool ends; /* then */
	/* What came of it. */
	unsigned int calls;
	bool answered;
	size_t answer_bytes;
} far;

static void
done(void *arg, const uint8_t *answer, size_t bytes)
{
	assert_ptr_equal(arg, &far);
	far.calls++;
	far.answered = answer != NULL;
	far.answer_bytes = bytes;
	if (answer != NULL)
		assert_memory_equal(answer, far.say + 2, bytes);
	loop_stop(far.loop);
}

/* Hears all of the question, and says a piece whenever it can. */
static void
talk(void *arg, unsigned int events)
{
	uint8_t heard[sizeof(question) + 2];
	ssize_t n;

	(void)arg;
	if (events & LOOP_READ && far.heard < sizeof(heard)) {
		n = recv(far.fd, heard, sizeof(heard), MSG_DONTWAIT);
		far.heard += n > 0 ? (size_t)n : 0;
		if (far.heard < sizeof(heard))
			return;
		loop_watch_events(far.talking, LOOP_WRITE);
	}
	if (far.said < far.bytes) {
		size_t left = far.bytes - far.said;

		n = send(far.fd, far.say + far.said,
		    left < far.piece ? left : far.piece,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		far.said += n > 0 ? (size_t)n : 0;
	} else {
		loop_watch_events(far.talking, 0);
		if (far.ends)
			shutdown(far.fd, SHUT_RDWR);
	}
}

static void
welcome(void *arg, unsigned int events)
{
	(void)arg;
	(void)events;
	far.fd = accept(far.listener, NULL, NULL);
	assert_true(far.fd >= 0);
	far.talking =
	    loop_watch_new(far.loop, far.fd, LOOP_READ, talk, NULL, NULL);
	assert_non_null(far.talking);
}

static void
start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	memset(&far, 0, sizeof(far));
	far.fd = -1;
	far.piece = sizeof(far.say);
	far.loop = loop_new(LOOP_REAL, NULL);
	far.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(far.listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(far.listener, 1), 0);
	assert_int_equal(
	    getsockname(far.listener, (struct sockaddr *)&at, &len), 0);
	far.port = ntohs(at.sin_port);
	far.listening = loop_watch_new(
	    far.loop, far.listener, LOOP_READ, welcome, NULL, NULL);
	assert_non_null(far.listening);
}

static struct dns_stream *
ask(void)
{
	return dns_stream_ask(far.loop, INADDR_LOOPBACK, far.port, question,
	    sizeof(question), done, &far);
}

static void
stop(void)
{
	loop_watch_free(far.talking);
	loop_watch_free(far.listening);
	if (far.fd >= 0)
		close(far.fd);
	close(far.listener);
	loop_free(far.loop);
}

/* The question as its answer, of bytes bytes, led by a length. */
static void
make_answer(size_t bytes, size_t led)
{
	memset(far.say, 0, sizeof(far.say));
	far.say[0] = (uint8_t)(led >> 8);
	far.say[1] = (uint8_t)led;
	memcpy(far.say + 2, question,
	    bytes < sizeof(question) ? bytes : sizeof(question));
	far.say[2 + 2] |= 0x80;
	far.bytes = 2 + bytes;
}

static void
an_answer_comes_in_pieces_of_any_length(void **state)
{
	static const struct {
		size_t bytes, piece;
	} rows[] = { { sizeof(question), 1 }, { sizeof(question), 3 },
		{ sizeof(question), 1000 }, { 300, 7 }, { 65535, 4000 },
		{ 65535, 65537 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start();
		make_answer(rows[i].bytes, rows[i].bytes);
		far.piece = rows[i].piece;
		assert_non_null(ask());
		assert_int_equal(loop_run(far.loop), 0);
		assert_int_equal(far.calls, 1);
		assert_true(far.answered);
		assert_int_equal(far.answer_bytes, rows[i].bytes);
		stop();
	}
}

static void
what_is_no_answer_is_not_taken(void **state)
{
	static const struct {
		size_t bytes, led;
		size_t at; /* of the message, where bits are changed */
		uint8_t bits;
	} rows[] = {
		{ sizeof(question), sizeof(question), 1, 1 }, /* the id */
		{ sizeof(question), sizeof(question), 2,
		    0x80 },                                    /* a question */
		{ sizeof(question), sizeof(question), 5, 3 },  /* two */
		{ sizeof(question), sizeof(question), 13, 2 }, /* its name */
		{ sizeof(question), sizeof(question), 12, 0xfe },
		{ sizeof(question), sizeof(question), 18, 2 }, /* its type */
		{ 0, 0, 0, 0 },
		{ 1, 1, 0, 0 },
		{ 11, 11, 0, 0 },
		{ HEADER_BYTES, HEADER_BYTES, 0, 0 },
		{ sizeof(question) - 1, sizeof(question) - 1, 0, 0 },
		/* What follows is not of it. */
		{ sizeof(question), sizeof(question) - 1, 0, 0 },
		/* It ends before what its length says. */
		{ sizeof(question), sizeof(question) + 1, 0, 0 },
		{ sizeof(question), 65535, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start();
		make_answer(rows[i].bytes, rows[i].led);
		far.say[2 + rows[i].at] ^= rows[i].bits;
		far.ends = true;
		assert_non_null(ask());
		assert_int_equal(loop_run(far.loop), 0);
		assert_int_equal(far.calls, 1);
		assert_false(far.answered);
		stop();
	}
}

static void
letters_of_a_name_may_have_become_small(void **state)
{
	(void)state;
	start();
	make_answer(sizeof(question), sizeof(question));
	far.say[2 + 13] = 'A';
	assert_non_null(ask());
	assert_int_equal(loop_run(far.loop), 0);
	assert_true(far.answered);
	stop();
}

static void
a_question_that_is_too_long_is_not_asked(void **state)
{
	static const uint8_t large[DNS_STREAM_BYTES + 1];

	(void)state;
	start();
	assert_null(dns_stream_ask(far.loop, INADDR_LOOPBACK, far.port, large,
	    sizeof(large), done, &far));
	stop();
}

static void
who_cancels_is_not_called(void **state)
{
	(void)state;
	start();
	dns_stream_cancel(ask());
	loop_watch_free(far.listening);
	far.listening = NULL;
	assert_int_equal(loop_run(far.loop), 0); /* nothing is left */
	assert_int_equal(far.calls, 0);
	stop();
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(an_answer_comes_in_pieces_of_any_length),
		T(what_is_no_answer_is_not_taken),
		T(letters_of_a_name_may_have_become_small),
		T(a_question_that_is_too_long_is_not_asked),
		T(who_cancels_is_not_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
