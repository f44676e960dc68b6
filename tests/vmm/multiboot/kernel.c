/*
 * A Multiboot kernel that looks at what it was given, says it on COM1, uses
 * what such kernels use (interrupts, the 8259 and 8254, 32-bit paging, fw_cfg)
 * and ends by the exit port.
 *
 * It says nothing that may differ between machines that are alike, so that its
 * output on two of them can be compared.  The exit value is the argument
 * exit=N; a check that fails makes it 99.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COM1        0x3f8
#define EXIT_PORT   0xf4
#define FW_CFG      0x510
#define MAGIC       0x2badb002u
#define FAILED      99
#define TICKS       5
#define TICK_VECTOR 32
#define VECTORS     48

extern const uint32_t entries[VECTORS];
extern uint8_t image_start[], image_end[];

void kernel(
    uint32_t magic, const uint32_t *info, uint32_t cr0, uint32_t eflags);

struct frame {
	uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
	uint32_t vector, code, eip, cs, eflags;
};

void interrupt(struct frame *frame);

static uint8_t bss[5000];
static uint32_t data = 0x12345678;
static volatile uint32_t ticks, faults, breakpoints;
static uint32_t fault_address, fault_code;
static bool failed;

/* ---- ports and output ---- */

static inline void
outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t
inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void
put(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, (uint8_t)c);
}

static void
say(const char *text)
{
	for (; *text != '\0'; text++)
		put(*text);
}

static void
say_number(uint32_t n)
{
	char digits[11];
	int i = 10;

	digits[i] = '\0';
	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	say(digits + i);
}

static void
check(const char *what, bool good)
{
	say(what);
	say(good ? ": ok\n" : ": WRONG\n");
	if (!good)
		failed = true;
}

/* ---- what the loader gave ---- */

static const char *
string_at(uint32_t address)
{
	return (const char *)address;
}

static bool
starts_with(const char *text, const char *start)
{
	while (*start != '\0')
		if (*text++ != *start++)
			return false;
	return true;
}

/* Behind the kernel's name. */
static const char *
arguments(const char *line)
{
	while (*line != '\0' && *line != ' ')
		line++;
	while (*line == ' ')
		line++;
	return line;
}

static uint8_t
exit_value(const char *line)
{
	uint32_t n = 0;

	for (; *line != '\0'; line++)
		if (starts_with(line, "exit="))
			for (line += 5; *line >= '0' && *line <= '9'; line++)
				n = n * 10 + (uint32_t)(*line - '0');
	return (uint8_t)n;
}

/* The map covers us, and says as much as mem_upper does. */
static void
check_memory(const uint32_t *info)
{
	const uint8_t *at = (const uint8_t *)info[12];
	const uint8_t *end = at + info[11];
	bool found = false, sane = true;

	check("lower memory", info[1] >= 600 && info[1] <= 640);
	while (at < end) {
		const uint32_t *e = (const uint32_t *)at;

		if (e[0] < 20)
			sane = false;
		if (e[5] == 1 && e[1] == 0x100000 && e[2] == 0 && e[4] == 0)
			found = e[3] >= (uint32_t)(image_end - image_start) &&
			    e[3] >> 10 == info[2];
		at += 4 + e[0];
	}
	check("map of memory", sane && at == end);
	check("upper memory", found);
}

static void
check_module(const uint32_t *info)
{
	const uint32_t *module = (const uint32_t *)info[6];
	uint32_t sum = 0;

	say("modules: ");
	say_number(info[5]);
	put('\n');
	if (info[5] != 1)
		return;
	check("module at a page behind the kernel",
	    module[0] % 4096 == 0 && module[0] >= (uint32_t)image_end);
	for (uint32_t at = module[0]; at < module[1]; at++)
		sum = sum * 31 + *(const uint8_t *)at;
	say("module ");
	say(string_at(module[2]));
	say(": ");
	say_number(module[1] - module[0]);
	say(" bytes, sum ");
	say_number(sum);
	put('\n');
}

static void
check_loaded(void)
{
	bool zeros = true;

	for (size_t i = 0; i < sizeof(bss); i++)
		if (bss[i] != 0)
			zeros = false;
	check("bss", zeros);
	check("data", data == 0x12345678);
}

/* Two addresses that differ in line 20 alone. */
static void
check_a20(void)
{
	volatile uint32_t *odd = (volatile uint32_t *)0x190000;
	volatile uint32_t *even = (volatile uint32_t *)0x90000;

	*even = 1;
	*odd = 2;
	check("address line 20", *even == 1 && *odd == 2);
}

/* ---- interrupts ---- */

static uint64_t gdt[3] = { 0, UINT64_C(0x00cf9a000000ffff),
	UINT64_C(0x00cf92000000ffff) };
static uint32_t idt[VECTORS][2];

struct table {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

static void
load_tables(void)
{
	struct table g = { sizeof(gdt) - 1, (uint32_t)gdt };
	struct table i = { sizeof(idt) - 1, (uint32_t)idt };

	for (unsigned int n = 0; n < VECTORS; n++) {
		idt[n][0] = 8u << 16 | (entries[n] & 0xffff);
		idt[n][1] = (entries[n] & 0xffff0000) | 0x8e00;
	}
	__asm__ volatile("lgdt %0\n\t"
			 "ljmp $8, $1f\n"
			 "1:\tmovl $16, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "movl %%eax, %%ss\n\t"
			 "lidt %1"
			 :
			 : "m"(g), "m"(i)
			 : "eax", "memory");
}

/* Both 8259s from vector 32 on, the 8254 a hundred times a second. */
static void
start_clock(void)
{
	static const uint8_t words[2][4] = { { 0x11, TICK_VECTOR, 4, 1 },
		{ 0x11, TICK_VECTOR + 8, 2, 1 } };

	for (unsigned int chip = 0; chip < 2; chip++) {
		uint16_t port = chip == 0 ? 0x20 : 0xa0;

		outb(port, words[chip][0]);
		for (unsigned int i = 1; i < 4; i++)
			outb((uint16_t)(port + 1), words[chip][i]);
		outb((uint16_t)(port + 1), chip == 0 ? 0xfe : 0xff);
	}
	outb(0x43, 0x34);
	outb(0x40, 11932 & 0xff);
	outb(0x40, 11932 >> 8);
}

void
interrupt(struct frame *frame)
{
	switch (frame->vector) {
	case 3: breakpoints++; break;
	case 6: /* ud2 */
		faults++;
		frame->eip += 2;
		break;
	case 14: /* a move whose last byte is at EIP + 1 */
		__asm__("movl %%cr2, %0" : "=r"(fault_address));
		fault_code = frame->code;
		faults++;
		frame->eip += 2;
		break;
	case TICK_VECTOR:
		ticks++;
		outb(0x20, 0x20);
		break;
	default:
		say("unexpected interrupt ");
		say_number(frame->vector);
		put('\n');
		outb(EXIT_PORT, FAILED);
	}
}

static void
check_interrupts(void)
{
	load_tables();
	__asm__ volatile("int3");
	check("breakpoint", breakpoints == 1);
	__asm__ volatile("ud2");
	check("undefined instruction", faults == 1);
	start_clock();
	while (ticks < TICKS)
		__asm__ volatile("sti\n\thlt\n\tcli");
	check("timer interrupts", true);
}

/* ---- paging ---- */

static uint32_t directory[1024] __attribute__((aligned(4096)));
static uint32_t page_table[1024] __attribute__((aligned(4096)));

#define WINDOW  0x40000000u /* a page here is image_start's */
#define NOTHING 0x80000000u

static void
check_paging(void)
{
	uint32_t value;

	for (uint32_t i = 0; i < 1024; i++)
		page_table[i] = i << 12 | 3;
	directory[0] = (uint32_t)page_table | 3;
	directory[WINDOW >> 22] = (uint32_t)page_table | 3;
	__asm__ volatile("movl %0, %%cr3\n\t"
			 "movl %%cr0, %%eax\n\t"
			 "orl $0x80010000, %%eax\n\t"
			 "movl %%eax, %%cr0"
			 :
			 : "r"(directory)
			 : "eax", "memory");
	value = *(volatile uint32_t *)(WINDOW + (uint32_t)&data);
	check("a page that is mapped twice", value == data);
	__asm__ volatile("movl (%1), %%eax" /* two bytes */
			 : "=a"(value)
			 : "d"(NOTHING + 0x123));
	check("page fault", faults == 2);
	check("its address", fault_address == NOTHING + 0x123);
	check("its error code", fault_code == 0);
	page_table[0x3ff] = 0x3ff000 | 1;
	__asm__ volatile("invlpg (%0)" : : "r"(0x3ff000) : "memory");
	__asm__ volatile("movl %%eax, (%0)" : : "d"(0x3ff010) : "memory");
	check("a page that cannot be written", fault_code == 3);
	__asm__ volatile("movl %%cr0, %%eax\n\t"
			 "andl $0x7fffffff, %%eax\n\t"
			 "movl %%eax, %%cr0"
			 :
			 :
			 : "eax", "memory");
	check("accessed and dirty bits",
	    (page_table[0x3ff] & 0x40) == 0 &&
		(page_table[(uint32_t)&faults >> 12] & 0x60) == 0x60);
}

/* ---- firmware configuration ---- */

static void
fw_cfg_select(uint16_t key)
{
	__asm__ volatile("outw %0, %1" : : "a"(key), "Nd"((uint16_t)FW_CFG));
}

static uint32_t
fw_cfg_number(unsigned int bytes, bool big_endian)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < bytes; i++) {
		uint32_t byte = inb(FW_CFG + 1);

		n = big_endian ? n << 8 | byte : n | byte << 8 * i;
	}
	return n;
}

static void
check_fw_cfg(void)
{
	uint32_t nfiles;
	bool found = false;
	char name[56];

	fw_cfg_select(0);
	check("fw_cfg", fw_cfg_number(4, true) == 0x51454d55);
	fw_cfg_select(1);
	check("fw_cfg id", fw_cfg_number(4, false) & 1);
	fw_cfg_select(5);
	say("fw_cfg CPUs: ");
	say_number(fw_cfg_number(2, false));
	fw_cfg_select(0xf);
	say(" of ");
	say_number(fw_cfg_number(2, false));
	fw_cfg_select(3);
	say("\nfw_cfg RAM: ");
	say_number(fw_cfg_number(4, false));
	check("\nfw_cfg RAM above 4 GiB", fw_cfg_number(4, false) == 0);
	check("fw_cfg behind an item", fw_cfg_number(4, false) == 0);
	fw_cfg_select(0x19);
	nfiles = fw_cfg_number(4, true);
	for (uint32_t i = 0; i < nfiles; i++) {
		uint32_t bytes = fw_cfg_number(4, true);

		fw_cfg_number(4, true);
		for (unsigned int k = 0; k < sizeof(name); k++)
			name[k] = (char)inb(FW_CFG + 1);
		if (starts_with(name, "etc/e820"))
			found = bytes % 20 == 0 && bytes > 0;
	}
	check("fw_cfg etc/e820", found);
}

void
kernel(uint32_t magic, const uint32_t *info, uint32_t cr0, uint32_t eflags)
{
	const char *line;
	uint8_t value;

	outb(COM1 + 3, 3);
	say("hello\n");
	check("magic number", magic == MAGIC);
	check("protected mode without paging", (cr0 & 0x80000001) == 1);
	check("interrupts off", (eflags & 0x20200) == 0);
	check("flags", (info[0] & 0x24d) == 0x24d);
	line = arguments(string_at(info[4]));
	value = exit_value(line);
	say("arguments: ");
	say(line);
	put('\n');
	check("a loader's name", *string_at(info[16]) != '\0');
	check_memory(info);
	check_module(info);
	check_loaded();
	check_a20();
	check_interrupts();
	check_paging();
	check_fw_cfg();
	for (uint32_t i = 0; i < 20000; i++)
		put((char)('!' + i % 79));
	say("\nbye\n");
	outb(EXIT_PORT, failed ? FAILED : value);
	for (;;)
		__asm__ volatile("cli\n\thlt");
}
