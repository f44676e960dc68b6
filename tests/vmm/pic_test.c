/*
 * The 8259 pair by scripts: what is done to it, and what it must say then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "vmm/chips/pic.h"

enum what { OUT, IN, UP, DOWN, INT, ACK };

struct step {
	enum what what;
	unsigned int at; /* port or line; INT: 0 or 1; ACK: the vector */
	uint8_t value;
};

#define STEPS(...)                            \
	(const struct step[]){ __VA_ARGS__ }, \
	    sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step)

/* As Linux does it: vectors from 0x30 and 0x38 on, all masked. */
static const struct step linux_init[] = {
	{ OUT, 0x21, 0xff },
	{ OUT, 0x20, 0x11 },
	{ OUT, 0x21, 0x30 },
	{ OUT, 0x21, 0x04 },
	{ OUT, 0x21, 0x01 },
	{ OUT, 0xa0, 0x11 },
	{ OUT, 0xa1, 0x38 },
	{ OUT, 0xa1, 0x02 },
	{ OUT, 0xa1, 0x01 },
	{ OUT, 0x21, 0xfb },
	{ OUT, 0xa1, 0xff },
};

static void
run(struct pic *pic, const struct step *step, size_t n)
{
	for (size_t i = 0; i < n; i++, step++) {
		switch (step->what) {
		case OUT: pic_write(pic, step->at, step->value); break;
		case IN:
			if (pic_read(pic, step->at) != step->value)
				fail_msg("step %zu: port 0x%x is not 0x%02x", i,
				    step->at, step->value);
			break;
		case UP: pic_line(pic, step->at, true); break;
		case DOWN: pic_line(pic, step->at, false); break;
		case INT:
			if (pic_int(pic) != (step->at == 1))
				fail_msg(
				    "step %zu: INTR is %d", i, pic_int(pic));
			break;
		case ACK: {
			unsigned int peek = pic_peek(pic);
			unsigned int vector = pic_ack(pic);

			if (vector != step->at || peek != vector)
				fail_msg("step %zu: vector 0x%02x (before: "
					 "0x%02x), not 0x%02x",
				    i, vector, peek, step->at);
			break;
		}
		}
	}
}

static int
setup(void **state)
{
	struct pic *pic = malloc(sizeof(*pic));

	pic_init(pic);
	run(pic, linux_init, sizeof(linux_init) / sizeof(linux_init[0]));
	*state = pic;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
at_first_all_is_masked(void **state)
{
	struct pic *pic = *state;

	pic_init(pic);
	for (unsigned int line = 0; line < PIC_LINES; line++)
		if (line != PIC_CASCADE)
			pic_line(pic, line, true);
	run(pic,
	    STEPS({ INT, 0, 0 }, { IN, 0x21, 0xff }, { IN, 0xa1, 0xff },
		{ IN, 0x4d0, 0 }, { IN, 0x4d1, 0x0c }));
}

/* The kernel looks for the chip by writing its mask. */
static void
mask_reads_back(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xfb }, { IN, 0x21, 0xfb }, { OUT, 0xa1, 0x5a },
		{ IN, 0xa1, 0x5a }));
}

static void
edge_is_served_once(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xee }, { UP, 4, 0 }, { INT, 1, 0 },
		{ IN, 0x20, 0x10 }, { ACK, 0x34, 0 }, { INT, 0, 0 },
		{ OUT, 0x20, 0x0b }, { IN, 0x20, 0x10 }, { OUT, 0x20, 0x0a },
		{ IN, 0x20, 0 }, { OUT, 0x20, 0x64 }, { INT, 0, 0 },
		{ UP, 4, 0 }, { INT, 0, 0 }, /* no edge: it was up */
		{ DOWN, 4, 0 }, { UP, 4, 0 }, { INT, 1, 0 }, { ACK, 0x34, 0 }));
}

static void
edge_is_kept_when_the_line_falls(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xef }, { UP, 4, 0 }, { DOWN, 4, 0 },
		{ INT, 1, 0 }, { ACK, 0x34, 0 }));
}

static void
edge_is_kept_while_masked(void **state)
{
	run(*state,
	    STEPS({ UP, 4, 0 }, { INT, 0, 0 }, { OUT, 0x21, 0xef },
		{ INT, 1, 0 }, { ACK, 0x34, 0 }));
}

static void
initialization_forgets_edges_but_not_levels(void **state)
{
	struct pic *pic = *state;

	run(pic,
	    STEPS({ UP, 4, 0 }, { OUT, 0x4d0, 0x20 }, { UP, 5, 0 },
		{ IN, 0x20, 0x30 }));
	run(pic, linux_init, sizeof(linux_init) / sizeof(linux_init[0]));
	run(pic, STEPS({ IN, 0x20, 0x20 }));
}

static void
level_is_served_again_while_it_is_up(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xfb }, { OUT, 0xa1, 0xfb }, { UP, 10, 0 },
		{ INT, 1, 0 }, { ACK, 0x3a, 0 }, { INT, 0, 0 },
		{ OUT, 0xa0, 0x62 }, { OUT, 0x20, 0x62 }, { INT, 1, 0 },
		{ ACK, 0x3a, 0 }, { DOWN, 10, 0 }, { OUT, 0xa0, 0x62 },
		{ OUT, 0x20, 0x62 }, { INT, 0, 0 }));
}

static void
level_that_went_is_no_request(void **state)
{
	run(*state,
	    STEPS({ OUT, 0xa1, 0xfb }, { UP, 10, 0 }, { INT, 1, 0 },
		{ DOWN, 10, 0 }, { INT, 0, 0 }));
}

static void
spurious_request_is_input_seven_and_not_in_service(void **state)
{
	run(*state,
	    STEPS({ ACK, 0x37, 0 }, { OUT, 0x20, 0x0b }, { IN, 0x20, 0 }));
}

/* 0 to 15, the second chip's where its cascade is. */
static void
priorities_go_from_zero_to_seven_with_the_second_chip_at_two(void **state)
{
	static const uint8_t order[] = { 0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 3,
		4, 5, 6, 7 };
	struct pic *pic = *state;

	run(pic, STEPS({ OUT, 0x21, 0 }, { OUT, 0xa1, 0 }, { OUT, 0x4d1, 0 }));
	for (unsigned int line = 15; line < 16; line--)
		if (line != PIC_CASCADE)
			pic_line(pic, line, true);
	for (unsigned int i = 0; i < sizeof(order); i++) {
		assert_true(pic_int(pic));
		assert_int_equal(pic_ack(pic), 0x30 + order[i]);
		if (order[i] >= 8)
			pic_write(pic, 0xa0, 0x60 | (order[i] - 8));
		pic_write(
		    pic, 0x20, 0x60 | (order[i] >= 8 ? PIC_CASCADE : order[i]));
	}
	assert_false(pic_int(pic));
}

static void
higher_priority_interrupts_lower_but_not_itself(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xe4 }, { UP, 3, 0 }, { ACK, 0x33, 0 },
		{ UP, 4, 0 }, { INT, 0, 0 }, { DOWN, 3, 0 }, { UP, 3, 0 },
		{ INT, 0, 0 }, { UP, 1, 0 }, { INT, 1, 0 }, { ACK, 0x31, 0 },
		{ OUT, 0x20, 0x20 }, { INT, 0, 0 }, /* ends 1, not 3 */
		{ OUT, 0x20, 0x20 }, { INT, 1, 0 }, { ACK, 0x33, 0 },
		{ OUT, 0x20, 0x20 }, { ACK, 0x34, 0 }));
}

/* While line 12 is served, 10 of the same chip cannot interrupt it unless the
 * first chip lets the cascade through. */
static void
special_fully_nested_lets_the_second_chip_nest(void **state)
{
	run(*state,
	    STEPS({ OUT, 0xa1, 0 }, { UP, 12, 0 }, { ACK, 0x3c, 0 },
		{ UP, 8, 0 }, { INT, 0, 0 }, { OUT, 0x20, 0x11 },
		{ OUT, 0x21, 0x30 }, { OUT, 0x21, 0x04 },
		{ OUT, 0x21, 0x11 }, /* SFNM */
		{ INT, 1, 0 }, { ACK, 0x38, 0 }, { UP, 9, 0 }, { INT, 0, 0 },
		{ OUT, 0xa0, 0x60 }, { INT, 1, 0 }, { ACK, 0x39, 0 }));
}

static void
special_mask_lets_lower_ones_through(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xe5 }, { UP, 1, 0 }, { ACK, 0x31, 0 },
		{ UP, 4, 0 }, { INT, 0, 0 }, { OUT, 0x20, 0x68 },
		{ INT, 0, 0 }, /* its mask is yet to be set */
		{ OUT, 0x21, 0xe7 }, { INT, 1, 0 }, { ACK, 0x34, 0 },
		{ OUT, 0x20, 0x20 }, /* ends 4: 1 is masked */
		{ OUT, 0x20, 0x0b }, { IN, 0x20, 0x02 }, { OUT, 0x20, 0x48 },
		{ OUT, 0x20, 0x20 }, { IN, 0x20, 0 }));
}

static void
automatic_eoi_leaves_nothing_in_service(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x20, 0x11 }, { OUT, 0x21, 0x30 }, { OUT, 0x21, 4 },
		{ OUT, 0x21, 3 }, { OUT, 0xa0, 0x11 }, { OUT, 0xa1, 0x38 },
		{ OUT, 0xa1, 2 }, { OUT, 0xa1, 3 }, { UP, 8, 0 }, { UP, 9, 0 },
		{ ACK, 0x38, 0 }, { INT, 1, 0 }, /* 9 is not forgotten */
		{ ACK, 0x39, 0 }, { INT, 0, 0 }, { OUT, 0x20, 0x0b },
		{ IN, 0x20, 0 }, { OUT, 0xa0, 0x0b }, { IN, 0xa0, 0 }));
}

static void
rotation_puts_the_served_one_last(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xe7 }, { UP, 3, 0 }, { UP, 4, 0 },
		{ ACK, 0x33, 0 }, { OUT, 0x20, 0xa0 }, { DOWN, 3, 0 },
		{ UP, 3, 0 }, { ACK, 0x34, 0 }, { OUT, 0x20, 0x20 },
		{ ACK, 0x33, 0 },
		/* the same by name: 5 last, so 6 is first */
		{ OUT, 0x20, 0x63 }, { OUT, 0x20, 0xc5 }, { OUT, 0x21, 0 },
		{ UP, 6, 0 }, { UP, 0, 0 }, { ACK, 0x36, 0 },
		{ OUT, 0x20, 0xe6 }, { ACK, 0x30, 0 }));
}

static void
rotation_works_with_automatic_eoi(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x20, 0x11 }, { OUT, 0x21, 0x30 }, { OUT, 0x21, 4 },
		{ OUT, 0x21, 3 }, { OUT, 0x20, 0x80 }, { UP, 3, 0 },
		{ UP, 4, 0 }, { ACK, 0x33, 0 }, { DOWN, 3, 0 }, { UP, 3, 0 },
		{ ACK, 0x34, 0 }, { ACK, 0x33, 0 }, { OUT, 0x20, 0x00 },
		{ UP, 0, 0 }, { ACK, 0x30, 0 }, { DOWN, 0, 0 }, { UP, 0, 0 },
		{ UP, 1, 0 }, { ACK, 0x30, 0 }));
}

static void
poll_acknowledges_by_a_read(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xef }, { OUT, 0x20, 0x0c }, { IN, 0x20, 0 },
		{ UP, 4, 0 }, { OUT, 0x20, 0x0c }, { IN, 0x20, 0x84 },
		{ INT, 0, 0 }, { OUT, 0x20, 0x0b }, { IN, 0x20, 0x10 }));
}

static void
edge_level_registers_keep_what_can_be_level(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x4d0, 0xff }, { IN, 0x4d0, 0xf8 },
		{ OUT, 0x4d1, 0xff }, { IN, 0x4d1, 0xde }));
}

static void
turning_a_line_that_is_up_to_level_requests_it(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x21, 0xdf }, { UP, 5, 0 }, { ACK, 0x35, 0 },
		{ OUT, 0x20, 0x20 }, { INT, 0, 0 }, { OUT, 0x4d0, 0x20 },
		{ INT, 1, 0 }, { OUT, 0x4d0, 0 }, { INT, 0, 0 }));
}

/* Special mask, rotation, reading of ISR, polling. */
static void
initialization_forgets_what_was_asked_for(void **state)
{
	struct pic *pic = *state;

	run(pic,
	    STEPS({ OUT, 0x20, 0x68 }, { OUT, 0x20, 0xc3 }, { OUT, 0x20, 0x0b },
		{ OUT, 0x20, 0x0c }));
	run(pic, linux_init, sizeof(linux_init) / sizeof(linux_init[0]));
	run(pic,
	    STEPS({ OUT, 0x21, 0 }, { UP, 1, 0 }, { IN, 0x20, 0x02 },
		{ UP, 4, 0 }, { ACK, 0x31, 0 }, { IN, 0x20, 0x10 },
		{ OUT, 0x21, 0x02 }, { INT, 0, 0 }));
}

/* Without ICW4, and alone without ICW3, the next write is a mask. */
static void
initialization_takes_as_many_words_as_it_says(void **state)
{
	run(*state,
	    STEPS({ OUT, 0x20, 0x10 }, { OUT, 0x21, 0x40 }, { OUT, 0x21, 4 },
		{ OUT, 0x21, 0xa5 }, { IN, 0x21, 0xa5 }, { OUT, 0x20, 0x12 },
		{ OUT, 0x21, 0x48 }, { OUT, 0x21, 0x5a }, { IN, 0x21, 0x5a },
		{ UP, 5, 0 }, { ACK, 0x4d, 0 }));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(at_first_all_is_masked),
		CASE(mask_reads_back),
		CASE(edge_is_served_once),
		CASE(edge_is_kept_when_the_line_falls),
		CASE(edge_is_kept_while_masked),
		CASE(initialization_forgets_edges_but_not_levels),
		CASE(level_is_served_again_while_it_is_up),
		CASE(level_that_went_is_no_request),
		CASE(spurious_request_is_input_seven_and_not_in_service),
		CASE(
		    priorities_go_from_zero_to_seven_with_the_second_chip_at_two),
		CASE(higher_priority_interrupts_lower_but_not_itself),
		CASE(special_fully_nested_lets_the_second_chip_nest),
		CASE(special_mask_lets_lower_ones_through),
		CASE(automatic_eoi_leaves_nothing_in_service),
		CASE(rotation_puts_the_served_one_last),
		CASE(rotation_works_with_automatic_eoi),
		CASE(poll_acknowledges_by_a_read),
		CASE(edge_level_registers_keep_what_can_be_level),
		CASE(turning_a_line_that_is_up_to_level_requests_it),
		CASE(initialization_forgets_what_was_asked_for),
		CASE(initialization_takes_as_many_words_as_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
