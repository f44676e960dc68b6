/*
 * Sends frames of 64 bytes (60 without their check sequence) by a network
 * device as fast as that takes them, in bursts of 32.  Prints how many it took.
 *
 *     flood DEVICE DESTINATION SECONDS
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define BURST 32
#define BYTES 60

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Leaves the device's address in mac. */
static int
open_device(const char *name, uint8_t *mac)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	struct ifreq ifr = { .ifr_name = "" };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || at.sll_ifindex == 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) <
		0 ||
	    ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		die(name);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	return fd;
}

int
main(int argc, char **argv)
{
	uint8_t frame[BYTES] = { 0 };
	struct iovec piece = { frame, BYTES };
	struct mmsghdr messages[BURST];
	unsigned long long taken = 0;
	double end;
	int fd;

	if (argc != 4 ||
	    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &frame[0],
		&frame[1], &frame[2], &frame[3], &frame[4], &frame[5]) != 6) {
		fputs("flood DEVICE DESTINATION SECONDS\n", stderr);
		return 2;
	}
	fd = open_device(argv[1], frame + 6);
	frame[12] = 0x88; /* for experiments */
	frame[13] = 0xb5;
	memset(messages, 0, sizeof(messages));
	for (unsigned int i = 0; i < BURST; i++) {
		messages[i].msg_hdr.msg_iov = &piece;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	end = now_s() + atof(argv[3]);
	while (now_s() < end) {
		int n = sendmmsg(fd, messages, BURST, 0);

		if (n < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("sendmmsg");
		taken += n > 0 ? (unsigned long long)n : 0;
	}
	printf("%llu\n", taken);
	return 0;
}
