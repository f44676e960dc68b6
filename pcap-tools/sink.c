#include "pcap-tools/sink.h"

#include <string.h>

const struct sink_kind *const sink_kinds[] = {
	&sink_pcap,
	&sink_pcapng,
	NULL,
};

const struct sink_kind *
sink_kind_of(const char *path)
{
	size_t len = strlen(path), zstd = strlen(OUTPUT_ZSTD);
	unsigned int k = 0;

	if (len > zstd && strcmp(path + len - zstd, OUTPUT_ZSTD) == 0)
		len -= zstd;

	for (; sink_kinds[k + 1] != NULL; k++) {
		size_t n = strlen(sink_kinds[k]->suffix);

		if (len > n &&
		    memcmp(path + len - n, sink_kinds[k]->suffix, n) == 0)
			break;
	}
	return sink_kinds[k];
}
