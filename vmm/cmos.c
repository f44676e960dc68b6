/*
 * The clock and its RAM.
 *
 * Time is the caller's, in UTC, BCD and 24 hours; what a guest sets is kept in
 * RAM and read by nobody: the clock goes on.  There are no alarm and periodic
 * interrupts, which guests take from better timers, and an update is never in
 * progress.  Memory sizes are where PC firmware leaves them.
 */
#include "vmm/cmos.h"

#include <string.h>
#include <time.h>

#define PORT_INDEX 0x70
#define NMI_BIT    0x80

enum {
	C_SECONDS = 0x00,
	C_MINUTES = 0x02,
	C_HOURS = 0x04,
	C_WEEKDAY = 0x06,
	C_DAY = 0x07,
	C_MONTH = 0x08,
	C_YEAR = 0x09,
	C_STATUS_A = 0x0a,
	C_STATUS_B = 0x0b,
	C_STATUS_D = 0x0d,
	C_BASE_KIB = 0x15,
	C_EXTENDED_KIB = 0x17,
	C_EXTENDED_KIB_TOO = 0x30,
	C_CENTURY = 0x32,
	C_ABOVE_16M = 0x34, /* in 64 KiB */
	C_ABOVE_4G = 0x5b,  /* likewise, three bytes */
};

#define STATUS_A_RATE  0x26 /* 32,768 Hz, no update in progress */
#define STATUS_B_24H   0x02
#define STATUS_D_VALID 0x80

static uint8_t
bcd(int n)
{
	return (uint8_t)(n / 10 % 10 << 4 | n % 10);
}

static uint8_t
read_cell(struct cmos *cmos)
{
	time_t now;
	struct tm tm;

	if (cmos->index > C_YEAR && cmos->index != C_CENTURY)
		return cmos->ram[cmos->index];
	now = (time_t)cmos->seconds(cmos->arg);
	if (gmtime_r(&now, &tm) == NULL)
		return 0;
	switch (cmos->index) {
	case C_SECONDS: return bcd(tm.tm_sec);
	case C_MINUTES: return bcd(tm.tm_min);
	case C_HOURS: return bcd(tm.tm_hour);
	case C_WEEKDAY: return bcd(tm.tm_wday + 1);
	case C_DAY: return bcd(tm.tm_mday);
	case C_MONTH: return bcd(tm.tm_mon + 1);
	case C_YEAR: return bcd(tm.tm_year % 100);
	case C_CENTURY: return bcd((tm.tm_year + 1900) / 100);
	default: return cmos->ram[cmos->index]; /* alarms */
	}
}

static uint64_t
cmos_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct cmos *cmos = arg;

	(void)bytes;
	return offset == 0 ? 0xff : read_cell(cmos);
}

static void
cmos_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct cmos *cmos = arg;

	(void)bytes;
	if (offset == 0)
		cmos->index = (uint8_t)(value & ~NMI_BIT);
	else if (cmos->index < C_STATUS_A || cmos->index > C_STATUS_D)
		cmos->ram[cmos->index] = (uint8_t)value;
}

static const struct bus_ops cmos_bus = { cmos_read, cmos_write, 1 };

static void
put(struct cmos *cmos, unsigned int at, unsigned int bytes, uint64_t value)
{
	for (unsigned int i = 0; i < bytes; i++)
		cmos->ram[at + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t
at_most(uint64_t value, uint64_t most)
{
	return value < most ? value : most;
}

void
cmos_init(struct cmos *cmos, uint64_t memory_low_bytes,
    uint64_t memory_high_bytes, uint64_t (*seconds)(void *arg), void *arg)
{
	const uint64_t mib = UINT64_C(1) << 20;
	uint64_t low = memory_low_bytes;

	memset(cmos, 0, sizeof(*cmos));
	cmos->seconds = seconds;
	cmos->arg = arg;
	bus_range_init(&cmos->range, &cmos_bus, cmos, PORT_INDEX, 2);
	cmos->ram[C_STATUS_A] = STATUS_A_RATE;
	cmos->ram[C_STATUS_B] = STATUS_B_24H;
	cmos->ram[C_STATUS_D] = STATUS_D_VALID;
	put(cmos, C_BASE_KIB, 2, 640);
	low = low > mib ? low - mib : 0;
	put(cmos, C_EXTENDED_KIB, 2, at_most(low >> 10, 0xffff));
	put(cmos, C_EXTENDED_KIB_TOO, 2, at_most(low >> 10, 0xffff));
	low = low > 15 * mib ? low - 15 * mib : 0;
	put(cmos, C_ABOVE_16M, 2, at_most(low >> 16, 0xffff));
	put(cmos, C_ABOVE_4G, 3, at_most(memory_high_bytes >> 16, 0xffffff));
}

void
cmos_archive(struct cmos *cmos, struct archive *a)
{
	archive_u8(a, &cmos->index);
	cmos->index &= (uint8_t)~NMI_BIT;
	archive_bytes(a, cmos->ram, sizeof(cmos->ram));
}
