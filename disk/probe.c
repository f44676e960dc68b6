/*
 * Formats are told by what stands at their beginning, as their own programs do
 * it.  A file that nothing is known of is raw; without this table these would
 * be, too, and a guest would be shown a header instead of its disk.
 */
#include "disk/probe.h"

#include <string.h>

static const struct {
	const char *format;
	size_t at, len;
	const char *bytes;
} beginnings[] = {
	{ "qed", 0, 4, "QED\0" },
	{ "vmdk", 0, 4, "KDMV" },
	{ "vmdk", 0, 4, "COWD" },
	{ "vmdk", 0, 21, "# Disk DescriptorFile" },
	{ "vdi", 64, 4, "\x7f\x10\xda\xbe" },
	{ "vhdx", 0, 8, "vhdxfile" },
	{ "vpc", 0, 8, "conectix" },
	{ "parallels", 0, 16, "WithoutFreeSpace" },
	{ "parallels", 0, 16, "WithouFreSpacExt" },
	{ "luks", 0, 6, "LUKS\xba\xbe" },
};

const char *
probe_foreign(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (len >= beginnings[i].at + beginnings[i].len &&
		    memcmp(bytes + beginnings[i].at, beginnings[i].bytes,
			beginnings[i].len) == 0)
			return beginnings[i].format;
	return NULL;
}
