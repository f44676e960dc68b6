/*
 * libpcap compiles, and its interpreter runs: its compiler makes one program of
 * an expression, which costs some tens of instructions for each packet.  The
 * frame's head is enough for all headers; an expression that looks further does
 * not match.
 */
#include "router/packet_filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdlib.h>

#define SNAPLEN 65535

struct rule {
	const struct iface *in, *out;
	enum router_filter_do what;
	struct bpf_program program;
};

struct packet_filter {
	unsigned int nrules;
	struct rule rule[PACKET_FILTER_RULES];
};

struct packet_filter *
packet_filter_new(void)
{
	return calloc(1, sizeof(struct packet_filter));
}

void
packet_filter_free(struct packet_filter *filter)
{
	if (filter == NULL)
		return;
	while (filter->nrules > 0)
		pcap_freecode(&filter->rule[--filter->nrules].program);
	free(filter);
}

int
packet_filter_add(struct packet_filter *filter, const struct iface *in,
    const struct iface *out, const char *expression, enum router_filter_do what,
    struct err *err)
{
	struct rule *rule = &filter->rule[filter->nrules];
	pcap_t *pcap;
	int e = 0;

	if (filter->nrules == PACKET_FILTER_RULES)
		return err_set(err, -ENOSPC,
		    "filter: more than %d rules; join some by \"or\"",
		    PACKET_FILTER_RULES);
	pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	if (pcap == NULL)
		return err_sys(err, -ENOMEM, NULL, "filter");
	if (pcap_compile(
		pcap, &rule->program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0)
		e = err_set(err, -EINVAL,
		    "filter \"%.100s\": %.200s; see pcap-filter(7)", expression,
		    pcap_geterr(pcap));
	pcap_close(pcap);
	if (e < 0)
		return e;
	rule->in = in;
	rule->out = out;
	rule->what = what;
	filter->nrules++;
	return 0;
}

enum router_filter_do
packet_filter_decide(const struct packet_filter *filter, const struct iface *in,
    const struct iface *out, const uint8_t *frame, size_t head, size_t len)
{
	for (unsigned int i = 0; i < filter->nrules; i++) {
		const struct rule *rule = &filter->rule[i];
		/* A rule of no port is for what comes in, once. */
		bool fits = rule->out != NULL
		    ? rule->out == out
		    : in != NULL && (rule->in == NULL || rule->in == in);

		if (fits &&
		    bpf_filter(rule->program.bf_insns, frame, (unsigned int)len,
			(unsigned int)head) != 0)
			return rule->what;
	}
	return ROUTER_FILTER_PASS;
}
