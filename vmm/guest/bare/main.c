/*
 * main.c - the guest's round, and the two shells' tasks.
 *
 *     look at the cards -> run timers -> run the tasks that were woken
 *           ^                                     |
 *           |                                     v
 *     sleep until something rings <- tell the cards, push the serial ports
 *
 * A task runs until it waits; nothing interrupts it.  The console's task reads
 * lines from a person, the agent's from a program:
 *
 *     guest: 1e "ready\n"
 *     host:  "ping -c 1 10.0.0.1\n"
 *     guest: output, 1e, exit status in decimal, "\n"
 *     host:  03 at any time interrupts the command
 */
#include <string.h>

#include "vmm/guest/bare/boot.h"
#include "vmm/guest/bare/cpu.h"
#include "vmm/guest/line.h"
#include "vmm/guest/bare/memory.h"
#include "vmm/guest/bare/serial.h"
#include "vmm/guest/services.h"
#include "vmm/guest/shell.h"
#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"
#include "vmm/guest/bare/vnet.h"

#define CONSOLE     0
#define AGENT       1
#define TASK_BYTES  32768
#define INPUT_BYTES 2048
#define INTERRUPT   '\x03'
#define AGENT_SIGN  '\x1e'

void guest_main(enum boot_kind kind, uint64_t info);

/* One shell with its serial port and its task. */
struct seat {
	unsigned int port;
	struct shell shell;
	struct task task;
	bool running;      /* a command; not waiting for a line */
	bool blocked;      /* for room in the port's buffer */
	uint64_t until_us; /* it sleeps */
	size_t start, len; /* of what was typed ahead */
	char input[INPUT_BYTES];
	struct line line;
	uint8_t stack[TASK_BYTES] __attribute__((aligned(16)));
};

/* There is one guest in a machine. */
static struct stack stack;
static struct boot boot;
static struct seat seats[SERIAL_PORTS];
static uint64_t round_sp; /* where the round left off for a task */

/* ---- what a seat's shell asks for ---- */

static void
seat_wait(struct shell *sh, uint64_t until_us)
{
	struct seat *seat = sh->arg;

	seat->until_us = until_us;
	task_switch(&seat->task.sp, round_sp);
}

static void
write_all(struct seat *seat, const char *data, size_t len)
{
	for (;;) {
		size_t n = serial_write(seat->port, data, len);

		data += n;
		len -= n;
		if (len == 0)
			return;
		seat->blocked = true;
		seat->until_us = TIMER_NEVER;
		task_switch(&seat->task.sp, round_sp);
		seat->blocked = false;
	}
}

/* The console's lines end in CR LF; the agent's output has no sign in it. */
static void
seat_write(struct shell *sh, const char *data, size_t len)
{
	struct seat *seat = sh->arg;
	const char special = seat->port == CONSOLE ? '\n' : AGENT_SIGN;

	while (len > 0) {
		const char *at = memchr(data, special, len);
		const size_t run = at != NULL ? (size_t)(at - data) : len;

		write_all(seat, data, run);
		data += run;
		len -= run;
		if (at != NULL) {
			write_all(seat, seat->port == CONSOLE ? "\r\n" : ".",
			    seat->port == CONSOLE ? 2 : 1);
			data++;
			len--;
		}
	}
}

static void
seat_end(struct shell *sh, enum shell_end how)
{
	/* What is said and sent so far still gets out. */
	if (sh->arg == &seats[AGENT])
		write_all(&seats[AGENT],
		    "\x1e"
		    "0\n",
		    3);
	for (unsigned int i = 0; i < stack.nnifs; i++) {
		if (stack.nif[i].dhcp.state >= DHCPC_BOUND)
			dhcpc_release(&stack.nif[i]);
	}
	stack_flush(&stack);
	if (how == SHELL_REBOOT)
		cpu_reboot();
	cpu_poweroff();
}

static const struct shell_ops seat_ops = { seat_write, seat_wait, seat_end };

/* ---- input ---- */

static void
seat_input(unsigned int port, char c)
{
	struct seat *seat = &seats[port];

	if (c == INTERRUPT && seat->running) {
		seat->shell.interrupted = true;
		return;
	}
	if (seat->len == INPUT_BYTES)
		return; /* typed further ahead than we remember */
	seat->input[(seat->start + seat->len++) % INPUT_BYTES] = c;
	if (!seat->running)
		seat->shell.woken = true;
}

/* The next character; waits for it. */
static char
seat_getc(struct seat *seat)
{
	char c;

	while (seat->len == 0)
		(void)shell_wait(&seat->shell, TIMER_NEVER);
	c = seat->input[seat->start];
	seat->start = (seat->start + 1) % INPUT_BYTES;
	seat->len--;
	return c;
}

static int
seat_run(struct seat *seat, char *line)
{
	int status;

	seat->running = true;
	seat->shell.interrupted = false;
	status = shell_run(&seat->shell, line);
	seat->running = false;
	seat->shell.interrupted = false;
	return status;
}

/* ---- the console ---- */

static void
console_echo(void *arg, const char *data, size_t len)
{
	seat_write(&((struct seat *)arg)->shell, data, len);
}

static void
console_task(void)
{
	struct seat *seat = &seats[CONSOLE];

	for (;;) {
		enum line_event event = LINE_MORE;

		shell_printf(&seat->shell, "%s> ", stack.name);
		while (event == LINE_MORE)
			event = line_key(
			    &seat->line, seat_getc(seat), console_echo, seat);
		if (event == LINE_DONE)
			(void)seat_run(seat, seat->line.text);
	}
}

/* ---- the agent ---- */

/* A whole line; what is too long for us is read to its end and refused. */
static bool
agent_line(struct seat *seat)
{
	struct line *line = &seat->line;
	size_t len = 0;

	for (;;) {
		const char c = seat_getc(seat);

		if (c == INTERRUPT || c == '\r')
			continue; /* there is nothing to interrupt */
		if (c == '\n')
			break;
		if (len < sizeof(line->text))
			line->text[len] = c;
		len++;
	}
	if (len >= sizeof(line->text))
		return false;
	line->text[len] = '\0';
	return true;
}

static void
agent_task(void)
{
	struct seat *seat = &seats[AGENT];
	char text[16];
	int status;

	write_all(seat,
	    "\x1e"
	    "ready\n",
	    7);
	for (;;) {
		if (agent_line(seat))
			status = seat_run(seat, seat->line.text);
		else {
			shell_printf(&seat->shell, "the line is too long\n");
			status = STATUS_ERROR;
		}
		write_all(seat, text,
		    text_format(text, sizeof(text), "\x1e%d\n", status));
	}
}

/* ---- the round ---- */

static void
start_seat(unsigned int port, void (*run)(void))
{
	struct seat *seat = &seats[port];

	seat->port = port;
	seat->shell.stack = &stack;
	seat->shell.ops = &seat_ops;
	seat->shell.arg = seat;
	task_start(&seat->task, seat->stack, sizeof(seat->stack), run);
}

static bool
seat_due(const struct seat *seat)
{
	if (seat->blocked)
		return serial_room(seat->port);
	return seat->shell.woken ||
	    (seat->shell.interrupted && seat->running) ||
	    stack.now_us >= seat->until_us;
}

/* Lets the tasks run that have a reason to.  False: none had. */
static bool
run_tasks(void)
{
	bool any = false;

	for (unsigned int i = 0; i < SERIAL_PORTS; i++) {
		if (!seat_due(&seats[i]))
			continue;
		any = true;
		task_switch(&round_sp, seats[i].task.sp);
	}
	return any;
}

static uint64_t
next_us(void)
{
	uint64_t at_us = stack_next_us(&stack);
	const uint64_t card_us = vnet_next_us(stack.now_us);

	if (card_us < at_us)
		at_us = card_us;
	for (unsigned int i = 0; i < SERIAL_PORTS; i++) {
		if (!seats[i].blocked && seats[i].until_us < at_us)
			at_us = seats[i].until_us;
	}
	return at_us;
}

static void
serve_serial(uint32_t rung)
{
	for (unsigned int i = 0; i < SERIAL_PORTS; i++) {
		if (rung & IRQ_UART(i))
			serial_service(i, seat_input);
	}
}

__attribute__((noreturn)) static void
run_rounds(void)
{
	uint32_t rung = 0;

	for (;;) {
		bool more;

		serve_serial(rung);
		stack_round(&stack, cpu_now_us());
		more = vnet_service(&stack, rung);
		more |= run_tasks();
		more |= stack_flush(&stack);
		for (unsigned int i = 0; i < SERIAL_PORTS; i++)
			serial_push(i);
		rung = 0;
		if (more || !vnet_ready_to_sleep()) {
			vnet_woke();
			continue;
		}
		rung = cpu_sleep(next_us());
		vnet_woke();
	}
}

static void
complain(void *arg, const char *sentence)
{
	(void)arg;
	serial_write(CONSOLE, "tiny: ", 6);
	serial_write(CONSOLE, sentence, strlen(sentence));
	serial_write(CONSOLE, "\r\n", 2);
}

void
guest_main(enum boot_kind kind, uint64_t info)
{
	boot_read(&boot, kind, info);
	cpu_init();
	serial_init();
	memory_init(boot.memory_end);
	stack_init(&stack, "tiny", cpu_entropy(), cpu_entropy());
	vnet_probe(&stack, complain, NULL);
	stack_round(&stack, cpu_now_us());
	stack_configure(&stack, boot.cmdline, complain, NULL);
	stack_flush(&stack);
	services_start(&stack);
	start_seat(CONSOLE, console_task);
	start_seat(AGENT, agent_task);
	run_rounds();
}
