/*
 * The KVM engine: virtual machines and CPUs of the host's kernel.
 *
 * A kick is a flag that KVM looks at before it enters the guest
 * (immediate_exit) and a signal that takes it out: whichever of the two comes
 * too late, the other has worked.  A CPU that waits for INIT returns EAGAIN
 * once when it comes.  No operation on a CPU may be tried while its KVM_RUN
 * blocks, not even reading registers: they all belong to the CPU's thread.
 *
 * KVM is judged by running a guest (kvm_probe.c), never by the CPU's flags:
 * software back ends exist that run guests where no flag says so, and nested
 * ones that fail where all flags do.
 */
#include "vmm/engine_kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/kvm_fallback.h"

#define KVM_API       12
#define TSS_ADDRESS   0xfffbd000u /* three pages that VMX needs, in the hole */
#define IDENTITY_PAGE UINT64_C(0xfffbc000)

static int
kick_signal(void)
{
	return SIGRTMIN;
}

static void
kicked(int signal)
{
	(void)signal; /* KVM_RUN has returned: that was the point */
}

/* ---- machines ---- */

static int
open_kvm(struct err *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == EACCES)
		return err_sys(err, -EACCES,
		    "run as root or join the group kvm", "kvm: /dev/kvm");
	if (fd < 0)
		return err_sys(err, -errno,
		    "this machine has no KVM, or its module is not loaded",
		    "kvm: /dev/kvm");
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API) {
		close(fd);
		return err_set(err, -ENOTSUP,
		    "kvm: /dev/kvm does not speak API %d; use a newer kernel",
		    KVM_API);
	}
	return fd;
}

static int
map_memory(struct kvm_vm *vm, const struct memory *memory, struct err *err)
{
	struct memory_region region[MEMORY_REGIONS];
	unsigned int n = memory_regions(memory, region);

	for (unsigned int i = 0; i < n; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = region[i].start,
			.memory_size = region[i].bytes,
			.userspace_addr =
			    (uintptr_t)(memory->base + region[i].offset),
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return err_sys(err, -errno, NULL,
			    "kvm: cannot map %" PRIu64 " bytes of memory",
			    region[i].bytes);
	}
	return 0;
}

static void
vm_free(struct engine_vm *evm)
{
	struct kvm_vm *vm = kvm_of_vm(evm);

	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->dev_fd >= 0)
		close(vm->dev_fd);
	free(vm->cpuid);
	kvm_fallback_free(vm);
	pthread_mutex_destroy(&vm->route_lock);
	free(vm);
}

static int
vm_open(struct kvm_vm *vm, const struct engine_config *config, struct err *err)
{
	uint64_t identity = IDENTITY_PAGE;

	vm->dev_fd = config->prepared_fd > 0
	    ? fcntl(config->prepared_fd, F_DUPFD_CLOEXEC, 3)
	    : open_kvm(err);
	if (vm->dev_fd < 0 && config->prepared_fd > 0)
		return err_sys(err, -errno, NULL, "kvm: /dev/kvm");
	if (vm->dev_fd < 0)
		return vm->dev_fd;
	/* EINTR: the kernel wants it again when a signal came. */
	do
		vm->fd = ioctl(vm->dev_fd, KVM_CREATE_VM, 0);
	while (vm->fd < 0 && errno == EINTR);
	if (vm->fd < 0)
		return err_sys(err, -errno,
		    "another hypervisor may own the CPU's virtualization",
		    "kvm: cannot make a virtual machine");
	/* Only VMX has these; there they cannot fail. */
	(void)ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	(void)ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDRESS);
	if (map_memory(vm, config->memory, err) < 0)
		return -EIO;
	if (vm->chips && kvm_irq_init(vm, err) < 0)
		return -EIO;
	vm->cpuid = kvm_cpuid_new(vm->dev_fd, err);
	return vm->cpuid != NULL ? 0 : -EIO;
}

static struct engine_vm *
vm_new(const struct engine_config *config, struct err *err)
{
	struct sigaction action = { .sa_handler = kicked };
	struct kvm_vm *vm = calloc(1, sizeof(*vm));

	if (vm == NULL) {
		err_sys(err, -ENOMEM, NULL, "kvm");
		return NULL;
	}
	*vm = (struct kvm_vm){ .vm = { .engine = &engine_kvm },
		.fd = -1,
		.dev_fd = -1,
		.chips = config->chips,
		.ncpus = config->ncpus };
	pthread_mutex_init(&vm->route_lock, NULL);
	kvm_fallback_init(vm, config);
	sigaction(kick_signal(), &action, NULL);
	if (vm_open(vm, config, err) < 0) {
		vm_free(&vm->vm);
		return NULL;
	}
	return &vm->vm;
}

/* ---- CPUs ---- */

static void
cpu_free(struct engine_cpu *ecpu)
{
	struct kvm_cpu *cpu = kvm_of_cpu(ecpu);

	if (cpu->run != NULL)
		munmap(cpu->run, cpu->run_bytes);
	if (cpu->fd >= 0)
		close(cpu->fd);
	free(cpu);
}

static int
cpu_open(struct kvm_cpu *cpu, struct kvm_vm *vm, struct err *err)
{
	int bytes = ioctl(vm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0), khz;
	void *run;

	if (bytes < (int)sizeof(struct kvm_run))
		return err_set(err, -EIO,
		    "kvm: its exit area has %d bytes, too few; use a newer "
		    "kernel",
		    bytes);
	cpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, cpu->cpu.id);
	if (cpu->fd < 0)
		return err_sys(err, -errno, "use fewer CPUs",
		    "kvm: cannot make CPU %u", cpu->cpu.id);
	run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
	    cpu->fd, 0);
	if (run == MAP_FAILED)
		return err_sys(
		    err, -errno, NULL, "kvm: exit area of CPU %u", cpu->cpu.id);
	cpu->run = run;
	cpu->run_bytes = (size_t)bytes;
	khz = ioctl(cpu->fd, KVM_GET_TSC_KHZ, 0);
	vm->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	return kvm_cpuid_set(cpu, err);
}

static struct engine_cpu *
cpu_new(struct engine_vm *evm, struct err *err)
{
	struct kvm_vm *vm = kvm_of_vm(evm);
	struct kvm_cpu *cpu = calloc(1, sizeof(*cpu));

	if (cpu == NULL) {
		err_sys(err, -ENOMEM, NULL, "kvm");
		return NULL;
	}
	cpu->cpu = (struct engine_cpu){ .vm = evm, .id = vm->made };
	cpu->fd = -1;
	if (cpu_open(cpu, vm, err) < 0) {
		cpu_free(&cpu->cpu);
		return NULL;
	}
	vm->cpu[vm->made] = cpu;
	if (++vm->made == vm->ncpus) {
		/* Nothing of the guest needs it any more. */
		close(vm->dev_fd);
		vm->dev_fd = -1;
		free(vm->cpuid);
		vm->cpuid = NULL;
	}
	return &cpu->cpu;
}

/* ---- exits ---- */

static void
failed(struct kvm_cpu *cpu, struct engine_exit *exit, const char *what)
{
	struct cpu_state state;
	char text[ERR_MAX_BYTES];

	exit->kind = EXIT_FAILED;
	err_clear(&exit->err);
	if (kvm_state_get(&cpu->cpu, &state, NULL) == 0)
		err_set(&exit->err, -EIO, "CPU %u: %s; %s", cpu->cpu.id, what,
		    cpu_state_text(text, sizeof(text), &state));
	else
		err_set(&exit->err, -EIO, "CPU %u: %s", cpu->cpu.id, what);
}

/* Has the instruction emulated that KVM could not execute.  False: that cannot
 * be either, see exit. */
static bool
emulate(struct kvm_cpu *cpu, struct engine_exit *exit)
{
	const struct kvm_run *run = cpu->run;
	const uint8_t *bytes = run->emulation_failure.insn_bytes;
	unsigned int n = 0;

	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
		return false;
	if (run->emulation_failure.ndata >= 1 &&
	    run->emulation_failure.flags &
		KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)
		n = run->emulation_failure.insn_size;
	err_clear(&exit->err);
	switch (kvm_fallback(cpu, bytes, n < 15 ? n : 15, &exit->err)) {
	case FALLBACK_DONE: return true;
	case FALLBACK_SHUTDOWN: exit->kind = EXIT_SHUTDOWN; return false;
	case FALLBACK_UNKNOWN:
	case FALLBACK_FAILED: break;
	}
	return false;
}

/* KVM could not go on: with the instruction, when it says which.  True: we
 * could. */
static bool
internal_error(struct kvm_cpu *cpu, struct engine_exit *exit)
{
	const struct kvm_run *run = cpu->run;
	char what[192], bytes[3 * 15 + 1] = "";

	exit->kind = EXIT_FAILED;
	if (emulate(cpu, exit))
		return true;
	if (exit->kind == EXIT_SHUTDOWN)
		return false;
	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
		snprintf(what, sizeof(what),
		    "KVM gave up on the guest (internal error %u)",
		    run->internal.suberror);
		failed(cpu, exit, what);
		return false;
	}
	if (run->emulation_failure.ndata >= 1 &&
	    run->emulation_failure.flags &
		KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)
		for (unsigned int i = 0;
		     i < run->emulation_failure.insn_size && i < 15; i++)
			snprintf(bytes + 3 * i, sizeof(bytes) - 3 * i, " %02x",
			    run->emulation_failure.insn_bytes[i]);
	snprintf(what, sizeof(what),
	    "KVM on this host cannot execute the instruction that begins "
	    "with%s",
	    bytes[0] != '\0' ? bytes : " (bytes unknown)");
	failed(cpu, exit, what);
	return false;
}

/* Turns KVM's exit into ours.  False: none of our business, go on. */
static bool
translate(struct kvm_cpu *cpu, struct engine_exit *exit)
{
	struct kvm_run *run = cpu->run;
	char what[96];

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit->kind = EXIT_PORT;
		exit->port.port = run->io.port;
		exit->port.bytes = run->io.size;
		exit->port.out = run->io.direction == KVM_EXIT_IO_OUT;
		exit->port.count = run->io.count;
		exit->port.data = (uint8_t *)run + run->io.data_offset;
		return true;
	case KVM_EXIT_MMIO:
		exit->kind = EXIT_MMIO;
		exit->mmio.address = run->mmio.phys_addr;
		exit->mmio.bytes = (uint8_t)run->mmio.len;
		exit->mmio.write = run->mmio.is_write != 0;
		exit->mmio.data = run->mmio.data;
		return true;
	case KVM_EXIT_HLT: exit->kind = EXIT_HALT; return true;
	case KVM_EXIT_SHUTDOWN: exit->kind = EXIT_SHUTDOWN; return true;
	case KVM_EXIT_IRQ_WINDOW_OPEN: exit->kind = EXIT_WINDOW; return true;
	case KVM_EXIT_INTR: return false;
	case KVM_EXIT_INTERNAL_ERROR: return !internal_error(cpu, exit);
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what),
		    "KVM cannot enter the guest (hardware reason 0x%" PRIx64
		    ")",
		    (uint64_t)run->fail_entry.hardware_entry_failure_reason);
		failed(cpu, exit, what);
		return true;
	default:
		snprintf(what, sizeof(what),
		    "KVM stopped the guest for reason %u, which is not known",
		    run->exit_reason);
		failed(cpu, exit, what);
		return true;
	}
}

/* -errno, or 0. */
static int
run_once(struct kvm_cpu *cpu)
{
	struct kvm_vm *vm = kvm_of_vm(cpu->cpu.vm);
	int r;

	kvm_fallback_enter(vm);
	r = ioctl(cpu->fd, KVM_RUN, 0) == 0 ? 0 : -errno;
	kvm_fallback_leave(vm);
	return r;
}

static void
cpu_run(struct engine_cpu *ecpu, struct engine_exit *exit)
{
	struct kvm_cpu *cpu = kvm_of_cpu(ecpu);
	char what[96];
	int r;

	if (!atomic_load(&cpu->has_thread)) {
		cpu->thread = pthread_self();
		atomic_store(&cpu->has_thread, true);
	}
	for (;;) {
		r = run_once(cpu);
		if (r == 0) {
			if (translate(cpu, exit))
				return;
		} else if (r == -EINTR) {
			cpu->run->immediate_exit = 0;
			if (atomic_exchange(&cpu->kicked, false)) {
				exit->kind = EXIT_INTERRUPTED;
				return;
			}
		} else if (r != -EAGAIN) {
			snprintf(what, sizeof(what), "KVM cannot run it: %s",
			    strerror(-r));
			failed(cpu, exit, what);
			return;
		}
	}
}

void
kvm_cpu_interrupt(struct kvm_cpu *cpu)
{
	*(volatile uint8_t *)&cpu->run->immediate_exit = 1;
	if (atomic_load(&cpu->has_thread))
		pthread_kill(cpu->thread, kick_signal());
}

static void
cpu_kick(struct engine_cpu *ecpu)
{
	struct kvm_cpu *cpu = kvm_of_cpu(ecpu);

	atomic_store(&cpu->kicked, true);
	kvm_cpu_interrupt(cpu);
}

static int
cpu_inject(struct engine_cpu *ecpu, uint8_t vector)
{
	struct kvm_cpu *cpu = kvm_of_cpu(ecpu);
	struct kvm_interrupt interrupt = { .irq = vector };

	if (!cpu->run->ready_for_interrupt_injection || !cpu->run->if_flag)
		return -EAGAIN;
	return ioctl(cpu->fd, KVM_INTERRUPT, &interrupt) < 0 ? -errno : 0;
}

static void
cpu_want_window(struct engine_cpu *ecpu, bool want)
{
	kvm_of_cpu(ecpu)->run->request_interrupt_window = want;
}

static int
probe(struct err *err)
{
	struct kvm_probe found;

	return kvm_probe(&found, err);
}

const struct engine engine_kvm = {
	.name = "kvm",
	.probe = probe,
	.has_chips = true,
	.prepare = open_kvm,
	.vm_new = vm_new,
	.vm_free = vm_free,
	.cpu_new = cpu_new,
	.cpu_free = cpu_free,
	.run = cpu_run,
	.kick = cpu_kick,
	.state_get = kvm_state_get,
	.state_set = kvm_state_set,
	.chips_get = kvm_chips_get,
	.chips_set = kvm_chips_set,
	.inject = cpu_inject,
	.want_window = cpu_want_window,
	.line = kvm_line,
	.msi = kvm_msi,
	.msi_fd = kvm_msi_fd,
	.notify_fd = kvm_notify_fd,
};
