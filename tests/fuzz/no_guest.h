/*
 * no_guest.h - fuzz targets of vmm/ do without the tiny guest's image, which is
 * not made from a .c file.
 */
#ifndef TESTS_FUZZ_NO_GUEST_H
#define TESTS_FUZZ_NO_GUEST_H

#include "vmm/tiny_image.h"

const uint8_t tiny_image[1] = { 0 };
const uint64_t tiny_image_bytes = 0;

#endif
