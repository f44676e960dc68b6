#include "disk/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#define USED_BYTE   100
#define DENIED_BYTE 200
#define RIGHTS      4

static int
set_locks(int fd, unsigned int rights, int byte)
{
	for (int i = 0; i < RIGHTS; i++) {
		struct flock lock = { .l_type = F_RDLCK,
			.l_whence = SEEK_SET,
			.l_start = byte + i,
			.l_len = 1 };

		if ((rights & 1u << i) != 0 &&
		    fcntl(fd, F_OFD_SETLK, &lock) < 0)
			return -errno;
	}
	return 0;
}

/* Whether another holds one of these. */
static bool
is_held(int fd, unsigned int rights, int byte)
{
	for (int i = 0; i < RIGHTS; i++) {
		struct flock lock = { .l_type = F_WRLCK,
			.l_whence = SEEK_SET,
			.l_start = byte + i,
			.l_len = 1 };

		if ((rights & 1u << i) != 0 &&
		    fcntl(fd, F_OFD_GETLK, &lock) == 0 &&
		    lock.l_type != F_UNLCK)
			return true;
	}
	return false;
}

static void
drop_locks(int fd)
{
	struct flock lock = { .l_type = F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = USED_BYTE,
		.l_len = DENIED_BYTE + RIGHTS - USED_BYTE };

	fcntl(fd, F_OFD_SETLK, &lock);
}

int
lock_take(int fd, unsigned int used, unsigned int denied, const char *path,
    struct err *err)
{
	int error = set_locks(fd, used, USED_BYTE);

	if (error == 0)
		error = set_locks(fd, denied, DENIED_BYTE);
	if (error == -ENOLCK || error == -EOPNOTSUPP || error == -EINVAL)
		return 0;
	if (error == 0 && is_held(fd, used, DENIED_BYTE))
		error = -EBUSY;
	if (error == 0 && is_held(fd, denied, USED_BYTE))
		error = -EBUSY;
	if (error == 0)
		return 0;
	drop_locks(fd);
	return err_set(err, -EBUSY,
	    "%s: another program uses this image%s; end it first", path,
	    (used & RIGHT_WRITE) != 0 ? "" : " and writes to it");
}

void
lock_keep(int fd, unsigned int used, unsigned int denied)
{
	for (int i = 0; i < RIGHTS; i++) {
		struct flock lock = { .l_type = F_UNLCK,
			.l_whence = SEEK_SET,
			.l_start = USED_BYTE + i,
			.l_len = 1 };

		if ((used & 1u << i) == 0)
			fcntl(fd, F_OFD_SETLK, &lock);
		lock.l_start = DENIED_BYTE + i;
		if ((denied & 1u << i) == 0)
			fcntl(fd, F_OFD_SETLK, &lock);
	}
}
