#include "lab/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <string.h>

/* The words of pcap-filter(7), but for the names of ICMP types and TCP flags,
 * which begin with icmp or tcp. */
static const char *const words[] = { "aarp", "action", "addr1", "addr2",
	"addr3", "addr4", "address1", "address2", "address3", "address4", "ah",
	"and", "arp", "atalk", "broadcast", "byte", "carp", "clnp", "csnp",
	"decnet", "dir", "direction", "dst", "es-is", "esis", "esp", "ether",
	"fddi", "gateway", "geneve", "greater", "host", "icmp", "icmp6",
	"ifname", "igmp", "igrp", "iih", "inbound", "ip", "ip6", "ipv6", "ipx",
	"is-is", "isis", "iso", "l1", "l2", "lat", "len", "length", "less",
	"link", "llc", "lsp", "mask", "mopdl", "moprc", "mpls", "multicast",
	"net", "netbeui", "not", "on", "or", "outbound", "pim", "port",
	"portrange", "pppoed", "pppoes", "proto", "protochain", "psnp", "radio",
	"rarp", "sca", "sctp", "snp", "src", "stp", "subtype", "tcp", "tr",
	"type", "udp", "vlan", "vrrp", "vxlan", "wlan" };

/* Words that may be followed by a name from a file of the host. */
static const char *const takes_name[] = { "port", "portrange", "proto",
	"protochain", "type", "subtype", "ether", "tcp", "udp", "ip", "dir" };

static bool
in_list(const char *const *list, size_t n, const char *word, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == len && memcmp(list[i], word, len) == 0)
			return true;
	return false;
}

#define IN(list, word, len) \
	in_list(list, sizeof(list) / sizeof(list[0]), word, len)

static bool
is_known(const char *word, size_t len)
{
	static const char address[] = "0123456789abcdefABCDEF:.-";

	if (strspn(word, address) >= len && strcspn(word, "0123456789:") < len)
		return true; /* addresses and numbers */
	if (len > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X') &&
	    strspn(word + 2, address) >= len - 2)
		return true;
	if ((len > 4 && memcmp(word, "icmp", 4) == 0) ||
	    (len > 3 && memcmp(word, "tcp", 3) == 0))
		return true; /* icmp-echo, tcpflags */
	return IN(words, word, len);
}

static int
check_words(const char *text, struct err *err)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	    "-_.:";
	const char *before = "";
	size_t before_len = 0;

	for (const char *p = text + strcspn(text, letters); *p != '\0';) {
		size_t len = strspn(p, letters);

		if (!is_known(p, len) && !IN(takes_name, before, before_len))
			return err_set(err, -EINVAL,
			    "filter: \"%.*s\" is neither an address nor a word "
			    "of pcap-filter(7); names are not looked up, write "
			    "the address",
			    (int)(len < 60 ? len : 60), p);
		before = p;
		before_len = len;
		p += len;
		p += strcspn(p, letters);
	}
	return 0;
}

int
filter_check(const char *text, int linktype, struct err *err)
{
	struct bpf_program program;
	pcap_t *pcap;
	int e;

	if (strlen(text) > FILTER_MAX_BYTES)
		return err_set(err, -EINVAL,
		    "filter: longer than %d letters; shorten it",
		    FILTER_MAX_BYTES);
	e = check_words(text, err);
	if (e < 0)
		return e;
	pcap = pcap_open_dead(linktype, 65535);
	if (pcap == NULL)
		return err_set(err, -ENOMEM, "filter: out of memory");
	if (pcap_compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
		e = err_set(err, -EINVAL,
		    "filter: \"%.100s\" does not compile (%s); see "
		    "pcap-filter(7)",
		    text, pcap_geterr(pcap));
	else
		pcap_freecode(&program);
	pcap_close(pcap);
	return e;
}
