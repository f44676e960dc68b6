#include "lab/port_kinds.h"

#include "bridge/macnat_hook.h"
#include "bridge/port_host.h"
#include "bridge/port_nic.h"
#include "bridge/port_slirp.h"
#include "bridge/port_sockets.h"
#include "bridge/port_wifi.h"
#include "pcap-tools/port_pcap.h"
#include "switch/meter.h"

const struct port_kind *const port_kinds[] = {
	&port_tap,
	&port_vhost,
	&port_pcap,
	&port_wifi,
	&port_nic,
	&port_macnat,
	&port_host,
	&port_qemu,
	&port_qemu_dgram,
	&port_vde,
	&port_vde_listen,
	&port_udp,
	&port_vxlan,
	&port_slirp,
	&port_sockets,
	&port_traffic,
	NULL,
};
