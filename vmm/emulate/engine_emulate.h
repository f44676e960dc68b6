/*
 * engine_emulate.h - the interpreter, row of engines[].
 */
#ifndef VMM_EMULATE_ENGINE_EMULATE_H
#define VMM_EMULATE_ENGINE_EMULATE_H

#include "vmm/engine.h"

/* Executes x86-64 guests instruction by instruction, on any host.  It needs
 * engine_config.io and has no interrupt controllers of its own. */
extern const struct engine engine_emulate;

#endif
