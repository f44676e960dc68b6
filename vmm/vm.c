/*
 * One virtual machine: CPU threads and the loop.
 *
 *     CPU thread: engine->run(), machine_exit(), and again
 *     loop (the caller's thread): consoles, back ends, signals, the end
 *
 * A request to end or to start anew (machine_ask) rings a doorbell, an eventfd
 * that the loop watches.  The loop stops the CPUs, which look at the request
 * after each exit and are kicked out of the guest otherwise, and then does what
 * was asked.  A reboot gives back the engine's VM with its interrupt
 * controllers and CPUs, clears the memory and makes them anew: cheaper to get
 * right than resetting each of them, and a few milliseconds.  Devices, sockets
 * and the back ends' connections live on.
 */
#include "vmm/vm.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "vmm/board.h"
#include "vmm/engine.h"
#include "vmm/engine_kvm.h"
#include "vmm/vm_checkpoint.h"
#include "vmm/vm_confine.h"
#include "vmm/vm_control.h"
#include "vmm/vm_guest.h"
#include "vmm/vm_keeper.h"

#define STACK_BYTES (256u << 10)

struct vm;

struct vm_cpu {
	struct vm *vm;
	struct engine_cpu *cpu;
	pthread_t thread;
	bool running;
};

struct vm {
	const struct vm_config *config;
	const struct engine *engine;
	struct vm_confined confined;
	struct loop *loop;
	int doorbell_fd;
	struct vm_guest guest;
	struct loop_watch *doorbell, *on_term, *on_int, *on_hup;
	struct memory memory;
	struct board board;
	bool has_board;
	struct engine_vm *evm;
	struct vm_cpu cpu[ENGINE_CPUS_MAX];
	unsigned int ncpus;
	atomic_bool pausing; /* CPUs are to stop for a while */
	struct vm_control *control;
	struct vm_keeper *keeper; /* NULL: no checkpoints, because of ... */
	struct err no_keeper;
	struct kvm_counter counter; /* of this host's KVM; 0: nobody asks */
	struct vm_checkpoint *from; /* to begin with; NULL: at the beginning */
	bool anew; /* which was off: it begins at the beginning */
	enum vm_end end;
	struct err crash; /* under the machine's lock */
	int result;       /* of a restart that failed */
	struct err *err;
};

/* ---- CPU threads ---- */

static void
crash(struct vm_cpu *vc, const struct engine_exit *exit)
{
	struct machine *machine = &vc->vm->board.machine;
	struct cpu_state state;
	struct err err = { "" };
	char text[ERR_MAX_BYTES];

	if (exit->kind == EXIT_FAILED)
		err = exit->err;
	else if (vc->vm->engine->state_get(vc->cpu, &state, &err) == 0)
		err_set(&err, -EIO,
		    "CPU %u: triple fault, the guest crashed; %s", vc->cpu->id,
		    cpu_state_text(text, sizeof(text), &state));
	pthread_mutex_lock(&machine->lock);
	err_set(&vc->vm->crash, -EIO, "%s", err.text);
	pthread_mutex_unlock(&machine->lock);
	machine_ask(machine, MACHINE_CRASH);
}

static void
serve_exit(struct vm_cpu *vc, const struct engine_exit *exit)
{
	switch (exit->kind) {
	case EXIT_PORT:
	case EXIT_MMIO: machine_exit(&vc->vm->board.machine, exit); break;
	case EXIT_SHUTDOWN:
	case EXIT_FAILED: crash(vc, exit); break;
	case EXIT_INTERRUPTED: break;
	case EXIT_HALT: /* not with the engine's chips */
	case EXIT_WINDOW: assert(0); break;
	}
}

static bool
may_run(const struct vm *vm)
{
	return vm->board.machine.request == MACHINE_GO_ON && !vm->pausing;
}

static void *
cpu_thread(void *arg)
{
	struct vm_cpu *vc = arg;
	const struct engine *engine = vc->vm->engine;
	struct engine_exit exit = { .kind = EXIT_INTERRUPTED };

	sandbox_enter(vc->vm->config->sandbox, SANDBOX_CPU, NULL, 0);
	while (may_run(vc->vm)) {
		engine->run(vc->cpu, &exit);
		serve_exit(vc, &exit);
	}
	/* An access is complete only when the CPU runs again. */
	while (vc->vm->pausing &&
	    (exit.kind == EXIT_PORT || exit.kind == EXIT_MMIO)) {
		engine->kick(vc->cpu);
		engine->run(vc->cpu, &exit);
		serve_exit(vc, &exit);
	}
	return NULL;
}

/* All signals but kicks are the loop's. */
static int
start_thread(struct vm_cpu *vc)
{
	pthread_attr_t attr;
	sigset_t block, old;
	int r;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGHUP);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	r = pthread_create(&vc->thread, &attr, cpu_thread, vc);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	vc->running = r == 0;
	return -r;
}

/* ---- starting and stopping ---- */

static int
make_cpus(struct vm *vm, struct err *err)
{
	for (unsigned int i = 0; i < vm->ncpus; i++) {
		vm->cpu[i] = (struct vm_cpu){ .vm = vm };
		vm->cpu[i].cpu = vm->engine->cpu_new(vm->evm, err);
		if (vm->cpu[i].cpu == NULL)
			return -EIO;
	}
	return 0;
}

/* The boot CPU is where a kernel begins. */
static int
enter(struct vm *vm, const struct boot_entry *entry, struct err *err)
{
	struct cpu_state *state = malloc(sizeof(*state));
	int r;

	if (state == NULL)
		return err_sys(err, -ENOMEM, NULL, "CPU state");
	r = vm->engine->state_get(vm->cpu[0].cpu, state, err);
	if (r == 0) {
		/* Nothing but what boot_cpu() sets: clocks run. */
		state->msr_valid = 1u << CPU_MSR_EFER;
		boot_cpu(entry, state);
		r = vm->engine->state_set(vm->cpu[0].cpu, state, err);
	}
	free(state);
	return r;
}

/* So that what KVM may not be able to set is nearly right there. */
static int
set_counters(struct vm *vm, struct err *err)
{
	struct cpu_state *state = malloc(sizeof(*state));
	int r = 0;

	if (state == NULL)
		return err_sys(err, -ENOMEM, NULL, "CPU state");
	for (unsigned int i = 0; r == 0 && i < vm->ncpus; i++) {
		r = vm->engine->state_get(vm->cpu[i].cpu, state, err);
		state->msr_valid = 1u << CPU_MSR_TSC;
		state->msr[CPU_MSR_TSC] = vm->counter.value;
		if (r == 0)
			r = vm->engine->state_set(vm->cpu[i].cpu, state, err);
	}
	free(state);
	return r;
}

static void
stop_cpus(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->ncpus; i++)
		if (vm->cpu[i].running)
			vm->engine->kick(vm->cpu[i].cpu);
	for (unsigned int i = 0; i < vm->ncpus; i++)
		if (vm->cpu[i].running)
			pthread_join(vm->cpu[i].thread, NULL);
	for (unsigned int i = 0; i < vm->ncpus; i++)
		vm->cpu[i].running = false;
}

static void
stop(struct vm *vm)
{
	stop_cpus(vm);
	if (vm->has_board)
		board_stop(&vm->board);
	vm->board.machine.vm = NULL;
	for (unsigned int i = 0; i < vm->ncpus; i++)
		if (vm->cpu[i].cpu != NULL)
			vm->engine->cpu_free(vm->cpu[i].cpu);
	memset(vm->cpu, 0, sizeof(vm->cpu));
	if (vm->evm != NULL)
		vm->engine->vm_free(vm->evm);
	vm->evm = NULL;
}

static int
start_threads(struct vm *vm, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < vm->ncpus; i++)
		r = start_thread(&vm->cpu[i]);
	if (r == 0)
		return 0;
	machine_ask(&vm->board.machine, MACHINE_STOP);
	return err_sys(err, r, NULL, "CPU threads");
}

static struct vm_parts
parts_of(struct vm *vm)
{
	struct vm_parts parts = { .config = vm->config,
		.engine = vm->engine,
		.vm = vm->evm,
		.board = &vm->board };

	for (unsigned int i = 0; i < vm->ncpus; i++)
		parts.cpu[i] = vm->cpu[i].cpu;
	return parts;
}

/* Once: a guest that reboots begins at its beginning. */
static int
load(struct vm *vm, struct err *err)
{
	const struct vm_parts parts = parts_of(vm);
	int r = vm_checkpoint_load(vm->from, &parts, err);

	vm_checkpoint_close(vm->from);
	vm->from = NULL;
	if (r == 0)
		board_resume(&vm->board);
	return r;
}

/* On failure, stop() cleans up. */
static int
start(struct vm *vm, struct err *err)
{
	struct engine_config config = { .memory = &vm->memory,
		.ncpus = vm->ncpus,
		.chips = true,
		.virtual_clock = vm->config->virtual_clock,
		.io = &vm->board.machine.io,
		.tsc_khz = vm->counter.khz,
		.prepared_fd = vm->confined.prepared_fd };
	struct boot_entry entry;
	int r = 0;

	if (vm->from == NULL)
		r = vm_guest_load(&vm->guest, &vm->memory,
		    board_disk(&vm->board, 0), &entry, err);
	if (r < 0)
		return r;
	vm->evm = vm->engine->vm_new(&config, err);
	if (vm->evm == NULL)
		return -EIO;
	r = make_cpus(vm, err);
	if (r == 0 && vm->from == NULL && vm->counter.khz != 0 &&
	    vm->engine != &engine_kvm)
		r = set_counters(vm, err);
	if (r == 0 && vm->from == NULL)
		r = enter(vm, &entry, err);
	if (r < 0)
		return r;
	vm->board.machine.vm = vm->evm;
	vm->board.machine.request = MACHINE_GO_ON;
	board_start(&vm->board);
	if (vm->from != NULL)
		r = load(vm, err);
	return r < 0 ? r : start_threads(vm, err);
}

static void
restart(struct vm *vm)
{
	int r;

	log_info("the guest starts anew");
	stop(vm);
	r = memory_clear(&vm->memory);
	if (r < 0)
		err_sys(vm->err, r, NULL, "guest memory");
	else
		r = start(vm, vm->err);
	if (r == 0)
		return;
	vm->result = r;
	vm->end = VM_CRASHED;
	loop_stop(vm->loop);
}

static void
finish(struct vm *vm, enum vm_end end)
{
	vm->end = end;
	loop_stop(vm->loop);
}

/* ---- checkpoints ---- */

static void
pause_machine(struct vm *vm)
{
	vm->pausing = true;
	stop_cpus(vm);
	board_pause(&vm->board);
}

/* It may go on. */
static void
unpause(void *arg)
{
	struct vm *vm = arg;

	if (!vm->pausing)
		return;
	board_resume(&vm->board);
	vm->pausing = false;
	if (start_threads(vm, &vm->crash) < 0)
		machine_ask(&vm->board.machine, MACHINE_CRASH);
}

static int
save(void *arg, const char *name, bool stop, struct err *err)
{
	struct vm *vm = arg;
	struct vm_parts parts;
	int r;

	if (vm->keeper == NULL)
		return err_set(err, -EINVAL, "%s", vm->no_keeper.text);
	pause_machine(vm);
	parts = parts_of(vm);
	if (vm->board.machine.request != MACHINE_GO_ON)
		r = err_set(err, -EAGAIN,
		    "the guest is about to end or to start anew; ask again");
	else
		r = vm_keeper_make(
		    vm->keeper, &parts, name, stop ? NULL : unpause, vm, err);
	if (stop && r == 0)
		finish(vm, VM_STOPPED);
	else
		unpause(vm);
	return r;
}

/* ---- the loop ---- */

static void
answered(void *arg, unsigned int events)
{
	struct vm *vm = arg;
	uint64_t count;

	(void)events;
	if (read(vm->doorbell_fd, &count, sizeof(count)) < 0)
		return; /* somebody was faster */
	board_work(&vm->board);
	switch ((enum machine_request)vm->board.machine.request) {
	case MACHINE_GO_ON: break;
	case MACHINE_RESET: restart(vm); break;
	case MACHINE_OFF: finish(vm, VM_POWEROFF); break;
	case MACHINE_EXIT: finish(vm, VM_EXITED); break;
	case MACHINE_STOP: finish(vm, VM_STOPPED); break;
	case MACHINE_CRASH: finish(vm, VM_CRASHED); break;
	}
}

static void
ring(void *arg)
{
	struct vm *vm = arg;
	const uint64_t one = 1;

	if (write(vm->doorbell_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it rings already */
}

/* A CPU that is asked to end while it executes does not go on until the loop
 * comes to it. */
static void
asked(void *arg)
{
	struct vm *vm = arg;

	for (unsigned int i = 0; i < vm->ncpus; i++)
		if (vm->cpu[i].cpu != NULL)
			vm->engine->kick(vm->cpu[i].cpu);
	ring(vm);
}

static void
told_to_stop(void *arg, unsigned int events)
{
	struct vm *vm = arg;

	(void)events;
	machine_ask(&vm->board.machine, MACHINE_STOP);
}

static int
open_loop(struct vm *vm, struct err *err)
{
	vm->loop = loop_new(LOOP_REAL, err);
	if (vm->loop == NULL)
		return -ENOMEM;
	vm->doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->doorbell_fd < 0)
		return err_sys(err, -errno, NULL, "doorbell");
	vm->doorbell = loop_watch_new(
	    vm->loop, vm->doorbell_fd, LOOP_READ, answered, vm, err);
	vm->on_term = loop_signal_new(vm->loop, SIGTERM, told_to_stop, vm, err);
	vm->on_int = loop_signal_new(vm->loop, SIGINT, told_to_stop, vm, err);
	vm->on_hup = loop_signal_new(vm->loop, SIGHUP, told_to_stop, vm, err);
	if (vm->doorbell == NULL || vm->on_term == NULL || vm->on_int == NULL ||
	    vm->on_hup == NULL)
		return -ENOMEM;
	return 0;
}

/* Questions wait until the machine runs.  One that can have no checkpoints says
 * so when it is asked. */
static int
open_control(struct vm *vm, struct err *err)
{
	const struct vm_control_config config = { .path = vm->config->control,
		.loop = vm->loop,
		.anew = vm->anew,
		.save = save,
		.arg = vm };

	if (config.path == NULL)
		return 0;
	if (vm->config->virtual_clock)
		err_set(&vm->no_keeper, -ENOTSUP,
		    "a machine with a virtual clock has no checkpoints; run "
		    "it again instead");
	else
		vm->keeper =
		    vm_keeper_new(vm->config, &vm->board, &vm->no_keeper);
	vm->control = vm_control_new(&config, err);
	return vm->control != NULL ? 0 : -EIO;
}

/* ---- the whole ---- */

static int
check(const struct vm_config *config, struct err *err)
{
	if (config->vcpus < 1 || config->vcpus > ENGINE_CPUS_MAX)
		return err_set(err, -EINVAL,
		    "%u virtual CPUs are out of range; use 1 to %d",
		    config->vcpus, ENGINE_CPUS_MAX);
	if (config->nnics > VM_NICS_MAX)
		return err_set(err, -EINVAL,
		    "%u network cards are too many; use at most %d",
		    config->nnics, VM_NICS_MAX);
	if (config->ndisks > VM_DISKS_MAX)
		return err_set(err, -EINVAL,
		    "%u disks are too many; use at most %d", config->ndisks,
		    VM_DISKS_MAX);
	if (config->balloon && config->balloon_bytes >= config->memory_bytes)
		return err_set(err, -EINVAL,
		    "a balloon of %" PRIu64 " bytes leaves the guest no "
		    "memory; ask for less than its %" PRIu64,
		    config->balloon_bytes, config->memory_bytes);
	return 0;
}

static int
vm_open(struct vm *vm, const struct vm_config *config, struct err *err)
{
	int r = check(config, err);

	if (r < 0)
		return r;
	vm->config = config;
	vm->ncpus = config->vcpus;
	vm->err = err;
	vm->engine = engine_find(config->engine, err);
	if (vm->engine == NULL)
		return -EINVAL;
	if (config->virtual_clock && config->tsc_host)
		return err_set(err, -EINVAL,
		    "a virtual clock's counter is not the host's; leave one "
		    "of the two out");
	if (config->virtual_clock && config->restore != NULL)
		return err_set(err, -EINVAL,
		    "a checkpoint's clock is not virtual; leave one of the "
		    "two out");
	if (config->virtual_clock && vm->engine->virtual_ns == NULL)
		return err_set(err, -EINVAL,
		    "engine \"%s\" has no virtual clock; use emulate",
		    vm->engine->name);
	r = vm_guest_open(&vm->guest, config, err);
	if (r == 0)
		r = memory_init(&vm->memory, config->memory_bytes, err);
	if (r == 0)
		r = open_loop(vm, err);
	if (r < 0)
		return r;
	if (config->restore != NULL) {
		vm->from = vm_checkpoint_open(config, config->restore, err);
		if (vm->from == NULL)
			return -EINVAL;
		vm->anew = vm_checkpoint_is_off(vm->from);
		if (vm->anew) {
			vm_checkpoint_close(vm->from);
			vm->from = NULL;
		}
	}
	vm->has_board = true;
	r = board_init(
	    &vm->board, config, &vm->memory, vm->loop, asked, ring, vm, err);
	/* So that a checkpoint can go on with KVM, which may have no other. */
	if (r == 0 && config->tsc_host)
		r = kvm_counter(&vm->counter, err);
	if (r == 0)
		r = open_control(vm, err);
	if (r < 0)
		return r;
	r = vm_confine(&vm->confined, config, vm->engine, err);
	vm->board.machine.porter = vm->confined.porter;
	return r;
}

static void
vm_close(struct vm *vm)
{
	stop_cpus(vm);
	vm_control_free(vm->control);
	vm_keeper_free(vm->keeper);
	vm_checkpoint_close(vm->from);
	if (vm->has_board)
		board_leave(&vm->board);
	stop(vm);
	if (vm->has_board)
		board_fini(&vm->board);
	loop_watch_free(vm->on_hup);
	loop_watch_free(vm->on_int);
	loop_watch_free(vm->on_term);
	loop_watch_free(vm->doorbell);
	loop_free(vm->loop);
	memory_free(&vm->memory);
	if (vm->doorbell_fd >= 0)
		close(vm->doorbell_fd);
	vm_guest_close(&vm->guest);
	vm_confined_free(&vm->confined);
	free(vm);
}

/* What two runs that were the same have in common. */
static void
report(const struct vm *vm)
{
	const uint64_t *word = (const uint64_t *)(void *)vm->memory.base;
	uint64_t n = vm->memory.size_bytes / sizeof(*word);
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	if (log_get_level() < LOG_INFO)
		return;
	for (uint64_t i = 0; i < n; i++)
		hash = (hash ^ word[i]) * UINT64_C(0x100000001b3);
	log_info("virtual clock: %" PRIu64 " instructions, %" PRIu64
		 " ns, RAM %016" PRIx64,
	    vm->engine->retired(vm->cpu[0].cpu),
	    vm->engine->virtual_ns(vm->evm), hash);
}

int
vm_run(const struct vm_config *config, enum vm_end *end, struct err *err)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int r;

	*end = VM_STOPPED;
	if (config->save != NULL) {
		free(vm);
		return vm_checkpoint_make_off(config, config->save, err);
	}
	if (vm == NULL)
		return err_sys(err, -ENOMEM, NULL, "virtual machine");
	vm->doorbell_fd = vm->memory.fd = -1;
	vm->guest.kernel_fd = vm->guest.initrd_fd = -1;
	r = vm_open(vm, config, err);
	if (r == 0)
		r = start(vm, err);
	if (r == 0) {
		ring(vm); /* what came to the consoles before */
		r = loop_run(vm->loop);
		*end = vm->end;
		stop_cpus(vm);
		if (config->virtual_clock && vm->evm != NULL)
			report(vm);
		if (r == 0)
			r = vm->result;
		if (r == 0 && vm->end == VM_CRASHED)
			r = err_set(err, -EIO, "%s", vm->crash.text);
		if (r == 0 && vm->end == VM_EXITED)
			r = exit_port_status(&vm->board.exit_port);
	}
	vm_close(vm);
	return r;
}
