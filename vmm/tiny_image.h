/*
 * tiny_image.h - the tiny guest's kernel (vmm/guest), part of the program.
 */
#ifndef VMM_TINY_IMAGE_H
#define VMM_TINY_IMAGE_H

#include <stdint.h>

extern const uint8_t tiny_image[], tiny_image_end[]; /* an ELF file */

#endif
