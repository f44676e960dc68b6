/*
 * PM1 event and control registers (ACPI 6.4, 4.8.3).  ACPI mode is always on,
 * no event ever happens: there are no buttons and no power-management timer.
 */
#include "vmm/power.h"

#include <string.h>

#define SCI_ENABLED 0x0001
#define SLP_TYPE(c) ((c) >> 10 & 7)
#define SLP_ENABLE  0x2000

static uint64_t
pm1_read(void *arg, uint64_t offset, unsigned int bytes)
{
	const struct power *power = arg;
	uint64_t all = power->status | (uint64_t)power->enable << 16 |
	    (uint64_t)(power->control | SCI_ENABLED) << 32;

	(void)bytes;
	return all >> 8 * offset;
}

static void
pm1_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct power *power = arg;

	(void)bytes;
	switch (offset) {
	case 0: power->status &= (uint16_t)~value; break;
	case 2: power->enable = (uint16_t)value; break;
	case 4:
		power->control = (uint16_t)value & (uint16_t)~SLP_ENABLE;
		if (value & SLP_ENABLE && SLP_TYPE(value) == POWER_S5_TYPE)
			power->off(power->arg);
		break;
	default: break; /* single odd bytes: no guest does it */
	}
}

static const struct bus_ops pm1_bus = { pm1_read, pm1_write, 2 };

void
power_init(struct power *power, void (*off)(void *arg), void *arg)
{
	memset(power, 0, sizeof(*power));
	power->off = off;
	power->arg = arg;
	bus_range_init(&power->range, &pm1_bus, power, POWER_PM1_EVENT, 6);
}

void
power_reset(struct power *power)
{
	power->status = power->enable = power->control = 0;
}

void
power_archive(struct power *power, struct archive *a)
{
	archive_u16(a, &power->status);
	archive_u16(a, &power->enable);
	archive_u16(a, &power->control);
}
