/*
 * What a NAT is loaded with, and what answers behind it.
 *
 *     load flood DEVICE MAC FROM TO SECONDS   datagrams in frames of 64 bytes (60
 *         without their check sequence) to the router with MAC, of 64 flows, as
 *         fast as the device takes them
 *     load sink PORT                     takes them, and reads none
 *     load echo PORT                     says datagrams back
 *     load first TO PORT N               prints the median microseconds until a
 *         new flow's first datagram is back, its second one, and how many of N
 *         were lost
 *     load flows TO PORT N               begins N flows, without overtaking
 *     load accept PORT                   takes connections to 8 ports from PORT
 *         on, and closes them
 *     load connect TO PORT SECONDS       prints how many of those it had, opened
 *         and closed, a second: 32 at a time
 *
 * Servers run until they are killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"
#include "tests/bench/loading.h"

#define FRAME_BYTES 60
#define FLOWS       64
#define BURST       32
#define PORTS       8
#define AT_A_TIME   32
#define EVENTS      64
#define PAYLOAD     18

static struct sockaddr_in
address(const char *ip, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };

	if (inet_pton(AF_INET, ip, &at.sin_addr) != 1)
		die(ip);
	return at;
}

static int
listen_at(int type, int port)
{
	struct sockaddr_in at = address("0.0.0.0", port);
	int fd = socket(AF_INET, type, 0), one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind");
	return fd;
}

/* ---- a flood ---- */

static void
write_frame(uint8_t *frame, const struct eth *eth, uint32_t from, uint32_t to,
    uint16_t port)
{
	static const uint8_t payload[PAYLOAD];
	struct writer w = writer(frame, FRAME_BYTES);
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = from,
		.dst = to,
		.total_bytes = FRAME_BYTES - ETH_HEADER_BYTES };
	struct udp udp = { .sport = port,
		.dport = 9,
		.data = payload,
		.data_bytes = PAYLOAD };

	eth_write(&w, eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, from, to);
}

static int
flood(char **arg)
{
	static uint8_t frame[FLOWS][FRAME_BYTES];
	struct eth eth = { .type = ETH_IPV4 };
	uint32_t from = ntohl(address(arg[2], 0).sin_addr.s_addr);
	uint32_t to = ntohl(address(arg[3], 0).sin_addr.s_addr);
	double end = now_s() + atof(arg[4]);
	struct mmsghdr msg[FLOWS] = { 0 };
	struct iovec iov[FLOWS];
	unsigned int at = 0;
	int fd;

	if (!mac_read(&eth.dst, arg[1]))
		die(arg[1]);
	fd = open_sender(arg[0], eth.src.b);
	for (unsigned int i = 0; i < FLOWS; i++) {
		write_frame(frame[i], &eth, from, to, (uint16_t)(20000 + i));
		iov[i] = (struct iovec){ frame[i], FRAME_BYTES };
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	for (; now_s() < end; at = (at + BURST) % FLOWS)
		if (sendmmsg(fd, &msg[at], BURST, 0) < 0 && errno != ENOBUFS &&
		    errno != EAGAIN)
			die("sendmmsg");
	return 0;
}

static _Noreturn int
sink(char **arg)
{
	int fd = listen_at(SOCK_DGRAM, atoi(arg[0])), least = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	for (;;)
		pause();
}

/* ---- round trips ---- */

static _Noreturn int
echo(char **arg)
{
	int fd = listen_at(SOCK_DGRAM, atoi(arg[0]));
	struct sockaddr_in from;
	char bytes[2048];

	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0,
		    (struct sockaddr *)&from, &len);

		if (n >= 0)
			(void)sendto(fd, bytes, (size_t)n, 0,
			    (struct sockaddr *)&from, len);
	}
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Microseconds, or -1 if nothing came back. */
static double
round_trip(int fd)
{
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	char bytes[PAYLOAD] = { 0 };
	double begin = now_s();

	if (send(fd, bytes, sizeof(bytes), 0) < 0 ||
	    poll(&answer, 1, 500) != 1 || recv(fd, bytes, sizeof(bytes), 0) < 0)
		return -1;
	return (now_s() - begin) * 1e6;
}

static int
first(char **arg)
{
	struct sockaddr_in to = address(arg[0], atoi(arg[1]));
	int n = atoi(arg[2]), had = 0;
	double *one = calloc((size_t)n, sizeof(*one));
	double *two = calloc((size_t)n, sizeof(*two));
	const struct timespec pause_2ms = { .tv_nsec = 2000000 };

	if (one == NULL || two == NULL)
		die("calloc");
	for (int i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
			die("connect");
		one[had] = round_trip(fd);
		two[had] = round_trip(fd);
		had += one[had] >= 0 && two[had] >= 0;
		close(fd);
		nanosleep(&pause_2ms, NULL);
	}
	qsort(one, (size_t)had, sizeof(*one), by_size);
	qsort(two, (size_t)had, sizeof(*two), by_size);
	printf("%.1f %.1f %d\n", had > 0 ? one[had / 2] : -1,
	    had > 0 ? two[had / 2] : -1, n - had);
	free(one);
	free(two);
	return 0;
}

static int
flows(char **arg)
{
	struct sockaddr_in to = address(arg[0], atoi(arg[1]));
	const struct timespec pause_1ms = { .tv_nsec = 1000000 };
	int n = atoi(arg[2]);

	for (int i = 0; i < n; i++) {
		struct sockaddr_in from = address("0.0.0.0", 10000 + i);
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0)
			(void)sendto(
			    fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to));
		close(fd);
		if (i % 50 == 0)
			nanosleep(&pause_1ms, NULL);
	}
	return 0;
}

/* ---- connections ---- */

static void
watch(int poll_fd, int fd, uint32_t what)
{
	struct epoll_event event = { .events = what, .data.fd = fd };

	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static _Noreturn int
accept_all(char **arg)
{
	int poll_fd = epoll_create1(0);
	struct epoll_event event[EVENTS];

	for (int i = 0; i < PORTS; i++) {
		int fd =
		    listen_at(SOCK_STREAM | SOCK_NONBLOCK, atoi(arg[0]) + i);

		if (listen(fd, 4096) < 0)
			die("listen");
		watch(poll_fd, fd, EPOLLIN);
	}
	for (;;) {
		int n = epoll_wait(poll_fd, event, EVENTS, -1), fd;

		for (int i = 0; i < n; i++)
			while ((fd = accept(event[i].data.fd, NULL, NULL)) >= 0)
				close(fd);
	}
}

static void
begin(int poll_fd, const char *ip, int port)
{
	static unsigned int started;
	struct sockaddr_in to = address(ip, port + (int)(started++ % PORTS));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 &&
		errno != EINPROGRESS))
		die("connect");
	watch(poll_fd, fd, EPOLLIN | EPOLLRDHUP);
}

static int
connect_all(char **arg)
{
	int poll_fd = epoll_create1(0), port = atoi(arg[1]);
	struct epoll_event event[EVENTS];
	double start = now_s(), end = start + atof(arg[2]);
	unsigned long had = 0;
	char byte;

	for (int i = 0; i < AT_A_TIME; i++)
		begin(poll_fd, arg[0], port);
	while (now_s() < end) {
		int n = epoll_wait(poll_fd, event, EVENTS, 50);

		for (int i = 0; i < n; i++) {
			ssize_t got = recv(event[i].data.fd, &byte, 1, 0);

			if (got < 0 && errno == EAGAIN)
				continue;
			had += got == 0; /* the other end has closed it */
			close(event[i].data.fd);
			begin(poll_fd, arg[0], port);
		}
	}
	printf("%.0f\n", (double)had / (now_s() - start));
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*run)(char **arg);
} loads[] = {
	{ "flood", 5, flood },
	{ "sink", 1, sink },
	{ "echo", 1, echo },
	{ "first", 3, first },
	{ "flows", 3, flows },
	{ "accept", 1, accept_all },
	{ "connect", 3, connect_all },
};

int
main(int argc, char **argv)
{
	const struct rlimit files = { 20000, 20000 };

	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (argc > 1 && strcmp(argv[1], loads[i].name) == 0 &&
		    argc == loads[i].args + 2)
			return loads[i].run(argv + 2);
	fprintf(stderr, "load: see the head of load.c\n");
	return 2;
}
