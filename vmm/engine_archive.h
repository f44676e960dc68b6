/*
 * engine_archive.h - the state of CPUs, interrupt controllers and timers as
 * bytes, whatever engine it is of.
 *
 * Nothing but the form is checked: an engine refuses what cannot be.
 */
#ifndef VMM_ENGINE_ARCHIVE_H
#define VMM_ENGINE_ARCHIVE_H

#include "vmm/archive.h"
#include "vmm/chips/chips_state.h"
#include "vmm/cpu_state.h"

void cpu_archive(struct cpu_state *cpu, struct archive *a);
void chips_archive(struct chips_state *chips, struct archive *a);

#endif
