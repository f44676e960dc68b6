#include "pcap-tools/file_ring.h"

#include <stdio.h>
#include <string.h>

char *
file_ring_name(const char *path, unsigned long n)
{
	const char *base = strrchr(path, '/'), *dot;
	char *name = NULL;

	base = base != NULL ? base + 1 : path;
	/* At the first dot, but for one that hides the file. */
	dot = base[0] != '\0' ? strchr(base + 1, '.') : NULL;
	if (dot == NULL)
		dot = base + strlen(base);
	if (asprintf(&name, "%.*s-%05lu%s", (int)(dot - path), path, n, dot) <
	    0)
		return NULL;
	return name;
}
