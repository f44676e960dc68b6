/*
 * Other capabilities are left alone: who runs a lab as root may have captures
 * and disks where only root can write.  A program that we start would get them
 * anew as root, or by the file's capabilities; PR_SET_NO_NEW_PRIVS sees to it
 * that it does not.
 */
#include "bridge/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

const char *
privilege_remedy(int error)
{
	static _Thread_local char line[ERR_MAX_BYTES];
	char path[PATH_MAX] = "";

	if (error != EPERM && error != EACCES)
		return NULL;
	if (readlink("/proc/self/exe", path, sizeof(path) - 1) <= 0)
		strcpy(path, "lanyard");
	snprintf(line, sizeof(line),
	    "run it by sudo, or once: sudo setcap "
	    "cap_net_admin,cap_net_raw+ep %.200s",
	    path);
	return line;
}

int
privilege_need(const char *who, struct err *err)
{
	if (capng_get_caps_process() == 0 &&
	    capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return 0;
	return err_sys(err, -EPERM, privilege_remedy(EPERM),
	    "%s: cannot make an interface of the host", who);
}

int
privilege_drop(struct err *err)
{
	int held;

	if (capng_get_caps_process() < 0)
		return err_set(
		    err, -EIO, "the process's capabilities cannot be read");
	held = capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN) ||
	    capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW);
	if (!held)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(
		    err, -errno, NULL, "new privileges cannot be forgone");
	capng_updatev(CAPNG_DROP,
	    CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE,
	    CAP_NET_ADMIN, CAP_NET_RAW, -1);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return err_set(err, -EPERM,
		    "CAP_NET_ADMIN and CAP_NET_RAW cannot be given away");
	return 0;
}
