#include "switch/frame_stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "switch/port.h"

static void
feed(struct frame_stream *s, const void *bytes, size_t n)
{
	size_t room;
	uint8_t *at = stream_room(s, &room);

	assert_true(n <= room);
	memcpy(at, bytes, n);
	stream_came(s, n);
}

static void
frames_come_byte_by_byte(void **state)
{
	static const uint8_t bytes[] = { 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0,
		0, 0, 0, 1, 'd' };
	struct frame_stream *s = calloc(1, sizeof(*s));
	const uint8_t *data;
	size_t len, lens[3];
	unsigned int n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		feed(s, &bytes[i], 1);
		while (stream_next(s, &data, &len) == 1)
			lens[n++] = len;
	}
	assert_int_equal(n, 3);
	assert_int_equal(lens[0], 3);
	assert_int_equal(lens[1], 0);
	assert_int_equal(lens[2], 1);
	assert_int_equal(data[0], 'd');
	free(s);
}

static void
a_length_beyond_any_frame_is_the_end(void **state)
{
	struct frame_stream *s = calloc(1, sizeof(*s));
	uint8_t head[STREAM_HEAD_BYTES];
	const uint8_t *data;
	size_t len;

	(void)state;
	stream_head(head, FRAME_MAX_BYTES);
	feed(s, head, sizeof(head));
	assert_int_equal(stream_next(s, &data, &len), 0);
	stream_clear(s);
	stream_head(head, FRAME_MAX_BYTES + 1);
	feed(s, head, sizeof(head));
	assert_int_equal(stream_next(s, &data, &len), -EPROTO);
	stream_clear(s);
	memset(head, 0xff, sizeof(head));
	feed(s, head, sizeof(head));
	assert_int_equal(stream_next(s, &data, &len), -EPROTO);
	free(s);
}

/* There is room for the rest of a frame wherever it began. */
static void
the_largest_frames_always_find_room(void **state)
{
	struct frame_stream *s = calloc(1, sizeof(*s));
	uint8_t *bytes = malloc(STREAM_HEAD_BYTES + FRAME_MAX_BYTES);
	const uint8_t *data;
	size_t at = 0, len, whole = STREAM_HEAD_BYTES + FRAME_MAX_BYTES;
	unsigned int frames = 0;

	(void)state;
	stream_head(bytes, FRAME_MAX_BYTES);
	memset(bytes + STREAM_HEAD_BYTES, 7, FRAME_MAX_BYTES);
	for (unsigned int step = 1; frames < 200; step = step * 7 % 40009) {
		size_t room;
		uint8_t *to = stream_room(s, &room);

		assert_true(room > 0);
		if (room > step)
			room = step;
		if (room > whole - at)
			room = whole - at;
		memcpy(to, bytes + at, room);
		stream_came(s, room);
		at = (at + room) % whole;
		while (stream_next(s, &data, &len) == 1) {
			assert_int_equal(len, FRAME_MAX_BYTES);
			assert_int_equal(data[len - 1], 7);
			frames++;
		}
	}
	free(bytes);
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_byte_by_byte),
		cmocka_unit_test(a_length_beyond_any_frame_is_the_end),
		cmocka_unit_test(the_largest_frames_always_find_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
