#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/outbox.h"

struct bench {
	struct outbox *outbox;
	struct node node;
	struct port near[2], far[2];
	char seen[8192]; /* first byte of each frame, in order */
	size_t n;
	int again; /* how often a frame taken causes another one */
	unsigned int depth, deepest;
};

static struct bench *bench;

static bool
add(struct bench *b, int port, char mark)
{
	struct verdict cause = { .node = &b->node,
		.reason = REASON_ROUTED,
		.entry = (uint8_t)mark };
	uint8_t *room = outbox_room(b->outbox, 60);
	struct frame frame = { .data = room, .len = 60, .head = 60 };

	if (room == NULL)
		return false;
	memset(room, mark, 60);
	return outbox_add(b->outbox, &b->near[port], &frame, &cause);
}

static void
take(struct port *port, struct burst *burst)
{
	struct bench *b = bench;

	if (++b->depth > b->deepest)
		b->deepest = b->depth;
	for (unsigned int i = 0; i < burst->n; i++) {
		const struct frame *frame = &burst->frame[i];

		assert_int_equal(frame->cause->entry, frame->data[0]);
		if (b->n < sizeof(b->seen) - 1)
			b->seen[b->n++] = (char)frame->data[0];
		node_judge(port->node, &burst->frame[i], REASON_DELIVERED);
		if (b->again > 0) {
			b->again--;
			assert_true(outbox_is_sending(b->outbox));
			add(b, 0, 'x');
			outbox_flush(b->outbox); /* does nothing here */
		}
	}
	b->depth--;
}

static const struct port_ops ops = { .take = take };

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->outbox = outbox_new();
	node_init(&b->node, "test");
	for (int i = 0; i < 2; i++) {
		port_init(&b->near[i], &ops, &b->node, "near");
		port_init(&b->far[i], &ops, &b->node, "far");
		cable_join(&b->near[i], &b->far[i]);
	}
	bench = b;
	*state = b;
	return b->outbox == NULL;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	outbox_free(b->outbox);
	free(b);
	return 0;
}

static void
frames_of_a_port_keep_their_order(void **state)
{
	struct bench *b = *state;

	add(b, 0, 'a');
	add(b, 1, '1');
	add(b, 0, 'b');
	add(b, 1, '2');
	assert_int_equal(b->n, 0); /* nothing leaves before its time */
	outbox_flush(b->outbox);
	assert_string_equal(b->seen, "ab12");
	outbox_flush(b->outbox);
	assert_int_equal(b->n, 4);
}

static void
what_frames_cause_follows_them_without_nesting(void **state)
{
	struct bench *b = *state;

	b->again = 5000;
	add(b, 0, 'a');
	add(b, 0, 'b');
	outbox_flush(b->outbox);
	assert_int_equal(b->n, 5002);
	assert_memory_equal(b->seen, "abxx", 4);
	assert_int_equal(b->deepest, 1);
	assert_false(outbox_is_sending(b->outbox));
}

static void
more_than_a_burst_leaves_in_order_and_a_full_box_says_so(void **state)
{
	struct bench *b = *state;
	unsigned int n = 0;

	while (add(b, 0, (char)('a' + n % 26)))
		n++;
	assert_int_equal(n, OUTBOX_BURSTS * BURST_MAX);
	assert_false(outbox_has_room(b->outbox, 1, 60));
	outbox_flush(b->outbox);
	assert_int_equal(b->n, n);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(b->seen[i], 'a' + i % 26);
	assert_true(outbox_has_room(b->outbox, 64, 60000));
	assert_true(add(b, 0, 'z'));
	outbox_flush(b->outbox);
}

static void
bytes_run_out_before_frames_do_if_they_are_long(void **state)
{
	struct bench *b = *state;
	unsigned int n = 0;

	while (outbox_room(b->outbox, 65536) != NULL)
		n++;
	assert_int_equal(n, OUTBOX_BYTES / 65536);
	assert_null(outbox_room(b->outbox, 1));
	outbox_flush(b->outbox);
	assert_non_null(outbox_room(b->outbox, 1));
}

static void
room_is_given_back_unless_a_frame_came_since(void **state)
{
	struct bench *b = *state;
	struct outbox_mark mark = outbox_mark(b->outbox);
	uint8_t *first = outbox_room(b->outbox, 100), *second;

	outbox_rewind(b->outbox, mark);
	second = outbox_room(b->outbox, 100);
	assert_ptr_equal(first, second);
	add(b, 0, 'a');
	outbox_rewind(b->outbox, mark);
	assert_ptr_not_equal(outbox_room(b->outbox, 100), first);
	outbox_flush(b->outbox);
	assert_string_equal(b->seen, "a");
}

static void
copies_outlive_what_they_were_copied_of(void **state)
{
	struct bench *b = *state;
	uint8_t head[300], tail[100];
	struct iovec piece = { tail, sizeof(tail) };
	struct verdict cause = {
		.node = &b->node, .reason = REASON_ROUTED, .entry = 'c'
	};
	struct frame frame = { .data = head,
		.len = 400,
		.head = 300,
		.tail = &piece,
		.ntail = 1 };

	memset(head, 'c', sizeof(head));
	memset(tail, 'd', sizeof(tail));
	assert_true(outbox_add_copy(b->outbox, &b->near[0], &frame, &cause));
	memset(head, 0, sizeof(head));
	cause.entry = 0;
	outbox_flush(b->outbox);
	assert_string_equal(b->seen, "c");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(frames_of_a_port_keep_their_order),
		T(what_frames_cause_follows_them_without_nesting),
		T(more_than_a_burst_leaves_in_order_and_a_full_box_says_so),
		T(bytes_run_out_before_frames_do_if_they_are_long),
		T(room_is_given_back_unless_a_frame_came_since),
		T(copies_outlive_what_they_were_copied_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
