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
	size_t len = strlen(path);
	unsigned int k = 0;

	for (; sink_kinds[k + 1] != NULL; k++) {
		size_t n = strlen(sink_kinds[k]->suffix);

		if (len > n &&
		    strcmp(path + len - n, sink_kinds[k]->suffix) == 0)
			break;
	}
	return sink_kinds[k];
}
