#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/chips/lapic.h"

#define ID      5
#define TSC_KHZ 2000000 /* two counts a nanosecond */
#define X2(off) (LAPIC_MSR_X2 + ((off) >> 4))

struct rig {
	struct lapic l;
	struct apic_message sent;
	enum lapic_shorthand to;
	unsigned int nsent, neoi, nnmi;
	uint8_t ended;
	uint64_t now_ns;
};

static void
note_send(void *arg, struct lapic *from, const struct apic_message *message,
    enum lapic_shorthand to)
{
	struct rig *rig = arg;

	assert_ptr_equal(from, &rig->l);
	rig->sent = *message;
	rig->to = to;
	rig->nsent++;
}

static void
note_eoi(void *arg, uint8_t vector)
{
	struct rig *rig = arg;

	rig->ended = vector;
	rig->neoi++;
}

static void
note_nmi(void *arg, struct lapic *to)
{
	struct rig *rig = arg;

	assert_ptr_equal(to, &rig->l);
	rig->nnmi++;
}

static const struct lapic_ops ops = { note_send, note_eoi, note_nmi };

static uint32_t
in(struct rig *rig, uint32_t offset)
{
	return lapic_read(&rig->l, offset, rig->now_ns);
}

static void
out(struct rig *rig, uint32_t offset, uint32_t value)
{
	lapic_write(&rig->l, offset, value, rig->now_ns);
}

static void
lvt(struct rig *rig, enum lapic_lvt which, uint32_t value)
{
	out(rig, LAPIC_LVT + 0x10 * which, value);
}

static bool
wr(struct rig *rig, uint32_t index, uint64_t value)
{
	return lapic_msr_write(&rig->l, index, value, rig->now_ns);
}

static uint64_t
rd(struct rig *rig, uint32_t index)
{
	uint64_t value = 0;

	assert_true(lapic_msr_read(&rig->l, index, &value, rig->now_ns));
	return value;
}

static bool
readable(struct rig *rig, uint32_t index)
{
	uint64_t value;

	return lapic_msr_read(&rig->l, index, &value, rig->now_ns);
}

static void
to_x2(struct rig *rig)
{
	assert_true(wr(rig, LAPIC_MSR_BASE,
	    LAPIC_ADDRESS | LAPIC_BASE_ENABLE | LAPIC_BASE_X2));
}

/* What the CPU does when it is interrupted; -1: it is not. */
static int
serve(struct rig *rig)
{
	int vector = lapic_pending(&rig->l);

	if (vector >= 0)
		lapic_take(&rig->l, (uint8_t)vector);
	return vector;
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	lapic_init(&rig->l, ID, TSC_KHZ, &ops, rig);
	out(rig, LAPIC_SVR, LAPIC_SVR_ENABLE | 0xff);
	rig->now_ns = 1000;
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

/* ---- what it is ---- */

static void
after_reset_it_is_off_but_there(void **state)
{
	struct rig *rig = *state;

	lapic_init(&rig->l, ID, TSC_KHZ, &ops, rig);
	assert_int_equal(in(rig, LAPIC_ID), ID << 24);
	assert_int_equal(in(rig, LAPIC_VERSION), 0x00050014);
	assert_int_equal(in(rig, LAPIC_SVR), 0xff);
	assert_int_equal(in(rig, LAPIC_DFR), 0xffffffff);
	for (unsigned int i = 0; i < LAPIC_LVTS; i++)
		assert_int_equal(in(rig, LAPIC_LVT + 0x10 * i), 0x10000);
	assert_int_equal(rd(rig, LAPIC_MSR_BASE), 0xfee00800);
	assert_false(lapic_accept(&rig->l, 0x40, false));
	assert_false(lapic_extint(&rig->l));
}

static void
boot_cpu_begins_with_the_8259_on_lint0(void **state)
{
	struct rig *rig = *state;

	lapic_init(&rig->l, 0, TSC_KHZ, &ops, rig);
	assert_int_equal(rd(rig, LAPIC_MSR_BASE), 0xfee00900);
	assert_true(lapic_extint(&rig->l));
	assert_int_equal(in(rig, LAPIC_LVT + 0x30), 0x700);
	out(rig, LAPIC_SVR, 0x1ff);
	assert_true(lapic_extint(&rig->l));
	lvt(rig, LAPIC_LVT_LINT0, 0x10700);
	assert_false(lapic_extint(&rig->l));
}

static void
switched_off_by_software_masks_the_vector_table(void **state)
{
	struct rig *rig = *state;

	lvt(rig, LAPIC_LVT_TIMER, 0x40);
	out(rig, LAPIC_SVR, 0xff);
	assert_int_equal(in(rig, LAPIC_LVT), 0x10040);
	lvt(rig, LAPIC_LVT_TIMER, 0x41);
	assert_int_equal(in(rig, LAPIC_LVT), 0x10041);
	assert_false(lapic_accept(&rig->l, 0x40, false));
}

static void
switched_off_by_the_base_register_it_is_gone(void **state)
{
	struct rig *rig = *state;

	assert_true(lapic_has_page(&rig->l));
	assert_true(lapic_accept(&rig->l, 0x40, false));
	assert_true(wr(rig, LAPIC_MSR_BASE, LAPIC_ADDRESS));
	assert_false(lapic_has_page(&rig->l) || lapic_is_on(&rig->l));
	assert_int_equal(lapic_pending(&rig->l), -1);
	assert_true(wr(rig, LAPIC_MSR_BASE, LAPIC_ADDRESS | LAPIC_BASE_ENABLE));
	assert_int_equal(in(rig, LAPIC_SVR), 0xff); /* as after power-up */
	assert_int_equal(in(rig, LAPIC_IRR + 0x20), 0);
}

static void
page_can_be_moved(void **state)
{
	struct rig *rig = *state;

	assert_true(wr(rig, LAPIC_MSR_BASE, 0xd0000000 | LAPIC_BASE_ENABLE));
	assert_int_equal(lapic_page(&rig->l), 0xd0000000);
}

/* From each of off, page, x2APIC to each, and what else is refused. */
static void
base_register_allows_the_manuals_moves_only(void **state)
{
	const uint64_t mode[] = { 0, LAPIC_BASE_ENABLE,
		LAPIC_BASE_ENABLE | LAPIC_BASE_X2, LAPIC_BASE_X2 };
	static const bool may[3][4] = {
		{ true, true, false, false },
		{ true, true, true, false },
		{ true, false, true, false },
	};
	struct rig *rig = *state;

	for (unsigned int from = 0; from < 3; from++)
		for (unsigned int to = 0; to < 4; to++) {
			lapic_init(&rig->l, ID, TSC_KHZ, &ops, rig);
			if (from == 0)
				assert_true(wr(rig, LAPIC_MSR_BASE, 0));
			if (from == 2)
				to_x2(rig);
			assert_int_equal(
			    wr(rig, LAPIC_MSR_BASE, LAPIC_ADDRESS | mode[to]),
			    may[from][to]);
		}
	lapic_init(&rig->l, ID, TSC_KHZ, &ops, rig);
	assert_false(
	    wr(rig, LAPIC_MSR_BASE, LAPIC_ADDRESS | LAPIC_BASE_ENABLE | 1));
	assert_false(
	    wr(rig, LAPIC_MSR_BASE, (UINT64_C(1) << 40) | LAPIC_BASE_ENABLE));
	/* Who is the boot CPU is not the guest's to say. */
	assert_true(wr(rig, LAPIC_MSR_BASE,
	    LAPIC_ADDRESS | LAPIC_BASE_ENABLE | LAPIC_BASE_BSP));
	assert_int_equal(rd(rig, LAPIC_MSR_BASE), 0xfee00800);
}

/* ---- priorities ---- */

static void
highest_vector_comes_first(void **state)
{
	static const uint8_t vectors[] = { 0x31, 0xff, 0x80, 0x10, 0xef };
	static const int order[] = { 0xff, 0xef, 0x80, 0x31, 0x10, -1 };
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 5; i++)
		assert_true(lapic_accept(&rig->l, vectors[i], false));
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(serve(rig), order[i]);
		out(rig, LAPIC_EOI, 0);
	}
}

static void
only_a_higher_class_interrupts_what_is_served(void **state)
{
	struct rig *rig = *state;

	lapic_accept(&rig->l, 0x51, false);
	assert_int_equal(serve(rig), 0x51);
	assert_int_equal(in(rig, LAPIC_ISR + 0x20), 1u << 0x11);
	assert_int_equal(in(rig, LAPIC_IRR + 0x20), 0);
	assert_int_equal(in(rig, LAPIC_PPR), 0x50);
	lapic_accept(&rig->l, 0x5f, false);
	lapic_accept(&rig->l, 0x4f, false);
	assert_int_equal(serve(rig), -1);
	lapic_accept(&rig->l, 0x60, false);
	assert_int_equal(serve(rig), 0x60);
	out(rig, LAPIC_EOI, 0); /* of 60 */
	assert_int_equal(serve(rig), -1);
	out(rig, LAPIC_EOI, 0); /* of 51 */
	assert_int_equal(serve(rig), 0x5f);
}

/* tpr, what waits, what is taken */
static void
task_priority_holds_back_its_class_and_below(void **state)
{
	static const struct {
		uint8_t tpr, waits;
		bool taken;
		uint8_t ppr;
	} cases[] = {
		{ 0x00, 0x10, true, 0x00 },
		{ 0x10, 0x1f, false, 0x10 },
		{ 0x1f, 0x20, true, 0x1f },
		{ 0xef, 0xe0, false, 0xef },
		{ 0xe0, 0xf0, true, 0xe0 },
		{ 0xf0, 0xff, false, 0xf0 },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		free(rig);
		rig = *state;
		out(rig, LAPIC_TPR, cases[i].tpr);
		lapic_accept(&rig->l, cases[i].waits, false);
		assert_int_equal(in(rig, LAPIC_PPR), cases[i].ppr);
		assert_int_equal(lapic_pending(&rig->l) >= 0, cases[i].taken);
	}
}

static void
cr8_is_the_task_prioritys_upper_half(void **state)
{
	struct rig *rig = *state;

	out(rig, LAPIC_TPR, 0x57);
	assert_int_equal(lapic_cr8(&rig->l), 5);
	lapic_set_cr8(&rig->l, 0xe);
	assert_int_equal(in(rig, LAPIC_TPR), 0xe0);
}

static void
eoi_of_a_level_interrupt_is_told(void **state)
{
	struct rig *rig = *state;

	lapic_accept(&rig->l, 0x40, true);
	lapic_accept(&rig->l, 0x50, false);
	assert_int_equal(in(rig, LAPIC_TMR + 0x20), 1);
	assert_int_equal(serve(rig), 0x50);
	out(rig, LAPIC_EOI, 0);
	assert_int_equal(rig->neoi, 0);
	assert_int_equal(serve(rig), 0x40);
	out(rig, LAPIC_EOI, 0);
	assert_int_equal(rig->neoi, 1);
	assert_int_equal(rig->ended, 0x40);
	out(rig, LAPIC_EOI, 0); /* nothing is served */
	assert_int_equal(rig->neoi, 1);
	lapic_accept(&rig->l, 0x40, false); /* an edge the next time */
	assert_int_equal(in(rig, LAPIC_TMR + 0x20), 0);
}

/* A vector of each word: waiting, in service, level-triggered. */
static void
each_word_of_the_sets_is_where_it_belongs(void **state)
{
	for (unsigned int word = 0; word < 8; word++) {
		uint8_t vector = (uint8_t)(32 * word + 16 + word);
		uint32_t bit = 1u << (16 + word), at = 0x10 * word;
		struct rig *rig = *state;

		lapic_accept(&rig->l, vector, true);
		for (unsigned int i = 0; i < 8; i++) {
			uint32_t expected = i == word ? bit : 0;

			assert_int_equal(
			    in(rig, LAPIC_IRR + 0x10 * i), expected);
			assert_int_equal(
			    in(rig, LAPIC_TMR + 0x10 * i), expected);
			assert_int_equal(in(rig, LAPIC_ISR + 0x10 * i), 0);
		}
		assert_int_equal(serve(rig), vector);
		assert_int_equal(in(rig, LAPIC_ISR + at), bit);
		assert_int_equal(in(rig, LAPIC_IRR + at), 0);
		out(rig, LAPIC_EOI, 0);
		lapic_accept(&rig->l, vector, false); /* clears TMR */
		serve(rig);
		out(rig, LAPIC_EOI, 0);
	}
}

/* ---- errors ---- */

static void
vectors_below_sixteen_are_errors(void **state)
{
	struct rig *rig = *state;

	lvt(rig, LAPIC_LVT_ERROR, 0xfe);
	for (unsigned int v = 0; v < 16; v++)
		assert_false(lapic_accept(&rig->l, (uint8_t)v, false));
	assert_int_equal(in(rig, LAPIC_IRR), 0);
	assert_int_equal(serve(rig), 0xfe);
	out(rig, LAPIC_EOI, 0);
	assert_int_equal(rig->neoi, 0);          /* an edge */
	assert_int_equal(in(rig, LAPIC_ESR), 0); /* until it is written */
	out(rig, LAPIC_ESR, 0);
	assert_int_equal(in(rig, LAPIC_ESR), LAPIC_ERR_RECEIVE);
	out(rig, LAPIC_ESR, 0);
	assert_int_equal(in(rig, LAPIC_ESR), 0);
}

static void
sending_a_vector_below_sixteen_is_an_error_and_sends_nothing(void **state)
{
	struct rig *rig = *state;

	out(rig, LAPIC_ICR, 0x0f);
	assert_int_equal(rig->nsent, 0);
	out(rig, LAPIC_ESR, 0);
	assert_int_equal(in(rig, LAPIC_ESR), LAPIC_ERR_SEND);
}

static void
error_vector_that_is_itself_one_does_not_recurse(void **state)
{
	struct rig *rig = *state;

	lvt(rig, LAPIC_LVT_ERROR, 0x0f);
	lapic_accept(&rig->l, 3, false);
	assert_int_equal(lapic_pending(&rig->l), -1);
}

static void
unknown_registers_of_the_page_are_errors(void **state)
{
	static const uint32_t unknown[] = { 0x000, 0x010, 0x0c0, 0x290, 0x2f0,
		0x3a0, 0x3f0, 0x400, 0xff0 };
	struct rig *rig = *state;

	for (unsigned int i = 0; i < sizeof(unknown) / sizeof(unknown[0]);
	     i++) {
		assert_int_equal(in(rig, unknown[i]), 0);
		out(rig, LAPIC_ESR, 0);
		assert_int_equal(in(rig, LAPIC_ESR), LAPIC_ERR_ADDRESS);
		out(rig, unknown[i], 0xffffffff);
		out(rig, LAPIC_ESR, 0);
		assert_int_equal(in(rig, LAPIC_ESR), LAPIC_ERR_ADDRESS);
	}
	assert_int_equal(rig->nsent, 0);
}

/* ---- messages ---- */

static void
icr_says_what_is_sent_and_to_whom(void **state)
{
	static const struct {
		uint32_t high, low;
		bool sent;
		enum apic_mode mode;
		enum lapic_shorthand to;
	} cases[] = {
		{ 1u << 24, 0x00040, true, APIC_FIXED, LAPIC_TO_DESTINATION },
		{ 1u << 24, 0x00140, true, APIC_LOWEST, LAPIC_TO_DESTINATION },
		{ 1u << 24, 0x00440, true, APIC_NMI, LAPIC_TO_DESTINATION },
		{ 1u << 24, 0x0c500, true, APIC_INIT, LAPIC_TO_DESTINATION },
		{ 1u << 24, 0x08500, false, 0, 0 }, /* its end */
		{ 1u << 24, 0x00699, true, APIC_SIPI, LAPIC_TO_DESTINATION },
		{ 1u << 24, 0x00240, false, 0, 0 }, /* SMI */
		{ 1u << 24, 0x00340, false, 0, 0 },
		{ 1u << 24, 0x00740, false, 0, 0 }, /* ExtINT */
		{ 0, 0x40040, true, APIC_FIXED, LAPIC_TO_SELF },
		{ 0, 0x80040, true, APIC_FIXED, LAPIC_TO_ALL },
		{ 0, 0xc0040, true, APIC_FIXED, LAPIC_TO_OTHERS },
		{ 0, 0xc0400, true, APIC_NMI, LAPIC_TO_OTHERS },
		{ 0, 0xcc500, true, APIC_INIT, LAPIC_TO_OTHERS },
		{ 0, 0xc0699, true, APIC_SIPI, LAPIC_TO_OTHERS },
		{ 0, 0x40400, false, 0, 0 }, /* not to oneself */
		{ 0, 0x4c500, false, 0, 0 },
		{ 0, 0x80699, false, 0, 0 },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig->nsent = 0;
		out(rig, LAPIC_ICR_HIGH, cases[i].high);
		out(rig, LAPIC_ICR, cases[i].low);
		assert_int_equal(rig->nsent, cases[i].sent);
		if (!cases[i].sent)
			continue;
		assert_int_equal(rig->sent.mode, cases[i].mode);
		assert_int_equal(rig->to, cases[i].to);
		assert_int_equal(rig->sent.vector, cases[i].low & 0xff);
		assert_int_equal(rig->sent.destination, cases[i].high >> 24);
		assert_false(rig->sent.wide || rig->sent.level);
	}
	/* Delivered at once: never "pending". */
	assert_int_equal(in(rig, LAPIC_ICR) & 1u << 12, 0);
}

/* ldr and dfr, a logical destination, and is it meant? */
static void
logical_destinations_are_flat_or_in_clusters(void **state)
{
	static const struct {
		uint32_t ldr, dfr, destination;
		bool meant;
	} cases[] = {
		{ 0x01000000, 0xffffffff, 0x01, true },
		{ 0x01000000, 0xffffffff, 0x03, true },
		{ 0x01000000, 0xffffffff, 0x02, false },
		{ 0x00000000, 0xffffffff, 0xfe, false },
		{ 0x00000000, 0xffffffff, 0xff, true }, /* all */
		{ 0x21000000, 0x0fffffff, 0x21, true },
		{ 0x21000000, 0x0fffffff, 0x2f, true },
		{ 0x21000000, 0x0fffffff, 0x22, false },
		{ 0x21000000, 0x0fffffff, 0x31, false },
		{ 0x21000000, 0x7fffffff, 0x21, false }, /* no such model */
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct apic_message m = { .logical = true,
			.destination = cases[i].destination };

		out(rig, LAPIC_LDR, cases[i].ldr);
		out(rig, LAPIC_DFR, cases[i].dfr);
		assert_int_equal(lapic_is_meant(&rig->l, &m), cases[i].meant);
	}
}

static void
physical_destinations_are_the_id_or_all(void **state)
{
	static const struct {
		uint32_t destination;
		bool wide, meant;
	} cases[] = {
		{ ID, false, true },
		{ ID + 1, false, false },
		{ 0xff, false, true },
		{ 0xff, true, false },
		{ ID, true, true },
		{ 0xffffffff, true, true },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct apic_message m = { .wide = cases[i].wide,
			.destination = cases[i].destination };

		assert_int_equal(lapic_is_meant(&rig->l, &m), cases[i].meant);
	}
}

static void
lint0_gives_its_vector_or_an_nmi_on_the_edge(void **state)
{
	struct rig *rig = *state;

	lvt(rig, LAPIC_LVT_LINT0, 0x77);
	lapic_lint0(&rig->l, true);
	lapic_lint0(&rig->l, true);
	assert_int_equal(serve(rig), 0x77);
	out(rig, LAPIC_EOI, 0);
	assert_int_equal(serve(rig), -1);
	lapic_lint0(&rig->l, false);
	lvt(rig, LAPIC_LVT_LINT0, 0x400);
	lapic_lint0(&rig->l, true);
	assert_int_equal(rig->nnmi, 1);
	lapic_lint0(&rig->l, false);
	lvt(rig, LAPIC_LVT_LINT0, 0x10077);
	lapic_lint0(&rig->l, true);
	assert_int_equal(serve(rig), -1);
}

/* ---- the timer ---- */

static void
one_shot_counts_down_by_the_divider(void **state)
{
	static const struct {
		uint32_t code;
		unsigned int by;
	} dividers[] = { { 0xb, 1 }, { 0x0, 2 }, { 0x1, 4 }, { 0x2, 8 },
		{ 0x3, 16 }, { 0x8, 32 }, { 0x9, 64 }, { 0xa, 128 } };
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 8; i++) {
		uint64_t start_ns = rig->now_ns;
		unsigned int by = dividers[i].by;

		out(rig, LAPIC_TIMER_DIVIDE, dividers[i].code);
		lvt(rig, LAPIC_LVT_TIMER, 0x40);
		out(rig, LAPIC_TIMER_INITIAL, 1000);
		assert_int_equal(in(rig, LAPIC_TIMER_CURRENT), 1000);
		assert_int_equal(lapic_next_ns(&rig->l), start_ns + 1000 * by);
		rig->now_ns = start_ns + 400 * by;
		assert_int_equal(in(rig, LAPIC_TIMER_CURRENT), 600);
		assert_int_equal(serve(rig), -1);
		rig->now_ns = start_ns + 1000 * by;
		lapic_advance(&rig->l, rig->now_ns);
		assert_int_equal(serve(rig), 0x40);
		out(rig, LAPIC_EOI, 0);
		assert_int_equal(in(rig, LAPIC_TIMER_CURRENT), 0);
		assert_true(lapic_next_ns(&rig->l) == LAPIC_NEVER);
	}
}

static void
periodic_timer_keeps_its_rhythm(void **state)
{
	struct rig *rig = *state;

	out(rig, LAPIC_TIMER_DIVIDE, 0xb);
	lvt(rig, LAPIC_LVT_TIMER, LAPIC_LVT_PERIODIC | 0x40);
	out(rig, LAPIC_TIMER_INITIAL, 1000); /* at instant 1,000 */
	lapic_advance(&rig->l, 2003);        /* late */
	assert_int_equal(serve(rig), 0x40);
	out(rig, LAPIC_EOI, 0);
	assert_int_equal(lapic_next_ns(&rig->l), 3000);
	lapic_advance(&rig->l, 7500); /* several missed: one interrupt */
	assert_int_equal(serve(rig), 0x40);
	rig->now_ns = 7500;
	out(rig, LAPIC_EOI, 0);
	assert_int_equal(serve(rig), -1);
	assert_int_equal(lapic_next_ns(&rig->l), 8000);
	assert_int_equal(in(rig, LAPIC_TIMER_CURRENT), 500);
	out(rig, LAPIC_TIMER_INITIAL, 0);
	assert_true(lapic_next_ns(&rig->l) == LAPIC_NEVER);
}

static void
masked_timer_counts_but_is_not_waited_for(void **state)
{
	struct rig *rig = *state;

	out(rig, LAPIC_TIMER_DIVIDE, 0xb);
	lvt(rig, LAPIC_LVT_TIMER, LAPIC_LVT_MASKED | 0x40);
	out(rig, LAPIC_TIMER_INITIAL, 1000);
	assert_true(lapic_next_ns(&rig->l) == LAPIC_NEVER);
	rig->now_ns += 400;
	assert_int_equal(in(rig, LAPIC_TIMER_CURRENT), 600);
	rig->now_ns += 5000;
	lvt(rig, LAPIC_LVT_TIMER, 0x40); /* it expired unheard */
	lapic_advance(&rig->l, rig->now_ns);
	assert_int_equal(serve(rig), -1);
	assert_int_equal(in(rig, LAPIC_TIMER_CURRENT), 0);
}

static void
new_divider_keeps_what_is_left_to_count(void **state)
{
	struct rig *rig = *state;

	out(rig, LAPIC_TIMER_DIVIDE, 0xb);
	lvt(rig, LAPIC_LVT_TIMER, 0x40);
	out(rig, LAPIC_TIMER_INITIAL, 1000);
	rig->now_ns += 200;
	out(rig, LAPIC_TIMER_DIVIDE, 0x0);
	assert_int_equal(in(rig, LAPIC_TIMER_CURRENT), 800);
	assert_int_equal(lapic_next_ns(&rig->l), rig->now_ns + 1600);
}

static void
deadline_fires_at_its_tsc_and_disarms(void **state)
{
	struct rig *rig = *state;

	assert_true(wr(rig, LAPIC_MSR_DEADLINE, 9000)); /* not in this mode */
	assert_int_equal(rd(rig, LAPIC_MSR_DEADLINE), 0);
	lvt(rig, LAPIC_LVT_TIMER, LAPIC_LVT_DEADLINE | 0x40);
	out(rig, LAPIC_TIMER_INITIAL, 77);
	assert_int_equal(in(rig, LAPIC_TIMER_INITIAL), 0);
	assert_true(wr(rig, LAPIC_MSR_DEADLINE, 9001));
	assert_int_equal(rd(rig, LAPIC_MSR_DEADLINE), 9001);
	assert_int_equal(in(rig, LAPIC_TIMER_CURRENT), 0);
	assert_int_equal(lapic_next_ns(&rig->l), 4501); /* not before it */
	rig->now_ns = 4501;
	lapic_advance(&rig->l, rig->now_ns);
	assert_int_equal(serve(rig), 0x40);
	assert_int_equal(rd(rig, LAPIC_MSR_DEADLINE), 0);
	assert_true(wr(rig, LAPIC_MSR_DEADLINE, 20000));
	assert_true(wr(rig, LAPIC_MSR_DEADLINE, 0));
	assert_true(lapic_next_ns(&rig->l) == LAPIC_NEVER);
	assert_true(wr(rig, LAPIC_MSR_DEADLINE, UINT64_MAX));
	assert_true(lapic_next_ns(&rig->l) > UINT64_C(1) << 62);
	lvt(rig, LAPIC_LVT_TIMER, 0x40); /* leaving the mode disarms */
	assert_true(lapic_next_ns(&rig->l) == LAPIC_NEVER);
}

static void
deadline_in_the_past_is_now(void **state)
{
	struct rig *rig = *state;

	lvt(rig, LAPIC_LVT_TIMER, LAPIC_LVT_DEADLINE | 0x40);
	assert_true(wr(rig, LAPIC_MSR_DEADLINE, 1));
	lapic_advance(&rig->l, rig->now_ns);
	assert_int_equal(serve(rig), 0x40);
}

/* ---- x2APIC ---- */

static void
x2apic_has_no_page_and_the_page_no_msrs(void **state)
{
	struct rig *rig = *state;

	assert_false(readable(rig, X2(LAPIC_ID)));
	assert_false(wr(rig, X2(LAPIC_EOI), 0));
	to_x2(rig);
	assert_false(lapic_has_page(&rig->l));
	assert_int_equal(rd(rig, X2(LAPIC_ID)), ID);
	assert_int_equal(rd(rig, X2(LAPIC_LDR)), 1u << ID);
	assert_int_equal(rd(rig, X2(LAPIC_VERSION)), 0x00050014);
}

/* Each of the 256, as the manual's table 11-6 has it. */
static void
x2apic_faults_where_it_must(void **state)
{
	struct rig *rig = *state;
	static const struct {
		uint32_t first, last;
		bool read, write;
	} there[] = {
		{ 0x802, 0x803, true, false },
		{ 0x808, 0x808, true, true },
		{ 0x80a, 0x80a, true, false },
		{ 0x80b, 0x80b, false, true },
		{ 0x80d, 0x80d, true, false },
		{ 0x80f, 0x80f, true, true },
		{ 0x810, 0x827, true, false },
		{ 0x828, 0x828, true, true },
		{ 0x830, 0x830, true, true },
		{ 0x832, 0x838, true, true },
		{ 0x839, 0x839, true, false },
		{ 0x83e, 0x83e, true, true },
		{ 0x83f, 0x83f, false, true },
	};

	to_x2(rig);
	for (uint32_t index = LAPIC_MSR_X2; index <= LAPIC_MSR_X2_END;
	     index++) {
		bool read = false, write = false;

		for (unsigned int i = 0; i < sizeof(there) / sizeof(there[0]);
		     i++)
			if (index >= there[i].first && index <= there[i].last) {
				read = there[i].read;
				write = there[i].write;
			}
		assert_int_equal(readable(rig, index), read);
		assert_int_equal(wr(rig, index, 0), write);
		if (index != X2(LAPIC_ICR)) /* nothing is that wide */
			assert_false(wr(rig, index, UINT64_C(1) << 32));
	}
}

static void
x2apic_refuses_reserved_bits(void **state)
{
	static const struct {
		uint32_t offset;
		uint64_t value;
	} bad[] = {
		{ LAPIC_TPR, 0x100 },
		{ LAPIC_EOI, 1 },
		{ LAPIC_ESR, 1 },
		{ LAPIC_SVR, 0x1000 },
		{ LAPIC_ICR, 1u << 13 },
		{ LAPIC_ICR, 1u << 20 },
		{ LAPIC_LVT, 1u << 19 },
		{ LAPIC_LVT, 0x100 },
		{ LAPIC_TIMER_DIVIDE, 4 },
		{ LAPIC_SELF_IPI, 0x100 },
	};
	struct rig *rig = *state;

	to_x2(rig);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(wr(rig, X2(bad[i].offset), bad[i].value));
	assert_int_equal(rig->nsent, 0);
}

static void
x2apic_sends_in_one_write_of_64_bits(void **state)
{
	struct rig *rig = *state;

	to_x2(rig);
	assert_true(wr(rig, X2(LAPIC_ICR), UINT64_C(0x00010002) << 32 | 0x840));
	assert_int_equal(rig->sent.destination, 0x00010002);
	assert_true(rig->sent.wide && rig->sent.logical);
	assert_int_equal(rig->sent.vector, 0x40);
	assert_int_equal(
	    rd(rig, X2(LAPIC_ICR)), UINT64_C(0x00010002) << 32 | 0x840);
}

static void
x2apic_sends_to_itself_by_a_register(void **state)
{
	struct rig *rig = *state;

	to_x2(rig);
	assert_true(wr(rig, X2(LAPIC_SELF_IPI), 0x66));
	assert_int_equal(serve(rig), 0x66);
	assert_int_equal(rd(rig, X2(LAPIC_ISR) + 3), 1u << 6);
	assert_true(wr(rig, X2(LAPIC_EOI), 0));
	assert_int_equal(rig->neoi, 0);
	assert_true(wr(rig, X2(LAPIC_SELF_IPI), 5));
	assert_int_equal(serve(rig), -1);
	assert_true(wr(rig, X2(LAPIC_ESR), 0));
	assert_int_equal(rd(rig, X2(LAPIC_ESR)), LAPIC_ERR_SEND);
}

static void
x2apic_clusters_are_sixteen_wide(void **state)
{
	static const struct {
		unsigned int id;
		uint32_t destination;
		bool meant;
	} cases[] = {
		{ 0, 0x00000001, true },
		{ 15, 0x00008000, true },
		{ 16, 0x00010001, true },
		{ 16, 0x00000001, false },
		{ 37, 0x0002ffff, true },
		{ 37, 0x00020010, false },
		{ 37, 0xffffffff, true },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct apic_message m = { .wide = true,
			.logical = true,
			.destination = cases[i].destination };

		lapic_init(&rig->l, cases[i].id, TSC_KHZ, &ops, rig);
		to_x2(rig);
		assert_int_equal(lapic_is_meant(&rig->l, &m), cases[i].meant);
	}
}

static void
init_resets_all_but_mode_and_id(void **state)
{
	struct rig *rig = *state;

	to_x2(rig);
	assert_true(wr(rig, X2(LAPIC_TPR), 0x40));
	lapic_accept(&rig->l, 0x80, true);
	lapic_reset(&rig->l);
	assert_int_equal(rd(rig, X2(LAPIC_TPR)), 0);
	assert_int_equal(rd(rig, X2(LAPIC_IRR) + 4), 0);
	assert_int_equal(rd(rig, X2(LAPIC_ID)), ID);
	assert_int_equal(rd(rig, X2(LAPIC_LDR)), 1u << ID);
	assert_int_equal(rd(rig, X2(LAPIC_LVT) + 3), 0x10000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(after_reset_it_is_off_but_there),
		CASE(boot_cpu_begins_with_the_8259_on_lint0),
		CASE(switched_off_by_software_masks_the_vector_table),
		CASE(switched_off_by_the_base_register_it_is_gone),
		CASE(page_can_be_moved),
		CASE(base_register_allows_the_manuals_moves_only),
		CASE(highest_vector_comes_first),
		CASE(only_a_higher_class_interrupts_what_is_served),
		CASE(task_priority_holds_back_its_class_and_below),
		CASE(cr8_is_the_task_prioritys_upper_half),
		CASE(eoi_of_a_level_interrupt_is_told),
		CASE(each_word_of_the_sets_is_where_it_belongs),
		CASE(vectors_below_sixteen_are_errors),
		CASE(
		    sending_a_vector_below_sixteen_is_an_error_and_sends_nothing),
		CASE(error_vector_that_is_itself_one_does_not_recurse),
		CASE(unknown_registers_of_the_page_are_errors),
		CASE(icr_says_what_is_sent_and_to_whom),
		CASE(logical_destinations_are_flat_or_in_clusters),
		CASE(physical_destinations_are_the_id_or_all),
		CASE(lint0_gives_its_vector_or_an_nmi_on_the_edge),
		CASE(one_shot_counts_down_by_the_divider),
		CASE(periodic_timer_keeps_its_rhythm),
		CASE(masked_timer_counts_but_is_not_waited_for),
		CASE(new_divider_keeps_what_is_left_to_count),
		CASE(deadline_fires_at_its_tsc_and_disarms),
		CASE(deadline_in_the_past_is_now),
		CASE(x2apic_has_no_page_and_the_page_no_msrs),
		CASE(x2apic_faults_where_it_must),
		CASE(x2apic_refuses_reserved_bits),
		CASE(x2apic_sends_in_one_write_of_64_bits),
		CASE(x2apic_sends_to_itself_by_a_register),
		CASE(x2apic_clusters_are_sixteen_wide),
		CASE(init_resets_all_but_mode_and_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
