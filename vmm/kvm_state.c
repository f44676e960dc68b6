/*
 * A CPU's state, out of KVM and into it.
 *
 * Order matters when writing: the control registers and the APIC's base before
 * the APIC's page, the page before the TSC deadline, and pending events last.
 *
 * What an MSR list holds differs from host to host: those that KVM does not
 * know are left out of msr_valid, and state_set() writes the valid ones alone.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/chips/lapic.h"
#include "vmm/le.h"

static_assert(sizeof(struct kvm_xsave) >= CPU_XSAVE_BYTES, "XSAVE area");
static_assert(sizeof(struct kvm_lapic_state) == CPU_APIC_BYTES, "APIC page");

#define MTRR_BASE(n)    (0x200 + 2 * (n))
#define MTRR_MASK(n)    (0x201 + 2 * (n))
#define TSC_TOLERANCE   4000 /* parts; what NTP copes with */
#define MTRRS           (CPU_MTRR_FIXED + 2 * CPU_MTRR_VARIABLE)
#define MSR_BY_REGISTER UINT32_MAX /* read and written with the segments */

static const uint32_t msr_index[CPU_MSRS] = {
	[CPU_MSR_TSC] = 0x10,
	[CPU_MSR_APIC_BASE] = MSR_BY_REGISTER,
	[CPU_MSR_MISC_ENABLE] = 0x1a0,
	[CPU_MSR_PAT] = 0x277,
	[CPU_MSR_EFER] = MSR_BY_REGISTER,
	[CPU_MSR_STAR] = 0xc0000081,
	[CPU_MSR_LSTAR] = 0xc0000082,
	[CPU_MSR_CSTAR] = 0xc0000083,
	[CPU_MSR_SFMASK] = 0xc0000084,
	[CPU_MSR_KERNEL_GS_BASE] = 0xc0000102,
	[CPU_MSR_SYSENTER_CS] = 0x174,
	[CPU_MSR_SYSENTER_ESP] = 0x175,
	[CPU_MSR_SYSENTER_EIP] = 0x176,
	[CPU_MSR_TSC_AUX] = 0xc0000103,
	[CPU_MSR_TSC_DEADLINE] = 0x6e0,
	[CPU_MSR_SPEC_CTRL] = 0x48,
	[CPU_MSR_MTRR_DEFAULT] = 0x2ff,
	[CPU_MSR_KVM_WALL_CLOCK] = 0x4b564d00,
	[CPU_MSR_KVM_SYSTEM_TIME] = 0x4b564d01,
	[CPU_MSR_KVM_ASYNC_PF] = 0x4b564d02,
	[CPU_MSR_KVM_STEAL_TIME] = 0x4b564d03,
	[CPU_MSR_KVM_EOI] = 0x4b564d04,
	[CPU_MSR_KVM_POLL] = 0x4b564d05,
};

static const uint32_t mtrr_fixed_index[CPU_MTRR_FIXED] = { 0x250, 0x258, 0x259,
	0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

/* KVM_GET_MSRS and KVM_SET_MSRS take a list, with its entries behind it. */
union msr_list {
	struct kvm_msrs msrs;
	uint8_t room[sizeof(struct kvm_msrs) +
	    (CPU_MSRS + MTRRS) * sizeof(struct kvm_msr_entry)];
};

static void
msr_add(union msr_list *list, uint32_t index, uint64_t value)
{
	list->msrs.entries[list->msrs.nmsrs++] =
	    (struct kvm_msr_entry){ .index = index, .data = value };
}

/* ---- segments ---- */

static void
seg_from(struct cpu_seg *to, const struct kvm_segment *from)
{
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->attributes = from->type | (uint32_t)from->s << 4 |
	    (uint32_t)from->dpl << 5 | (uint32_t)from->present << 7 |
	    (uint32_t)from->avl << 12 | (uint32_t)from->l << 13 |
	    (uint32_t)from->db << 14 | (uint32_t)from->g << 15 |
	    (uint32_t)from->unusable << 16;
}

static void
seg_to(struct kvm_segment *to, const struct cpu_seg *from)
{
	uint32_t a = from->attributes;

	*to = (struct kvm_segment){
		.base = from->base,
		.limit = from->limit,
		.selector = from->selector,
		.type = a & 0xf,
		.s = a >> 4 & 1,
		.dpl = a >> 5 & 3,
		.present = a >> 7 & 1,
		.avl = a >> 12 & 1,
		.l = a >> 13 & 1,
		.db = a >> 14 & 1,
		.g = a >> 15 & 1,
		.unusable = a >> 16 & 1,
	};
}

static struct kvm_segment *
seg_of(struct kvm_sregs *s, enum cpu_segment i)
{
	switch (i) {
	case CPU_ES: return &s->es;
	case CPU_CS: return &s->cs;
	case CPU_SS: return &s->ss;
	case CPU_DS: return &s->ds;
	case CPU_FS: return &s->fs;
	case CPU_GS: return &s->gs;
	case CPU_LDTR: return &s->ldt;
	case CPU_TR: return &s->tr;
	case CPU_SEGMENTS: break;
	}
	return NULL;
}

static int
sregs_get(struct kvm_cpu *cpu, struct cpu_state *state)
{
	struct kvm_sregs s;

	if (ioctl(cpu->fd, KVM_GET_SREGS, &s) < 0)
		return -errno;
	for (unsigned int i = 0; i < CPU_SEGMENTS; i++)
		seg_from(&state->seg[i], seg_of(&s, i));
	state->gdt = (struct cpu_table){ s.gdt.base, s.gdt.limit };
	state->idt = (struct cpu_table){ s.idt.base, s.idt.limit };
	state->cr0 = s.cr0;
	state->cr2 = s.cr2;
	state->cr3 = s.cr3;
	state->cr4 = s.cr4;
	state->cr8 = s.cr8;
	state->msr[CPU_MSR_EFER] = s.efer;
	state->msr[CPU_MSR_APIC_BASE] = s.apic_base;
	state->msr_valid |= 1u << CPU_MSR_EFER | 1u << CPU_MSR_APIC_BASE;
	return 0;
}

static int
sregs_set(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	struct kvm_sregs s = { 0 };

	for (unsigned int i = 0; i < CPU_SEGMENTS; i++)
		seg_to(seg_of(&s, i), &state->seg[i]);
	s.gdt = (struct kvm_dtable){ .base = state->gdt.base,
		.limit = state->gdt.limit };
	s.idt = (struct kvm_dtable){ .base = state->idt.base,
		.limit = state->idt.limit };
	s.cr0 = state->cr0;
	s.cr2 = state->cr2;
	s.cr3 = state->cr3;
	s.cr4 = state->cr4;
	s.cr8 = state->cr8;
	s.efer = state->msr[CPU_MSR_EFER];
	s.apic_base = state->msr[CPU_MSR_APIC_BASE];
	return ioctl(cpu->fd, KVM_SET_SREGS, &s) < 0 ? -errno : 0;
}

/* ---- general registers, debug registers ---- */

static int
regs_get(struct kvm_cpu *cpu, struct cpu_state *state)
{
	struct kvm_regs r;
	struct kvm_debugregs d;

	if (ioctl(cpu->fd, KVM_GET_REGS, &r) < 0 ||
	    ioctl(cpu->fd, KVM_GET_DEBUGREGS, &d) < 0)
		return -errno;
	memcpy(state->gpr,
	    (uint64_t[CPU_GPRS]){ r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp,
		r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14,
		r.r15 },
	    sizeof(state->gpr));
	state->rip = r.rip;
	state->rflags = r.rflags;
	for (unsigned int i = 0; i < 4; i++)
		state->dr[i] = d.db[i];
	state->dr6 = d.dr6;
	state->dr7 = d.dr7;
	return 0;
}

static int
regs_set(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	const uint64_t *g = state->gpr;
	struct kvm_regs r = {
		.rax = g[CPU_RAX],
		.rcx = g[CPU_RCX],
		.rdx = g[CPU_RDX],
		.rbx = g[CPU_RBX],
		.rsp = g[CPU_RSP],
		.rbp = g[CPU_RBP],
		.rsi = g[CPU_RSI],
		.rdi = g[CPU_RDI],
		.r8 = g[CPU_R8],
		.r9 = g[CPU_R9],
		.r10 = g[CPU_R10],
		.r11 = g[CPU_R11],
		.r12 = g[CPU_R12],
		.r13 = g[CPU_R13],
		.r14 = g[CPU_R14],
		.r15 = g[CPU_R15],
		.rip = state->rip,
		.rflags = state->rflags,
	};
	struct kvm_debugregs d = { .dr6 = state->dr6, .dr7 = state->dr7 };

	for (unsigned int i = 0; i < 4; i++)
		d.db[i] = state->dr[i];
	if (ioctl(cpu->fd, KVM_SET_REGS, &r) < 0 ||
	    ioctl(cpu->fd, KVM_SET_DEBUGREGS, &d) < 0)
		return -errno;
	return 0;
}

/* ---- floating point and vectors ---- */

static int
xsave_get(struct kvm_cpu *cpu, struct cpu_state *state)
{
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs = { 0 };

	if (ioctl(cpu->fd, KVM_GET_XSAVE, &xsave) < 0)
		return -errno;
	memcpy(state->xsave, &xsave, CPU_XSAVE_BYTES);
	/* A host without XSAVE has no XCR0. */
	state->xcr0 = 1;
	if (ioctl(cpu->fd, KVM_GET_XCRS, &xcrs) == 0)
		for (uint32_t i = 0; i < xcrs.nr_xcrs; i++)
			if (xcrs.xcrs[i].xcr == 0)
				state->xcr0 = xcrs.xcrs[i].value;
	return 0;
}

static int
xsave_set(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	struct kvm_xsave xsave = { 0 };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1,
		.xcrs = { { .xcr = 0, .value = state->xcr0 } } };

	memcpy(&xsave, state->xsave, CPU_XSAVE_BYTES);
	if (ioctl(cpu->fd, KVM_SET_XSAVE, &xsave) < 0)
		return -errno;
	if (ioctl(cpu->fd, KVM_SET_XCRS, &xcrs) < 0 && state->xcr0 != 1)
		return -errno;
	return 0;
}

/* ---- model-specific registers ---- */

bool
kvm_msr_get(struct kvm_cpu *cpu, uint32_t index, uint64_t *value)
{
	union msr_list list = { .room = { 0 } };

	msr_add(&list, index, 0);
	if (ioctl(cpu->fd, KVM_GET_MSRS, &list) != 1)
		return false;
	*value = list.msrs.entries[0].data;
	return true;
}

bool
kvm_msr_set(struct kvm_cpu *cpu, uint32_t index, uint64_t value)
{
	union msr_list list = { .room = { 0 } };

	msr_add(&list, index, value);
	return ioctl(cpu->fd, KVM_SET_MSRS, &list) == 1;
}

static int
msrs_get(struct kvm_cpu *cpu, struct cpu_state *state)
{
	for (unsigned int i = 0; i < CPU_MSRS; i++)
		if (msr_index[i] != MSR_BY_REGISTER &&
		    kvm_msr_get(cpu, msr_index[i], &state->msr[i]))
			state->msr_valid |= 1u << i;
	for (unsigned int i = 0; i < CPU_MTRR_FIXED; i++)
		kvm_msr_get(cpu, mtrr_fixed_index[i], &state->mtrr_fixed[i]);
	for (unsigned int i = 0; i < CPU_MTRR_VARIABLE; i++) {
		kvm_msr_get(cpu, MTRR_BASE(i), &state->mtrr_base[i]);
		kvm_msr_get(cpu, MTRR_MASK(i), &state->mtrr_mask[i]);
	}
	return 0;
}

static int
msrs_set(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	union msr_list list = { .room = { 0 } };
	int n;

	for (unsigned int i = 0; i < CPU_MSRS; i++)
		if (msr_index[i] != MSR_BY_REGISTER &&
		    state->msr_valid & 1u << i)
			msr_add(&list, msr_index[i], state->msr[i]);
	if (state->msr_valid & 1u << CPU_MSR_MTRR_DEFAULT) {
		for (unsigned int i = 0; i < CPU_MTRR_FIXED; i++)
			msr_add(
			    &list, mtrr_fixed_index[i], state->mtrr_fixed[i]);
		for (unsigned int i = 0; i < CPU_MTRR_VARIABLE; i++) {
			msr_add(&list, MTRR_BASE(i), state->mtrr_base[i]);
			msr_add(&list, MTRR_MASK(i), state->mtrr_mask[i]);
		}
	}
	n = ioctl(cpu->fd, KVM_SET_MSRS, &list);
	if (n < 0)
		return -errno;
	return n == (int)list.msrs.nmsrs ? 0 : -EINVAL;
}

/* A counter that ran at another frequency, where this host can have it. */
static int
tsc_khz_set(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	const struct kvm_vm *vm = kvm_of_vm(cpu->cpu.vm);
	uint32_t want = vm->tsc_khz_wanted, have = vm->tsc_khz;
	uint32_t apart = want > have ? want - have : have - want;

	(void)state;
	if (want == 0 || apart <= want / TSC_TOLERANCE)
		return 0;
	return ioctl(cpu->fd, KVM_SET_TSC_KHZ, want) < 0 ? -ENOTSUP : 0;
}

/* Software behind /dev/kvm may have the host's own counter only.  That is then
 * later than what was set, as if the guest had slept, or the host has started
 * anew since: no guest copes with a counter that went back. */
static int
tsc_check(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	uint64_t now;

	if (!(state->msr_valid & 1u << CPU_MSR_TSC) ||
	    !kvm_msr_get(cpu, msr_index[CPU_MSR_TSC], &now))
		return 0;
	return (int64_t)(now - state->msr[CPU_MSR_TSC]) < 0 ? -ENOTSUP : 0;
}

/* ---- the local APIC, pending events, what it waits for ---- */

static int
events_get(struct kvm_cpu *cpu, struct cpu_state *state)
{
	struct kvm_vcpu_events e;

	if (ioctl(cpu->fd, KVM_GET_VCPU_EVENTS, &e) < 0)
		return -errno;
	state->exception_pending = e.exception.injected != 0;
	state->exception = e.exception.nr;
	state->exception_has_code = e.exception.has_error_code != 0;
	state->exception_code = e.exception.error_code;
	state->interrupt_pending =
	    e.interrupt.injected != 0 && e.interrupt.soft == 0;
	state->interrupt = e.interrupt.nr;
	state->interrupt_shadow = e.interrupt.shadow != 0;
	state->nmi_pending = (uint8_t)(e.nmi.pending + e.nmi.injected);
	state->nmi_masked = e.nmi.masked != 0;
	state->sipi_vector = (uint8_t)e.sipi_vector;
	return 0;
}

static int
events_set(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	struct kvm_vcpu_events e = {
		.exception = { .injected = state->exception_pending,
		    .nr = state->exception,
		    .has_error_code = state->exception_has_code,
		    .error_code = state->exception_code },
		.interrupt = { .injected = state->interrupt_pending,
		    .nr = state->interrupt,
		    .shadow =
			state->interrupt_shadow ? KVM_X86_SHADOW_INT_STI : 0 },
		.nmi = { .pending = state->nmi_pending,
		    .masked = state->nmi_masked },
		.sipi_vector = state->sipi_vector,
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
		    KVM_VCPUEVENT_VALID_SIPI_VECTOR |
		    KVM_VCPUEVENT_VALID_SHADOW,
	};

	return ioctl(cpu->fd, KVM_SET_VCPU_EVENTS, &e) < 0 ? -errno : 0;
}

static const uint32_t mp_state[] = {
	[CPU_RUNNING] = KVM_MP_STATE_RUNNABLE,
	[CPU_HALTED] = KVM_MP_STATE_HALTED,
	[CPU_WAIT_INIT] = KVM_MP_STATE_UNINITIALIZED,
	[CPU_WAIT_SIPI] = KVM_MP_STATE_INIT_RECEIVED,
};

/* What other engines say in the gaps of the page is not KVM's. */
static void
hide_gaps(uint8_t *page)
{
	memset(page + LAPIC_STATE_LEFT, 0, 8);
	memset(page + LAPIC_STATE_ERRORS, 0, 4);
}

/* Both exist only with the interrupt controllers in the kernel. */
static int
apic_get(struct kvm_cpu *cpu, struct cpu_state *state)
{
	struct kvm_lapic_state apic;
	struct kvm_mp_state mp;

	if (!kvm_of_vm(cpu->cpu.vm)->chips)
		return 0;
	if (ioctl(cpu->fd, KVM_GET_LAPIC, &apic) < 0 ||
	    ioctl(cpu->fd, KVM_GET_MP_STATE, &mp) < 0)
		return -errno;
	memcpy(state->apic, apic.regs, CPU_APIC_BYTES);
	hide_gaps(state->apic);
	for (unsigned int i = 0; i < 4; i++)
		if (mp_state[i] == mp.mp_state)
			state->run = i;
	return 0;
}

static int
apic_set(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	struct kvm_lapic_state apic;

	if (!kvm_of_vm(cpu->cpu.vm)->chips)
		return 0;
	memcpy(apic.regs, state->apic, CPU_APIC_BYTES);
	hide_gaps((uint8_t *)apic.regs);
	/* In this place and form in both modes of the APIC. */
	put_le32((uint8_t *)apic.regs + LAPIC_ID, cpu->cpu.id << 24);
	return ioctl(cpu->fd, KVM_SET_LAPIC, &apic) < 0 ? -errno : 0;
}

static int
run_set(struct kvm_cpu *cpu, const struct cpu_state *state)
{
	struct kvm_mp_state mp = { .mp_state = mp_state[state->run] };

	if (!kvm_of_vm(cpu->cpu.vm)->chips)
		return 0;
	return ioctl(cpu->fd, KVM_SET_MP_STATE, &mp) < 0 ? -errno : 0;
}

/* ---- the whole ---- */

struct get_part {
	const char *what;
	int (*get)(struct kvm_cpu *cpu, struct cpu_state *state);
};

struct set_part {
	const char *what;
	int (*set)(struct kvm_cpu *cpu, const struct cpu_state *state);
};

static int
get_parts(const struct get_part *part, unsigned int n, struct kvm_cpu *cpu,
    struct cpu_state *state, struct err *err)
{
	memset(state, 0, sizeof(*state));
	for (unsigned int i = 0; i < n; i++) {
		int r = part[i].get(cpu, state);

		if (r < 0)
			return err_sys(err, r, NULL,
			    "kvm: cannot read the %s of CPU %u", part[i].what,
			    cpu->cpu.id);
	}
	return 0;
}

static int
set_parts(const struct set_part *part, unsigned int n, struct kvm_cpu *cpu,
    const struct cpu_state *state, struct err *err)
{
	for (unsigned int i = 0; i < n; i++) {
		int r = part[i].set(cpu, state);

		if (r < 0)
			return err_sys(err, r, NULL,
			    "kvm: cannot write the %s of CPU %u", part[i].what,
			    cpu->cpu.id);
	}
	return 0;
}

#define NPARTS(part) (sizeof(part) / sizeof((part)[0]))

int
kvm_state_get(struct engine_cpu *ecpu, struct cpu_state *state, struct err *err)
{
	static const struct get_part part[] = {
		{ "registers", regs_get },
		{ "segments", sregs_get },
		{ "vector registers", xsave_get },
		{ "model-specific registers", msrs_get },
		{ "local APIC", apic_get },
		{ "pending events", events_get },
	};

	return get_parts(part, NPARTS(part), kvm_of_cpu(ecpu), state, err);
}

int
kvm_state_set(
    struct engine_cpu *ecpu, const struct cpu_state *state, struct err *err)
{
	static const struct set_part part[] = {
		{ "TSC's frequency, which is another one on this host,",
		    tsc_khz_set },
		{ "segments", sregs_set },
		{ "vector registers", xsave_set },
		{ "local APIC", apic_set },
		{ "model-specific registers", msrs_set },
		{ "TSC, which this host's KVM does not set back,", tsc_check },
		{ "registers", regs_set },
		{ "run state", run_set },
		{ "pending events", events_set },
	};

	if ((unsigned int)state->run > CPU_WAIT_SIPI)
		return err_set(err, -EINVAL,
		    "CPU %u: run state %u is not known; use another "
		    "checkpoint",
		    ecpu->id, (unsigned int)state->run);
	return set_parts(part, NPARTS(part), kvm_of_cpu(ecpu), state, err);
}

int
kvm_core_get(struct kvm_cpu *cpu, struct cpu_state *state, struct err *err)
{
	static const struct get_part part[] = {
		{ "registers", regs_get },
		{ "segments", sregs_get },
		{ "vector registers", xsave_get },
		{ "pending events", events_get },
	};
	int r = get_parts(part, NPARTS(part), cpu, state, err);

	/* RDTSCP and RDPID read it. */
	if (r == 0 &&
	    kvm_msr_get(
		cpu, msr_index[CPU_MSR_TSC_AUX], &state->msr[CPU_MSR_TSC_AUX]))
		state->msr_valid |= 1u << CPU_MSR_TSC_AUX;
	return r;
}

int
kvm_core_set(
    struct kvm_cpu *cpu, const struct cpu_state *state, struct err *err)
{
	static const struct set_part part[] = {
		{ "segments", sregs_set },
		{ "vector registers", xsave_set },
		{ "registers", regs_set },
		{ "pending events", events_set },
	};

	return set_parts(part, NPARTS(part), cpu, state, err);
}
