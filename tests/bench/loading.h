/*
 * loading.h - what the programs that load something with frames begin with:
 * the time, a packet socket at a device, and an end that says why.
 */
#ifndef TESTS_BENCH_LOADING_H
#define TESTS_BENCH_LOADING_H

#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

static _Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

static inline double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A socket that sends by the device, past its queue, and takes nothing.  Leaves
 * the device's six bytes of address in mac, unless that is NULL. */
static inline int
open_sender(const char *device, uint8_t *mac)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(device) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	struct ifreq ifr = { .ifr_name = "" };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	if (fd < 0 || at.sll_ifindex == 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) <
		0 ||
	    ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		die(device);
	if (mac != NULL)
		memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	return fd;
}

#endif
