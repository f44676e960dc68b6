/*
 * pic.h - the two 8259A interrupt controllers of a PC, the second on the
 * first one's input 2, with the chipset's edge/level registers.
 *
 * The caller holds the machine's lock.  Nothing here calls anybody: after each
 * function pic_int() tells what the INTR output has become.
 */
#ifndef VMM_CHIPS_PIC_H
#define VMM_CHIPS_PIC_H

#include <stdbool.h>
#include <stdint.h>

#define PIC_LINES       16
#define PIC_CASCADE     2     /* of the first: where the second hangs */
#define PIC_PORT_FIRST  0x20  /* two ports */
#define PIC_PORT_SECOND 0xa0  /* two ports */
#define PIC_PORT_ELCR   0x4d0 /* two ports, one for each */

/* Where the initialization sequence stands: the command word that a write to
 * the odd port is. */
enum pic_expects { PIC_OCW1, PIC_ICW2, PIC_ICW3, PIC_ICW4 };

struct pic_chip {
	uint8_t level;         /* of the inputs, by bit */
	uint8_t irr, isr, imr; /* requested, in service, masked */
	uint8_t elcr;          /* inputs that are level-triggered */
	uint8_t vector;        /* of input 0 */
	uint8_t lowest;        /* the input of lowest priority */
	enum pic_expects expects;
	bool wants_icw4, single;
	bool auto_eoi, rotate_on_auto_eoi;
	bool special_mask, special_nested;
	bool read_isr, poll;
};

struct pic {
	struct pic_chip chip[2]; /* first, second */
};

/* As a firmware leaves it: all masked; PCI's lines level-triggered. */
void pic_init(struct pic *pic);

/* Could it have come about?  For a state from outside. */
bool pic_is_sane(const struct pic *pic);

/* The ports named above, a byte each. */
uint8_t pic_read(struct pic *pic, uint16_t port);
void pic_write(struct pic *pic, uint16_t port, uint8_t value);

/* An input's level.  PIC_CASCADE is not one. */
void pic_line(struct pic *pic, unsigned int line, bool level);

/* The INTR output. */
bool pic_int(const struct pic *pic);

/* The vector that pic_ack() would give now. */
uint8_t pic_peek(const struct pic *pic);

/* The CPU's acknowledge cycle.  A request that is gone yields input 7's vector
 * and no in-service bit, as the chip does. */
uint8_t pic_ack(struct pic *pic);

#endif
