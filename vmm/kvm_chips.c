/*
 * The interrupt controllers, the 8254 and the clock, out of KVM and into it.
 *
 * KVM begins a counter of the 8254 anew when it is given one, so that the first
 * tick may come late by up to a period.  The clock is kvmclock's; a counter
 * that was loaded says so in the host's monotonic time.
 *
 * What KVM's chips do not know is left out: an 8259 that stands alone, a count
 * that waits for the end of a cycle.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "vmm/chips/chips_state.h"

#define NS_PER_S       UINT64_C(1000000000)
#define CLOCK_HAS_TIME 4u /* KVM_CLOCK_REALTIME */
#define MODE_NONE      0xffu
#define RW_WORD        3u /* of a count of two bytes; the next is the second */
#define SPEAKER_GATE   1u
#define SPEAKER_DATA   2u
#define REDIR_DELIVERY (UINT64_C(1) << 12)

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- 8259 ---- */

static void
pic_from(struct pic_chip *to, const struct kvm_pic_state *from)
{
	*to = (struct pic_chip){
		.level = from->last_irr,
		.irr = from->irr,
		.isr = from->isr,
		.imr = from->imr,
		.elcr = from->elcr,
		.vector = from->irq_base & 0xf8,
		.lowest = (from->priority_add - 1) & 7,
		.expects = (enum pic_expects)(from->init_state & 3),
		.wants_icw4 = from->init4 != 0,
		.auto_eoi = from->auto_eoi != 0,
		.rotate_on_auto_eoi = from->rotate_on_auto_eoi != 0,
		.special_mask = from->special_mask != 0,
		.special_nested = from->special_fully_nested_mode != 0,
		.read_isr = from->read_reg_select != 0,
		.poll = from->poll != 0,
	};
}

static void
pic_to(struct kvm_pic_state *to, const struct pic_chip *from, uint8_t elcr_mask)
{
	*to = (struct kvm_pic_state){
		.last_irr = from->level,
		.irr = from->irr,
		.isr = from->isr,
		.imr = from->imr,
		.elcr = from->elcr & elcr_mask,
		.elcr_mask = elcr_mask,
		.irq_base = from->vector,
		.priority_add = (from->lowest + 1) & 7,
		.init_state = (uint8_t)from->expects,
		.init4 = from->wants_icw4,
		.auto_eoi = from->auto_eoi,
		.rotate_on_auto_eoi = from->rotate_on_auto_eoi,
		.special_mask = from->special_mask,
		.special_fully_nested_mode = from->special_nested,
		.read_reg_select = from->read_isr,
		.poll = from->poll,
	};
}

/* ---- 8254 ---- */

static uint64_t
ticks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * PIT_HZ / NS_PER_S);
}

static bool
is_periodic(unsigned int mode)
{
	return mode == 2 || mode == 3;
}

/* age_ns: since the count was loaded. */
static void
counter_from(struct pit_counter *to, const struct kvm_pit_channel_state *from,
    uint64_t now_ns, uint64_t age_ns)
{
	unsigned int mode = from->mode > 5 ? 3 : from->mode;
	uint32_t most = 65536, least = is_periodic(mode) ? 2 : 1;
	uint64_t age = ticks(age_ns);

	*to = (struct pit_counter){
		.mode = (uint8_t)mode,
		.access = (enum pit_access)(from->rw_mode & 3),
		.bcd = from->bcd != 0,
		.gate = from->gate != 0,
		.count = from->count < least ? least
		    : from->count > most     ? most
					     : from->count,
		.state = PIT_COUNTING,
		.start = ticks(now_ns) - age,
		.second_read = from->read_state > RW_WORD,
		.second_write = from->write_state > RW_WORD,
		.low_written = from->write_latch,
		.latched = from->count_latched != 0,
		.status_latched = from->status_latched != 0,
		.latch = from->latched_count,
		.status = from->status,
	};
	if (from->mode > 5)
		to->state = PIT_EMPTY;
	else if (to->gate)
		return;
	else if (mode == 1 || mode == 5)
		to->state = PIT_READY;
	else {
		to->state = PIT_HELD;
		to->elapsed = age;
		to->shown = to->count;
	}
}

static uint8_t
rw_state(enum pit_access access, bool second)
{
	return access == PIT_BOTH ? (uint8_t)(RW_WORD + second)
				  : (uint8_t)access;
}

static void
counter_to(struct kvm_pit_channel_state *to, const struct pit_counter *from)
{
	bool fresh = from->state == PIT_EMPTY && from->access == PIT_NO_ACCESS;

	*to = (struct kvm_pit_channel_state){
		.count = from->has_next ? from->next : from->count,
		.latched_count = from->latch,
		.count_latched = from->latched
		    ? rw_state(from->access, from->second_read)
		    : 0,
		.status_latched = from->status_latched,
		.status = from->status,
		.read_state = rw_state(from->access, from->second_read),
		.write_state = rw_state(from->access, from->second_write),
		.write_latch = from->low_written,
		.rw_mode = (uint8_t)from->access,
		.mode = fresh ? MODE_NONE : from->mode,
		.bcd = from->bcd,
		.gate = from->gate,
	};
}

static void
pit_from(struct pit *to, const struct kvm_pit_state2 *from, uint64_t now_ns)
{
	uint64_t host_ns = clock_ns(CLOCK_MONOTONIC);

	for (unsigned int i = 0; i < PIT_COUNTERS; i++) {
		int64_t at = from->channels[i].count_load_time;
		uint64_t age_ns = at > 0 && (uint64_t)at < host_ns
		    ? host_ns - (uint64_t)at
		    : 0;

		counter_from(
		    &to->counter[i], &from->channels[i], now_ns, age_ns);
	}
	to->speaker = (uint8_t)((from->channels[2].gate ? SPEAKER_GATE : 0) |
	    (from->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON ? SPEAKER_DATA : 0));
}

static void
pit_to(struct kvm_pit_state2 *to, const struct pit *from)
{
	memset(to, 0, sizeof(*to));
	for (unsigned int i = 0; i < PIT_COUNTERS; i++)
		counter_to(&to->channels[i], &from->counter[i]);
	if (from->speaker & SPEAKER_DATA)
		to->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
}

/* ---- IOAPIC ---- */

static_assert(IOAPIC_PINS == KVM_IOAPIC_NUM_PINS, "the same pins");

static void
ioapic_from(struct chips_state *to, const struct kvm_ioapic_state *from)
{
	to->ioapic_index = (uint8_t)from->ioregsel;
	to->ioapic_id = from->id & 0xf;
	to->ioapic_level = from->irr & ((1u << IOAPIC_PINS) - 1);
	for (unsigned int i = 0; i < IOAPIC_PINS; i++)
		to->ioapic_pin[i] = from->redirtbl[i].bits & ~REDIR_DELIVERY;
}

/* Lines of edges are not what KVM would send again. */
static void
ioapic_to(struct kvm_ioapic_state *to, const struct chips_state *from)
{
	memset(to, 0, sizeof(*to));
	to->base_address = IOAPIC_ADDRESS;
	to->ioregsel = from->ioapic_index;
	to->id = from->ioapic_id;
	for (unsigned int i = 0; i < IOAPIC_PINS; i++) {
		to->redirtbl[i].bits = from->ioapic_pin[i];
		if (from->ioapic_pin[i] & IOAPIC_LEVEL)
			to->irr |= from->ioapic_level & 1u << i;
	}
}

/* ---- the whole ---- */

int
kvm_chips_get(struct engine_vm *evm, struct chips_state *state, struct err *err)
{
	struct kvm_vm *vm = kvm_of_vm(evm);
	struct kvm_irqchip chip[KVM_NR_IRQCHIPS];
	struct kvm_clock_data clock = { 0 };
	struct kvm_pit_state2 pit;
	uint64_t wall_ns;

	memset(state, 0, sizeof(*state));
	memset(chip, 0, sizeof(chip));
	for (unsigned int i = 0; i < KVM_NR_IRQCHIPS; i++) {
		chip[i].chip_id = i;
		if (ioctl(vm->fd, KVM_GET_IRQCHIP, &chip[i]) < 0)
			return err_sys(err, -errno, NULL,
			    "kvm: cannot read the interrupt controllers");
	}
	if (ioctl(vm->fd, KVM_GET_PIT2, &pit) < 0 ||
	    ioctl(vm->fd, KVM_GET_CLOCK, &clock) < 0)
		return err_sys(
		    err, -errno, NULL, "kvm: cannot read the timers");
	wall_ns = clock.flags & CLOCK_HAS_TIME ? clock.realtime
					       : clock_ns(CLOCK_REALTIME);
	state->now_ns = clock.clock;
	state->wall_ns = wall_ns - clock.clock;
	state->tsc_khz = vm->tsc_khz;
	for (unsigned int i = 0; i < 2; i++)
		pic_from(&state->pic.chip[i], &chip[i].chip.pic);
	pit_from(&state->pit, &pit, state->now_ns);
	ioapic_from(state, &chip[KVM_IRQCHIP_IOAPIC].chip.ioapic);
	return 0;
}

static int
irqchips_set(struct kvm_vm *vm, const struct chips_state *state)
{
	static const uint8_t elcr_mask[2] = { 0xf8, 0xde };
	struct kvm_irqchip chip;

	for (unsigned int i = 0; i < KVM_NR_IRQCHIPS; i++) {
		memset(&chip, 0, sizeof(chip));
		chip.chip_id = i;
		if (i == KVM_IRQCHIP_IOAPIC)
			ioapic_to(&chip.chip.ioapic, state);
		else
			pic_to(
			    &chip.chip.pic, &state->pic.chip[i], elcr_mask[i]);
		if (ioctl(vm->fd, KVM_SET_IRQCHIP, &chip) < 0)
			return -errno;
	}
	return 0;
}

int
kvm_chips_set(
    struct engine_vm *evm, const struct chips_state *state, struct err *err)
{
	struct kvm_vm *vm = kvm_of_vm(evm);
	struct kvm_clock_data clock = { .clock = state->now_ns };
	struct kvm_pit_state2 pit;
	int r;

	if (!pic_is_sane(&state->pic) ||
	    !pit_is_sane(&state->pit, state->now_ns))
		return err_set(err, -EINVAL,
		    "kvm: the state of the interrupt controllers and timers "
		    "makes no sense; use another checkpoint");
	pit_to(&pit, &state->pit);
	r = irqchips_set(vm, state);
	if (r < 0)
		return err_sys(err, r, NULL,
		    "kvm: cannot write the interrupt controllers");
	if (ioctl(vm->fd, KVM_SET_PIT2, &pit) < 0 ||
	    ioctl(vm->fd, KVM_SET_CLOCK, &clock) < 0)
		return err_sys(
		    err, -errno, NULL, "kvm: cannot write the timers");
	vm->tsc_khz_wanted = state->tsc_khz;
	return 0;
}
