/*
 * Frames through a switch that is reached by a device or a socket.
 *
 *     pump FROM TO BYTES SECONDS RATE CPU
 *
 * FROM and TO are dev:NAME (a packet socket there) or vde:DIR (a plug in a
 * vde_switch).  Sends at RATE frames a second (0: as many as go) on processor 0
 * and receives on processor CPU, many frames a system call.  Prints how many
 * frames a second arrived.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "switch/vde.h"
#include "tests/bench/loading.h"

#define MANY      64
#define FRAME_MAX 2048
#define ETHERTYPE 0x88b5 /* for experiments (IEEE 802) */

static const unsigned char mac_from[6] = { 2, 0, 0, 0, 0, 1 };
static const unsigned char mac_to[6] = { 2, 0, 0, 0, 0, 2 };

struct plug {
	int fd;
	struct sockaddr_storage far;
	socklen_t far_bytes; /* 0: the socket knows */
};

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

/* ---- plugs ---- */

static void
open_device(struct plug *plug, const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_protocol = __builtin_bswap16(ETHERTYPE),
		.sll_ifindex = (int)if_nametoindex(name) };
	const int one = 1, bytes = 8 << 20;

	plug->fd = socket(AF_PACKET, SOCK_RAW, at.sll_protocol);
	if (plug->fd < 0 ||
	    bind(plug->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(name);
	(void)setsockopt(
	    plug->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(
	    plug->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	(void)setsockopt(
	    plug->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
}

static void
open_vde(struct plug *plug, const char *dir)
{
	static unsigned int n;
	struct vde_request request = { .plug.sun_family = AF_UNIX,
		.description = "pump" };
	struct sockaddr_un ctl = { .sun_family = AF_UNIX }, far;
	uint8_t bytes[VDE_REQUEST_MAX], answer[VDE_ANSWER_BYTES];
	size_t len;
	int stream = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(ctl.sun_path, sizeof(ctl.sun_path), "%s/ctl", dir);
	snprintf(request.plug.sun_path, sizeof(request.plug.sun_path),
	    "%s/pump.%d.%u", dir, (int)getpid(), n++);
	plug->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (plug->fd < 0 ||
	    bind(plug->fd, (struct sockaddr *)&request.plug,
		sizeof(request.plug)) < 0 ||
	    connect(stream, (struct sockaddr *)&ctl, sizeof(ctl)) < 0)
		die(dir);
	len = vde_request_write(&request, bytes);
	if (write(stream, bytes, len) != (ssize_t)len ||
	    recv(stream, answer, sizeof(answer), MSG_WAITALL) !=
		(ssize_t)sizeof(answer) ||
	    vde_answer_read(&far, answer) != NULL)
		die(dir);
	memcpy(&plug->far, &far, sizeof(far));
	plug->far_bytes = sizeof(far);
	unlink(request.plug.sun_path);
	/* the stream stays open: it is what keeps the plug in */
}

static void
open_plug(struct plug *plug, const char *at)
{
	if (strncmp(at, "dev:", 4) == 0)
		open_device(plug, at + 4);
	else if (strncmp(at, "vde:", 4) == 0)
		open_vde(plug, at + 4);
	else
		exit(2);
}

/* ---- frames ---- */

static unsigned char frame[MANY][FRAME_MAX];

/* Messages for all of frame[], each of so many bytes. */
static void
describe(struct mmsghdr *msg, struct iovec *iov, struct plug *plug, size_t n)
{
	memset(msg, 0, MANY * sizeof(*msg));
	for (unsigned int i = 0; i < MANY; i++) {
		iov[i] = (struct iovec){ frame[i], n };
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
		if (plug->far_bytes > 0) {
			msg[i].msg_hdr.msg_name = &plug->far;
			msg[i].msg_hdr.msg_namelen = plug->far_bytes;
		}
	}
}

static void
write_heads(const unsigned char *to, const unsigned char *from)
{
	for (unsigned int i = 0; i < MANY; i++) {
		memcpy(frame[i], to, 6);
		memcpy(frame[i] + 6, from, 6);
		frame[i][12] = ETHERTYPE >> 8;
		frame[i][13] = ETHERTYPE & 0xff;
	}
}

static void
receive(struct plug *plug, volatile unsigned long *got)
{
	static const struct plug nobody;
	struct mmsghdr msg[MANY];
	struct iovec iov[MANY];
	struct plug from = nobody;

	describe(msg, iov, &from, FRAME_MAX);
	for (;;) {
		int n = recvmmsg(plug->fd, msg, MANY, MSG_WAITFORONE, NULL);

		for (int i = 0; i < n; i++)
			if (msg[i].msg_len >= 60 &&
			    memcmp(frame[i] + 6, mac_from, 6) == 0)
				(*got)++;
	}
}

static void
transmit(struct plug *plug, size_t bytes, double seconds, double rate)
{
	struct mmsghdr msg[MANY];
	struct iovec iov[MANY];
	double begin = now_s(), end = begin + seconds, now;
	unsigned long sent = 0;

	describe(msg, iov, plug, bytes);
	write_heads(mac_to, mac_from);
	while ((now = now_s()) < end) {
		unsigned int n = MANY;

		if (rate > 0) {
			double due = (now - begin) * rate - (double)sent;

			n = due < 1 ? 0 : due < MANY ? (unsigned int)due : MANY;
		}
		if (n == 0)
			continue;
		if (sendmmsg(plug->fd, msg, n, 0) < 0 && errno != ENOBUFS &&
		    errno != EAGAIN)
			die("sendmmsg");
		sent += n;
	}
}

int
main(int argc, char **argv)
{
	volatile unsigned long *got;
	unsigned long before;
	struct plug from = { 0 }, to = { 0 };
	double begin, seconds;
	pid_t sink;

	if (argc != 7)
		return 2;
	open_plug(&from, argv[1]);
	open_plug(&to, argv[2]);
	seconds = atof(argv[4]);
	got = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (got == MAP_FAILED)
		die("mmap");
	sink = fork();
	if (sink == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(atoi(argv[6]));
		receive(&to, got);
	}
	/* The receiver says where it is. */
	write_heads(mac_from, mac_to);
	if (sendto(to.fd, frame[0], 64, 0,
		to.far_bytes > 0 ? (struct sockaddr *)&to.far : NULL,
		to.far_bytes) < 0)
		die("send");
	usleep(50000);
	pin(0);
	before = *got;
	begin = now_s();
	transmit(&from, (size_t)atoi(argv[3]), seconds, atof(argv[5]));
	printf("%.1f\n", (double)(*got - before) / (now_s() - begin));
	kill(sink, SIGKILL);
	waitpid(sink, NULL, 0);
	return 0;
}
