#include "lab/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
program_find(const char *name, const char *package, struct err *err)
{
	const char *path = getenv("PATH");
	char file[4096];

	for (const char *p = path; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, ":");

		snprintf(file, sizeof(file), "%.*s/%s",
		    (int)(len < 4000 ? len : 4000), p, name);
		if (access(file, X_OK) == 0)
			return 0;
		p += len + (p[len] == ':');
	}
	return err_set(
	    err, -ENOENT, "%s is not installed; apt install %s", name, package);
}
