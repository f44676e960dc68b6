/*
 * The 8259A pair (Intel 231468), as the south bridges have it: bit 3 of ICW1,
 * level triggering for all inputs, gives way to the edge/level registers.
 *
 * An edge is remembered until it is acknowledged or the chip is initialized.
 * The original forgot it when the input fell before the acknowledge and made a
 * spurious interrupt of it; the bridges, and what guests are used to, do not.
 *
 * The second chip's output falls with each acknowledge and rises again if there
 * is more to serve, so that the first one sees each request as an edge.  Here
 * input 2 just follows whether there is one; cascade() keeps it up to date.
 *
 * Left out: 8080 mode (ICW4 without bit 0), for which there is no CPU, and
 * buffered mode and the contents of ICW3, for which there is no other board.
 */
#include "vmm/chips/pic.h"

#include <assert.h>
#include <string.h>

#define NONE 8 /* inputs are 0 to 7 */

#define ELCR_FIRST  0xf8 /* inputs that can be level-triggered: not the */
#define ELCR_SECOND 0xde /* timer, keyboard, cascade, clock and FPU */
#define ELCR_PCI    0x0c /* of the second: lines 10 and 11 */

#define ICW1       0x10
#define ICW1_ICW4  0x01
#define ICW1_ALONE 0x02
#define ICW4_AUTO  0x02
#define ICW4_SFNM  0x10

#define OCW3           0x08
#define OCW3_READ      0x02 /* ... which register: */
#define OCW3_ISR       0x01
#define OCW3_POLL      0x04
#define OCW3_SPECIAL   0x40 /* ... mask mode: */
#define OCW3_SPECIAL_1 0x20

/* OCW2's upper three bits */
enum {
	ROTATE_AUTO_OFF,
	EOI,
	NOTHING,
	EOI_SPECIFIC,
	ROTATE_AUTO_ON,
	EOI_ROTATE,
	SET_LOWEST,
	EOI_ROTATE_SPECIFIC,
};

static const uint8_t elcr_mask[2] = { ELCR_FIRST, ELCR_SECOND };

/* ---- one chip ---- */

/* The input of highest priority among set, or NONE. */
static unsigned int
highest(const struct pic_chip *c, uint8_t set)
{
	for (unsigned int i = 1; set != 0 && i <= 8; i++) {
		unsigned int input = (c->lowest + i) & 7;

		if (set >> input & 1)
			return input;
	}
	return NONE;
}

/* Its place in the order of priorities: 0 is first. */
static unsigned int
rank(const struct pic_chip *c, unsigned int input)
{
	return input == NONE ? NONE : (input - c->lowest - 1) & 7;
}

/* The request that the chip would have served now, or NONE. */
static unsigned int
request(const struct pic_chip *c, bool first)
{
	unsigned int wanted = highest(c, c->irr & ~c->imr);
	uint8_t served = c->isr;

	if (c->special_mask)
		served &= ~c->imr;
	/* The second chip may ask again while one of its own is served. */
	if (c->special_nested && first)
		served &= ~(1u << PIC_CASCADE);
	if (wanted == NONE || rank(c, wanted) >= rank(c, highest(c, served)))
		return NONE;
	return wanted;
}

static void
input(struct pic_chip *c, unsigned int n, bool level)
{
	uint8_t bit = (uint8_t)(1u << n);
	bool was = c->level & bit;

	c->level = level ? c->level | bit : c->level & ~bit;
	if (c->elcr & bit)
		c->irr = level ? c->irr | bit : c->irr & ~bit;
	else if (level && !was)
		c->irr |= bit;
}

static void
serve(struct pic_chip *c, unsigned int n)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (!(c->elcr & bit))
		c->irr &= ~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->rotate_on_auto_eoi)
		c->lowest = (uint8_t)n;
}

/* ---- command words ---- */

static void
icw1(struct pic_chip *c, uint8_t value)
{
	c->irr = c->level & c->elcr;
	c->isr = c->imr = 0;
	c->lowest = 7;
	c->auto_eoi = c->rotate_on_auto_eoi = false;
	c->special_mask = c->special_nested = false;
	c->read_isr = c->poll = false;
	c->wants_icw4 = value & ICW1_ICW4;
	c->single = value & ICW1_ALONE;
	c->expects = PIC_ICW2;
}

/* A write to the odd port. */
static void
odd_write(struct pic_chip *c, uint8_t value)
{
	enum pic_expects after = c->wants_icw4 ? PIC_ICW4 : PIC_OCW1;

	switch (c->expects) {
	case PIC_OCW1: c->imr = value; break;
	case PIC_ICW2:
		c->vector = value & 0xf8;
		c->expects = c->single ? after : PIC_ICW3;
		break;
	case PIC_ICW3: c->expects = after; break;
	case PIC_ICW4:
		c->auto_eoi = value & ICW4_AUTO;
		c->special_nested = value & ICW4_SFNM;
		c->expects = PIC_OCW1;
		break;
	}
}

/* Which in-service bit an EOI that names none means, or NONE. */
static unsigned int
to_end(const struct pic_chip *c)
{
	return highest(c, c->special_mask ? c->isr & ~c->imr : c->isr);
}

static void
ocw2(struct pic_chip *c, uint8_t value)
{
	unsigned int named = value & 7, n = named;

	switch (value >> 5) {
	case ROTATE_AUTO_OFF: c->rotate_on_auto_eoi = false; break;
	case ROTATE_AUTO_ON: c->rotate_on_auto_eoi = true; break;
	case SET_LOWEST: c->lowest = (uint8_t)named; break;
	case EOI_SPECIFIC: c->isr &= ~(1u << named); break;
	case EOI_ROTATE_SPECIFIC:
		c->isr &= ~(1u << named);
		c->lowest = (uint8_t)named;
		break;
	case EOI:
	case EOI_ROTATE:
		n = to_end(c);
		if (n == NONE)
			break;
		c->isr &= ~(1u << n);
		if (value >> 5 == EOI_ROTATE)
			c->lowest = (uint8_t)n;
		break;
	case NOTHING: break;
	}
}

static void
ocw3(struct pic_chip *c, uint8_t value)
{
	if (value & OCW3_POLL)
		c->poll = true;
	else if (value & OCW3_READ)
		c->read_isr = value & OCW3_ISR;
	if (value & OCW3_SPECIAL)
		c->special_mask = value & OCW3_SPECIAL_1;
}

/* ---- both ---- */

static void
cascade(struct pic *pic)
{
	const uint8_t bit = 1u << PIC_CASCADE;

	if (request(&pic->chip[1], false) != NONE)
		pic->chip[0].irr |= bit;
	else
		pic->chip[0].irr &= (uint8_t)~bit;
}

void
pic_init(struct pic *pic)
{
	memset(pic, 0, sizeof(*pic));
	for (unsigned int i = 0; i < 2; i++) {
		pic->chip[i].imr = 0xff;
		pic->chip[i].lowest = 7;
	}
	pic->chip[1].elcr = ELCR_PCI;
}

bool
pic_is_sane(const struct pic *pic)
{
	for (unsigned int i = 0; i < 2; i++)
		if (pic->chip[i].lowest > 7 || pic->chip[i].vector & 7 ||
		    (unsigned int)pic->chip[i].expects > PIC_ICW4)
			return false;
	return true;
}

static bool
is_elcr(uint16_t port)
{
	return port == PIC_PORT_ELCR || port == PIC_PORT_ELCR + 1;
}

static unsigned int
chip_of(uint16_t port)
{
	return is_elcr(port) ? port & 1 : port >= PIC_PORT_SECOND;
}

/* The poll command makes the next read an acknowledge cycle. */
static uint8_t
poll_read(struct pic *pic, unsigned int i)
{
	struct pic_chip *c = &pic->chip[i];
	unsigned int n = request(c, i == 0);

	c->poll = false;
	if (n == NONE)
		return 0;
	serve(c, n);
	cascade(pic);
	return (uint8_t)(0x80 | n);
}

uint8_t
pic_read(struct pic *pic, uint16_t port)
{
	unsigned int i = chip_of(port);
	const struct pic_chip *c = &pic->chip[i];

	if (is_elcr(port))
		return c->elcr;
	if (c->poll)
		return poll_read(pic, i);
	if (port & 1)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static void
elcr_write(struct pic_chip *c, uint8_t value)
{
	uint8_t changed = c->elcr ^ value;

	c->elcr = value;
	/* A level counts from now on; an edge would have to come anew. */
	c->irr = (c->irr & ~changed) | (c->level & changed & value);
}

void
pic_write(struct pic *pic, uint16_t port, uint8_t value)
{
	unsigned int i = chip_of(port);
	struct pic_chip *c = &pic->chip[i];

	if (is_elcr(port))
		elcr_write(c, value & elcr_mask[i]);
	else if (port & 1)
		odd_write(c, value);
	else if (value & ICW1)
		icw1(c, value);
	else if (value & OCW3)
		ocw3(c, value);
	else
		ocw2(c, value);
	cascade(pic);
}

void
pic_line(struct pic *pic, unsigned int line, bool level)
{
	assert(line < PIC_LINES && line != PIC_CASCADE);
	input(&pic->chip[line >> 3], line & 7, level);
	cascade(pic);
}

bool
pic_int(const struct pic *pic)
{
	return request(&pic->chip[0], true) != NONE;
}

/* The chip that answers the acknowledge and the input it names, 7 if there is
 * no request any more; *from is what the first chip serves, or NONE. */
static uint8_t
answer(const struct pic *pic, unsigned int *from, unsigned int *second)
{
	const struct pic_chip *c = &pic->chip[0];
	unsigned int n = request(c, true);

	*from = n;
	*second = NONE;
	if (n == PIC_CASCADE) {
		c = &pic->chip[1];
		n = *second = request(c, false);
	}
	return (uint8_t)(c->vector + (n == NONE ? 7 : n));
}

uint8_t
pic_peek(const struct pic *pic)
{
	unsigned int from, second;

	return answer(pic, &from, &second);
}

uint8_t
pic_ack(struct pic *pic)
{
	unsigned int from, second;
	uint8_t vector = answer(pic, &from, &second);

	if (second != NONE)
		serve(&pic->chip[1], second);
	if (from != NONE)
		serve(&pic->chip[0], from);
	cascade(pic);
	return vector;
}
