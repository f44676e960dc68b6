/*
 * tiny_image.h - the tiny guest's kernel (vmm/guest), part of the program.
 */
#ifndef VMM_TINY_IMAGE_H
#define VMM_TINY_IMAGE_H

#include <stdint.h>

extern const uint8_t tiny_image[]; /* an ELF file */
extern const uint64_t tiny_image_bytes;

#endif
