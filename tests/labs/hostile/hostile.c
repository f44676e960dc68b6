/*
 * A guest that means harm: random values to every port, device register, model-
 * specific register and queue, for ever.  What faults is left alone and the next
 * thing tried.  It says its seed on COM1 when it begins, and every 1,024 attempts
 * how many there were: as far as it left itself a COM1 to say so.
 */
#include <stddef.h>
#include <stdint.h>

void hostile(void);
int attempt(void (*function)(uint64_t argument), uint64_t argument);
void *memset(void *at, int value, size_t n);
void *memcpy(void *to, const void *from, size_t n);

#define AREA_BYTES 0x40000
#define DEVICES    16
#define BARS       6

static uint8_t area[AREA_BYTES] __attribute__((aligned(4096)));
static uint64_t seed;

/* A function of PCI as it was found: BARs, and places of virtio's structures
 * within them. */
static struct device {
	uint32_t id;
	uint64_t bar[BARS];
	uint64_t common, notify, isr, specific;
	uint32_t notify_multiplier;
} device[DEVICES];
static unsigned int ndevices;

void *
memset(void *at, int value, size_t n)
{
	uint8_t *p = at;

	while (n-- > 0)
		*p++ = (uint8_t)value;
	return at;
}

void *
memcpy(void *to, const void *from, size_t n)
{
	uint8_t *p = to;
	const uint8_t *q = from;

	while (n-- > 0)
		*p++ = *q++;
	return to;
}

static uint64_t
r(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * UINT64_C(0x2545f4914f6cdd1d);
}

/* Of n. */
static uint32_t
below(uint32_t n)
{
	return (uint32_t)((r() >> 32) * n >> 32);
}

/* A number of any magnitude, often an edge. */
static uint64_t
number(void)
{
	uint64_t n = r() >> below(64);

	switch (below(6)) {
	case 0: return UINT64_C(1) << below(64);
	case 1: return ~(uint64_t)0 >> below(64);
	case 2: return below(32);
	case 3: return (uint64_t)(uintptr_t)area + below(AREA_BYTES);
	}
	return n;
}

/* ---- ports ---- */

static void
out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static void
out32(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static uint32_t
in32(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static void
say(const char *text)
{
	while (*text != '\0')
		out8(0x3f8, (uint8_t)*text++);
}

static void
say_hex(uint64_t v)
{
	for (int i = 60; i >= 0; i -= 4)
		out8(0x3f8, (uint8_t) "0123456789abcdef"[v >> i & 15]);
}

static uint16_t
some_port(void)
{
	static const uint16_t known[] = { 0x20, 0xa0, 0x40, 0x43, 0x60, 0x61,
		0x64, 0x70, 0x80, 0x3f8, 0x2f8, 0x4d0, 0x510, 0x514, 0x600,
		0xcf8, 0xcf9, 0xcfc };
	uint16_t port = below(4) == 0
	    ? (uint16_t)r()
	    : (uint16_t)(known[below(sizeof(known) / 2)] + below(8));

	/* The machine's end is not what is sought, most of the time. */
	if ((port >= 0x5fe && port <= 0x608) ||
	    (port >= 0x61 && port <= 0x64) || port == 0xcf9)
		return below(20000) == 0 ? port : 0x80;
	return port;
}

static void
try_port(uint64_t unused)
{
	uint16_t port = some_port();
	uint64_t v = number();
	uint64_t n = below(64);
	void *at = area + below(AREA_BYTES - 512);

	(void)unused;
	switch (below(10)) {
	case 0: out8(port, (uint8_t)v); break;
	case 1: __asm__ volatile("outw %w0, %1" : : "a"(v), "Nd"(port)); break;
	case 2: out32(port, (uint32_t)v); break;
	case 3: __asm__ volatile("inb %1, %b0" : "=a"(v) : "Nd"(port)); break;
	case 4: __asm__ volatile("inw %1, %w0" : "=a"(v) : "Nd"(port)); break;
	case 5: in32(port); break;
	case 6:
		__asm__ volatile("rep outsb"
				 : "+S"(at), "+c"(n)
				 : "d"(port)
				 : "memory");
		break;
	case 7:
		__asm__ volatile("rep insl"
				 : "+D"(at), "+c"(n)
				 : "d"(port)
				 : "memory");
		break;
	case 8:
		__asm__ volatile("rep outsl"
				 : "+S"(at), "+c"(n)
				 : "d"(port)
				 : "memory");
		break;
	default: out8(port, (uint8_t)below(256)); break;
	}
}

/* ---- PCI ---- */

static uint32_t
config_read(unsigned int slot, unsigned int at)
{
	out32(0xcf8, 0x80000000 | slot << 11 | (at & 0xfc));
	return in32(0xcfc);
}

static void
config_write(unsigned int slot, unsigned int at, uint32_t v)
{
	out32(0xcf8, 0x80000000 | slot << 11 | (at & 0xfc));
	out32(0xcfc, v);
}

/* Virtio's structures, by the capabilities (virtio 1.2, 4.1.4). */
static void
find_structures(struct device *d, unsigned int slot)
{
	uint32_t at = config_read(slot, 0x34) & 0xfc;

	for (unsigned int i = 0; i < 16 && at >= 0x40; i++) {
		uint32_t head = config_read(slot, at);
		uint32_t bar = config_read(slot, at + 4) & 0xff;
		uint64_t place;

		if ((head & 0xff) == 9 && bar < BARS) {
			place = d->bar[bar] + config_read(slot, at + 8);
			switch (head >> 24) {
			case 1: d->common = place; break;
			case 2:
				d->notify = place;
				d->notify_multiplier =
				    config_read(slot, at + 16);
				break;
			case 3: d->isr = place; break;
			case 4: d->specific = place; break;
			}
		}
		at = head >> 8 & 0xfc;
	}
}

static void
find_devices(uint64_t unused)
{
	(void)unused;
	ndevices = 0;
	for (unsigned int slot = 0; slot < 32 && ndevices < DEVICES; slot++) {
		struct device *d = &device[ndevices];
		uint32_t id = config_read(slot, 0);

		if (id == 0xffffffff)
			continue;
		memset(d, 0, sizeof(*d));
		d->id = id;
		for (unsigned int b = 0; b < BARS; b++) {
			uint32_t low = config_read(slot, 0x10 + 4 * b);

			d->bar[b] = low & ~15u;
			if ((low & 6) == 4 && b + 1 < BARS) {
				d->bar[b] |=
				    (uint64_t)config_read(slot, 0x14 + 4 * b)
				    << 32;
				b++;
			}
		}
		if ((id & 0xffff) == 0x1af4) {
			config_write(slot, 4, 6); /* memory, bus master */
			find_structures(d, slot);
		}
		ndevices++;
	}
}

static void
try_config(uint64_t unused)
{
	uint32_t address = 0x80000000 | below(8) << 11 | below(256);
	uint64_t v = number();

	(void)unused;
	if (below(16) == 0)
		address = (uint32_t)r();
	out32(0xcf8, address);
	switch (below(4)) {
	case 0: out8((uint16_t)(0xcfc + below(4)), (uint8_t)v); break;
	case 1: in32(0xcfc); break;
	default: out32(0xcfc, (uint32_t)v); break;
	}
}

/* ---- device registers ---- */

static uint64_t
some_register(void)
{
	const struct device *d = &device[below(ndevices + 1)];

	switch (below(8)) {
	case 0: return 0xfee00000 + (below(64) << 4);
	case 1: return 0xfec00000 + (below(2) << 4);
	case 2: return 0xc0000000 + (r() & 0x3fffffff);
	case 3: return 0xfee00000 + below(4096);
	}
	if (ndevices == 0 || d == &device[ndevices])
		return 0xfec00000 + below(64);
	switch (below(6)) {
	case 0: return d->common + below(64);
	case 1: return d->notify + below(64);
	case 2: return d->specific + below(64);
	case 3: return d->isr;
	}
	return d->bar[below(BARS)] + below(0x8000);
}

static void
try_register(uint64_t unused)
{
	uint64_t at = some_register(), v = number();

	(void)unused;
	if (at < 0xc0000000 || at > 0xfffffff0)
		return; /* not its own memory */
	switch (below(8)) {
	case 0: *(volatile uint8_t *)at = (uint8_t)v; break;
	case 1: *(volatile uint16_t *)at = (uint16_t)v; break;
	case 2:
	case 3: *(volatile uint32_t *)at = (uint32_t)v; break;
	case 4: *(volatile uint64_t *)at = v; break;
	case 5: (void)*(volatile uint8_t *)at; break;
	case 6: (void)*(volatile uint32_t *)at; break;
	default: (void)*(volatile uint64_t *)at; break;
	}
}

static void
try_msr(uint64_t unused)
{
	static const uint32_t known[] = { 0x10, 0x1b, 0xfe, 0x174, 0x1a0, 0x200,
		0x250, 0x277, 0x2ff, 0x6e0, 0x800, 0x4b564d00, 0x11, 0x12,
		0xc0000081, 0xc0000084, 0xc0000100, 0xc0000102, 0xc0000103 };
	uint32_t index =
	    known[below(sizeof(known) / sizeof(known[0]))] + below(16);
	uint64_t v = number();
	uint32_t low = (uint32_t)v, high = (uint32_t)(v >> 32);

	(void)unused;
	if (below(4) == 0)
		index = 0x800 + below(0x40);
	if (below(16) == 0)
		index = (uint32_t)r();
	if (index == 0xc0000080)
		return;
	if (below(3) == 0)
		__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	else
		__asm__ volatile("wrmsr" : : "a"(low), "d"(high), "c"(index));
}

/* ---- queues ---- */

static void
put(uint64_t at, unsigned int bytes, uint64_t v)
{
	memcpy((void *)(uintptr_t)at, &v, bytes);
}

/* An address for a device: mostly of the area. */
static uint64_t
some_address(void)
{
	return below(8) != 0 ? (uint64_t)(uintptr_t)area + below(AREA_BYTES)
			     : number();
}

/* A ring of size n with nonsense in it: descriptors at ring, then what is
 * available. */
static void
fill_ring(uint64_t ring, uint64_t available, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		put(ring + 16 * i, 8, some_address());
		put(ring + 16 * i + 8, 4,
		    below(8) != 0 ? below(2048) : number());
		put(ring + 16 * i + 12, 2,
		    below(16) != 0 ? below(4) : below(8));
		put(ring + 16 * i + 14, 2, below(16) != 0 ? below(n) : r());
	}
	put(available, 2, below(2));
	for (uint32_t i = 0; i < n; i++)
		put(available + 4 + 2 * i, 2, below(32) != 0 ? below(n) : r());
	put(available + 2, 2, below(8) != 0 ? below(n + 1) : r());
}

#define C8(at)  (*(volatile uint8_t *)(uintptr_t)(d->common + (at)))
#define C16(at) (*(volatile uint16_t *)(uintptr_t)(d->common + (at)))
#define C32(at) (*(volatile uint32_t *)(uintptr_t)(d->common + (at)))

static void
start_queue(const struct device *d, uint16_t q)
{
	uint64_t base = (uint64_t)(uintptr_t)area + (below(8) << 14);
	uint32_t n = 1u << below(8);
	uint64_t place[3] = { base, base + 0x1000, base + 0x2000 };

	fill_ring(place[0], place[1], n);
	C16(0x16) = q;
	C16(0x18) = (uint16_t)(below(16) != 0 ? n : r());
	C16(0x1a) = (uint16_t)below(8); /* MSI-X vector */
	if (below(16) == 0)
		place[below(3)] = number();
	for (unsigned int i = 0; i < 3; i++) {
		C32(0x20 + 8 * i) = (uint32_t)place[i];
		C32(0x24 + 8 * i) = (uint32_t)(place[i] >> 32);
	}
	C16(0x1c) = 1;
}

static void
try_queues(uint64_t unused)
{
	const struct device *d = &device[below(ndevices + 1)];
	uint16_t queues;

	(void)unused;
	if (d == &device[ndevices] || d->common < 0xc0000000 ||
	    d->common > 0xffff0000 || d->notify < 0xc0000000 ||
	    d->notify > 0xffff0000)
		return;
	C8(0x14) = 0;
	C8(0x14) = 1;
	C8(0x14) = 3;
	for (uint32_t half = 0; half < 2; half++) {
		C32(0) = half;
		C32(8) = half;
		C32(12) = C32(4) & (below(4) != 0 ? ~0u : (uint32_t)r());
	}
	C8(0x14) = 0xb;
	queues = C16(0x12);
	for (uint16_t q = 0; q < queues && q < 10; q++)
		if (below(8) != 0)
			start_queue(d, q);
	C8(0x14) = 0xf;
	for (unsigned int i = below(40); i > 0; i--) {
		uint16_t q = (uint16_t)below(queues < 10 ? queues + 1u : 10);
		uint64_t base = (uint64_t)(uintptr_t)area + (below(8) << 14);

		put(base + 0x1002, 2, r());
		*(volatile uint16_t *)(uintptr_t)(d->notify +
		    (q * d->notify_multiplier & 0xffff)) = q;
	}
}

/* ---- interrupts ---- */

static void
try_interrupts(uint64_t unused)
{
	(void)unused;
	__asm__ volatile("movq %0, %%cr8" : : "r"((uint64_t)below(18)));
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

void
hostile(void)
{
	static void (*const what[])(uint64_t) = { try_port, try_port,
		try_config, try_register, try_register, try_msr, try_queues,
		try_interrupts };
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	seed = ((uint64_t)high << 32 | low) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	say("\nseed ");
	say_hex(seed);
	say("\n");
	for (uint64_t n = 0;; n++) {
		if (n % 4096 == 0)
			attempt(find_devices, 0);
		if (n % 1024 == 0) {
			say("\nattempts ");
			say_hex(n);
			say("\n");
		}
		attempt(what[below(sizeof(what) / sizeof(what[0]))], 0);
	}
}
