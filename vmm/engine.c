/*
 * The list of engines, and what all of them share.
 */
#include "vmm/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/chips/engine_chips.h"
#include "vmm/engine_kvm.h"

const struct engine *const engines[] = { &engine_kvm, &engine_emulate_pc,
	NULL };

/* Software behind /dev/kvm is slower than ours. */
bool
engine_has_hardware(void)
{
	struct kvm_probe probe;

	return kvm_probe(&probe, NULL) == 0 && kvm_is_hardware(&probe);
}

const struct engine *
engine_find(const char *name, struct err *err)
{
	if (name == NULL || strcmp(name, "auto") == 0)
		return engine_has_hardware() ? &engine_kvm : &engine_emulate_pc;
	for (unsigned int i = 0; engines[i] != NULL; i++)
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	err_set(err, -EINVAL,
	    "engine \"%s\" is not known; use auto, kvm or emulate", name);
	return NULL;
}

const char *
cpu_state_text(char *out, size_t len, const struct cpu_state *s)
{
	snprintf(out, len,
	    "rip %04x:%" PRIx64 " rsp %" PRIx64 " rflags %" PRIx64
	    " rax %" PRIx64 " rbx %" PRIx64 " rcx %" PRIx64 " rdx %" PRIx64
	    " rsi %" PRIx64 " rdi %" PRIx64 " cr0 %" PRIx64 " cr2 %" PRIx64
	    " cr3 %" PRIx64 " cr4 %" PRIx64 " efer %" PRIx64,
	    s->seg[CPU_CS].selector, s->rip, s->gpr[CPU_RSP], s->rflags,
	    s->gpr[CPU_RAX], s->gpr[CPU_RBX], s->gpr[CPU_RCX], s->gpr[CPU_RDX],
	    s->gpr[CPU_RSI], s->gpr[CPU_RDI], s->cr0, s->cr2, s->cr3, s->cr4,
	    s->msr[CPU_MSR_EFER]);
	return out;
}
