/*
 * engine_emulate.h - the interpreter, row of engines[].
 */
#ifndef VMM_EMULATE_ENGINE_EMULATE_H
#define VMM_EMULATE_ENGINE_EMULATE_H

#include "vmm/engine.h"

/* Executes x86-64 guests instruction by instruction, on any host.  It needs
 * engine_config.io and has no interrupt controllers of its own. */
extern const struct engine engine_emulate;

enum emulate_one {
	EMULATE_DONE,     /* with its exception delivered, if it has one */
	EMULATE_UNKNOWN,  /* no instruction here; nothing has changed */
	EMULATE_SHUTDOWN, /* its exception cannot be delivered */
};

/* Executes one instruction, or one round of a repeated one, for another
 * executor of the same memory: its code is read anew each time. */
enum emulate_one emulate_one(struct engine_cpu *cpu);

#endif
