/*
 * linux_image.h - where the Linux guest's files are, and what its kernel is
 * told before all else.
 *
 * "make guest" leaves them in guest/linux beside the program; "make install"
 * puts them in ../share/lanyard/linux, seen from there.
 */
#ifndef VMM_LINUX_IMAGE_H
#define VMM_LINUX_IMAGE_H

#include "base/err.h"

#define LINUX_IMAGE_PATH_BYTES    1024
#define LINUX_IMAGE_CMDLINE_BYTES 512

/* It starts with the least; the other leaves room for programs. */
#define LINUX_IMAGE_LEAST_BYTES  (96u << 20)
#define LINUX_IMAGE_MEMORY_BYTES (128u << 20)

struct linux_image {
	char kernel[LINUX_IMAGE_PATH_BYTES], initrd[LINUX_IMAGE_PATH_BYTES];
	char cmdline[LINUX_IMAGE_CMDLINE_BYTES]; /* one line, without its end */
};

/* Finds the files for the program whose file is named; "/proc/self/exe" will
 * do.  0, or -ENOENT when there are none, or another -Exxx; with *err. */
int linux_image_find(
    struct linux_image *image, const char *program, struct err *err);

#endif
