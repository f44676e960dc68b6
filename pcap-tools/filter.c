/*
 * libpcap compiles to BPF code and interprets it with every load checked.  An
 * expression that compares lengths or reads payload needs the whole frame, so
 * frames are shown whole to it, before any snaplen.
 */
#include "pcap-tools/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#define SNAPLEN 262144 /* the most that libpcap knows for Ethernet */

struct filter {
	char *expression;
	struct bpf_program program;
};

struct filter *
filter_new(const char *expression, uint16_t linktype, struct err *err)
{
	struct filter *filter = calloc(1, sizeof(*filter));
	pcap_t *pcap =
	    pcap_open_dead(linktype != 0 ? linktype : DLT_EN10MB, SNAPLEN);

	if (filter == NULL || pcap == NULL)
		goto no_memory;
	filter->expression = strdup(expression);
	if (filter->expression == NULL)
		goto no_memory;
	if (pcap_compile(pcap, &filter->program, expression, 1,
		PCAP_NETMASK_UNKNOWN) < 0) {
		err_set(err, -EINVAL,
		    "filter \"%s\": %s; it must be an expression as in "
		    "pcap-filter(7)",
		    expression, pcap_geterr(pcap));
		goto fail;
	}
	pcap_close(pcap);
	return filter;
no_memory:
	err_sys(err, -ENOMEM, NULL, "filter \"%s\"", expression);
fail:
	if (pcap != NULL)
		pcap_close(pcap);
	filter_free(filter);
	return NULL;
}

void
filter_free(struct filter *filter)
{
	if (filter == NULL)
		return;
	pcap_freecode(&filter->program);
	free(filter->expression);
	free(filter);
}

const char *
filter_expression(const struct filter *filter)
{
	return filter->expression;
}

bool
filter_match(const struct filter *filter, const uint8_t *data, size_t len_bytes)
{
	return bpf_filter(filter->program.bf_insns, data, (u_int)len_bytes,
		   (u_int)len_bytes) != 0;
}
