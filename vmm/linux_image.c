/*
 * The kernel command line is a file beside the kernel, so that it fits the
 * kernel that was installed, and that people can change it.
 */
#include "vmm/linux_image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const places[] = { "guest/linux", "../share/lanyard/linux" };

static int
join(char out[LINUX_IMAGE_PATH_BYTES], const char *dir, const char *place,
    const char *name, struct err *err)
{
	int n =
	    snprintf(out, LINUX_IMAGE_PATH_BYTES, "%s/%s/%s", dir, place, name);

	if (n >= 0 && n < LINUX_IMAGE_PATH_BYTES)
		return 0;
	return err_set(err, -ENAMETOOLONG,
	    "guest linux: %.200s...: this path is too long; move lanyard "
	    "elsewhere",
	    dir);
}

static int
read_cmdline(struct linux_image *image, const char *path, struct err *err)
{
	char *text = image->cmdline;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(image->cmdline));
	int e = n < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (e < 0)
		return err_sys(err, e, "run \"make guest\" again",
		    "guest linux: %s cannot be read", path);
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\n') {
			text[i] = '\0';
			return 0;
		} else if (text[i] < ' ' || text[i] > '~') {
			break;
		}
	return err_set(err, -EINVAL,
	    "guest linux: %s is not one line of at most %d letters; run "
	    "\"make guest\" again",
	    path, LINUX_IMAGE_CMDLINE_BYTES - 1);
}

int
linux_image_find(
    struct linux_image *image, const char *program, struct err *err)
{
	char dir[PATH_MAX], path[LINUX_IMAGE_PATH_BYTES];

	if (realpath(program, dir) == NULL)
		return err_sys(err, -errno, "start it by its path",
		    "guest linux: %s cannot be found", program);
	*strrchr(dir, '/') = '\0';
	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int e = join(image->kernel, dir, places[i], "vmlinuz", err);

		if (e == 0)
			e = join(image->initrd, dir, places[i], "initrd", err);
		if (e == 0)
			e = join(path, dir, places[i], "cmdline", err);
		if (e < 0)
			return e;
		if (access(image->kernel, R_OK) == 0 &&
		    access(image->initrd, R_OK) == 0)
			return read_cmdline(image, path, err);
	}
	return err_set(err, -ENOENT,
	    "guest linux: there is none in %s/%s; run \"make guest\" where "
	    "lanyard is built, or use guest tiny",
	    dir, places[0]);
}
