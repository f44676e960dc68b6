/*
 * probe - frames into one network interface and out of another: what became of
 * them on the way.
 *
 *     probe OUT IN FRAMES PER_SECOND BYTES [BURST]
 *
 * Each frame is an IPv4 packet whose sender understands ECN, with its number in
 * it three times, so that a flipped bit does not hide which one it was.  It is
 * stamped as it is handed to the kernel; on arrival the kernel stamps it as the
 * interface gets it (SO_TIMESTAMPNS).  Both stamps are of one clock, so their
 * difference is the delay of all that lies between.  BURST frames are sent at
 * a time (1), every BURST / PER_SECOND seconds.
 *
 * Prints one line of JSON: counts, delays in milliseconds, and what follows
 * from their order.  All that arrives until a second of silence counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <math.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS          1000000000.0
#define BYTES_MAX   1514
#define HEADERS     34
#define SILENCE_MS  1000
#define SOCKET_ROOM (64 << 20)

struct arrival {
	uint32_t number;
	int64_t ns; /* its delay */
	int64_t at_ns;
	bool corrupt, marked;
};

static struct {
	int out, in;
	uint32_t frames, per_second, bytes, burst;
	int64_t *sent_ns;
	struct arrival *got;
	uint32_t ngot, foreign, flipped; /* flipped: bits */
	_Atomic bool sent_all;
} p;

static void
die(const char *what)
{
	perror(what);
	exit(2);
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int
open_at(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	int on = 1, room = SOCKET_ROOM;

	if (fd < 0 || at.sll_ifindex == 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0)
		die(name);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	return fd;
}

/* ---- frames ---- */

static void
put_number(uint8_t *frame, uint32_t number)
{
	for (int i = 0; i < 3; i++)
		memcpy(frame + HEADERS + 4 * i, &number, 4);
}

static void
make_frame(uint8_t *frame, uint32_t number)
{
	static const uint8_t head[HEADERS] = { 2, 0, 0, 0, 0xbe, 2, 2, 0, 0, 0,
		0xbe, 1, 8, 0, 0x45, 2 /* ECT(0) */, 0, 0, 0, 0, 0, 0, 64, 253,
		0, 0, 192, 0, 2, 1, 192, 0, 2, 2 };
	uint32_t sum = 0;

	for (uint32_t i = 0; i < p.bytes; i++)
		frame[i] = (uint8_t)(i * 31 + number);
	memcpy(frame, head, sizeof(head));
	frame[16] = (uint8_t)((p.bytes - 14) >> 8);
	frame[17] = (uint8_t)(p.bytes - 14);
	for (int i = 14; i < HEADERS; i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
	put_number(frame, number);
}

/* Two of the three agree.  False: not one of ours. */
static bool
number_of(const uint8_t *frame, uint32_t *number)
{
	uint32_t n[3];

	memcpy(n, frame + HEADERS, sizeof(n));
	*number = n[0] == n[1] || n[0] == n[2] ? n[0] : n[1];
	return (n[0] == n[1] || n[0] == n[2] || n[1] == n[2]) &&
	    *number < p.frames;
}

/* ---- in ---- */

static void
look_at(const uint8_t *frame, size_t len, int64_t at_ns)
{
	uint8_t want[BYTES_MAX];
	struct arrival *a = &p.got[p.ngot];
	unsigned int bits = 0;

	if (len != p.bytes || !number_of(frame, &a->number) ||
	    p.ngot == 2 * p.frames) {
		p.foreign++;
		return;
	}
	p.ngot++;
	make_frame(want, a->number);
	/* A mark changes two ECN bits and the checksum. */
	a->marked = frame[15] == 3;
	if (a->marked) {
		want[15] = frame[15];
		memcpy(want + 24, frame + 24, 2);
	}
	for (size_t i = 0; i < len; i++)
		bits += (unsigned int)__builtin_popcount(frame[i] ^ want[i]);
	a->corrupt = bits > 0;
	p.flipped += bits;
	a->at_ns = at_ns;
	a->ns = at_ns - p.sent_ns[a->number];
}

static void
receive_one(void)
{
	uint8_t frame[2048];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct sockaddr_ll from;
	struct iovec iov = { frame, sizeof(frame) };
	struct msghdr msg = { .msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(p.in, &msg, MSG_DONTWAIT);
	struct timespec ts = { 0 };

	if (n < 0 || from.sll_pkttype == PACKET_OUTGOING)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL;
	     c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_type == SO_TIMESTAMPNS)
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
	look_at(frame, (size_t)n, (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

static void *
receive(void *arg)
{
	struct pollfd at = { .fd = p.in, .events = POLLIN };

	(void)arg;
	for (;;) {
		int n = poll(&at, 1, SILENCE_MS);

		if (n < 0 && errno != EINTR)
			die("poll");
		if (n > 0)
			receive_one();
		else if (n == 0 && p.sent_all)
			return NULL;
	}
}

/* ---- out ---- */

static void
send_all(void)
{
	const double gap = NS / p.per_second;
	int64_t begin = now_ns();
	uint8_t frame[BYTES_MAX];

	for (uint32_t i = 0; i < p.frames; i++) {
		int64_t due = begin + (int64_t)(i / p.burst * p.burst * gap);
		int64_t ahead = due - now_ns();
		struct timespec ts = { .tv_sec = ahead / 1000000000,
			.tv_nsec = ahead % 1000000000 };

		if (ahead > 0)
			nanosleep(&ts, NULL);
		make_frame(frame, i);
		p.sent_ns[i] = now_ns();
		while (send(p.out, frame, p.bytes, 0) < 0)
			if (errno != ENOBUFS && errno != EINTR)
				die("send");
	}
	p.sent_all = true;
}

/* ---- what it was ---- */

static int
by_delay(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double
ms(int64_t ns)
{
	return (double)ns / 1e6;
}

static void
print_delays(void)
{
	int64_t *ns = calloc(p.ngot + 1, sizeof(*ns));
	double sum = 0, squares = 0, product = 0, mean, deviation;

	for (uint32_t i = 0; i < p.ngot; i++) {
		ns[i] = p.got[i].ns;
		sum += (double)ns[i];
		squares += (double)ns[i] * (double)ns[i];
	}
	mean = sum / p.ngot;
	deviation = sqrt(squares / p.ngot - mean * mean);
	/* Of frames that were sent one after the other. */
	int64_t *by_number = calloc(p.frames, sizeof(*by_number));
	uint32_t pairs = 0;

	for (uint32_t i = 0; i < p.ngot; i++)
		by_number[p.got[i].number] = p.got[i].ns;
	for (uint32_t i = 1; i < p.frames; i++)
		if (by_number[i] != 0 && by_number[i - 1] != 0) {
			product += ((double)by_number[i] - mean) *
			    ((double)by_number[i - 1] - mean);
			pairs++;
		}
	qsort(ns, p.ngot, sizeof(*ns), by_delay);
	printf(", \"min_ms\": %.4f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, "
	       "\"max_ms\": %.4f, \"mean_ms\": %.4f, \"deviation_ms\": %.4f, "
	       "\"alike\": %.4f, \"half_ms\": %.4f",
	    ms(ns[0]), ms(ns[p.ngot / 2]), ms(ns[(uint64_t)p.ngot * 99 / 100]),
	    ms(ns[p.ngot - 1]), mean / 1e6, deviation / 1e6,
	    product / pairs / (deviation * deviation),
	    ms(ns[(uint64_t)p.ngot * 3 / 4] - ns[p.ngot / 4]));
	free(ns);
	free(by_number);
}

/* Frames lost in a row, and how often. */
static void
print_losses(const uint8_t *times)
{
	uint32_t lost = 0, runs = 0, first = UINT32_MAX;

	printf(", \"lost_first\": [");
	for (uint32_t i = 0; i < p.frames; i++) {
		if (times[i] > 0)
			continue;
		if (lost < 8)
			printf("%s%u", lost > 0 ? ", " : "", i + 1);
		lost++;
		runs += i == 0 || times[i - 1] > 0;
		if (first == UINT32_MAX)
			first = i;
	}
	printf("], \"lost\": %u, \"runs\": %u, \"first_lost_ms\": %.3f", lost,
	    runs,
	    first == UINT32_MAX ? 0.0 : ms(p.sent_ns[first] - p.sent_ns[0]));
}

static void
print_all(void)
{
	uint8_t *times = calloc(p.frames, 1);
	uint32_t twice = 0, back = 0, corrupt = 0, marked = 0, highest = 0;
	int64_t first = INT64_MAX, last = 0, least = INT64_MAX, most = 0;

	for (uint32_t i = 0; i < p.ngot; i++) {
		const struct arrival *a = &p.got[i];

		twice += times[a->number]++ > 0;
		back += a->number < highest;
		highest = a->number > highest ? a->number : highest;
		corrupt += a->corrupt;
		marked += a->marked;
		if (a->marked && a->ns < least)
			least = a->ns;
		if (!a->marked && a->ns > most)
			most = a->ns;
		first = a->at_ns < first ? a->at_ns : first;
		last = a->at_ns > last ? a->at_ns : last;
	}
	printf("{\"sent\": %u, \"got\": %u, \"twice\": %u, \"back\": %u, "
	       "\"corrupt\": %u, \"flipped\": %u, \"marked\": %u, "
	       "\"marked_least_ms\": %.4f, \"unmarked_most_ms\": %.4f",
	    p.frames, p.ngot, twice, back, corrupt, p.flipped, marked,
	    marked > 0 ? ms(least) : 0.0, ms(most));
	printf(", \"offered_fps\": %.1f",
	    (p.frames - 1) * NS /
		(double)(p.sent_ns[p.frames - 1] - p.sent_ns[0]));
	printf(", \"fps\": %.1f, \"mbit\": %.4f",
	    p.ngot > 1 ? (p.ngot - 1) * NS / (double)(last - first) : 0,
	    p.ngot > 1
		? (p.ngot - 1) * 8.0 * p.bytes / (double)(last - first) * 1000
		: 0);
	print_losses(times);
	if (p.ngot > 2)
		print_delays();
	printf("}\n");
	free(times);
}

int
main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 6) {
		fprintf(stderr,
		    "usage: probe OUT IN FRAMES PER_SECOND BYTES [BURST]\n");
		return 2;
	}
	p.out = open_at(argv[1]);
	p.in = open_at(argv[2]);
	p.frames = (uint32_t)strtoul(argv[3], NULL, 10);
	p.per_second = (uint32_t)strtoul(argv[4], NULL, 10);
	p.bytes = (uint32_t)strtoul(argv[5], NULL, 10);
	p.burst = argc > 6 ? (uint32_t)strtoul(argv[6], NULL, 10) : 1;
	if (p.frames < 2 || p.per_second == 0 || p.burst == 0 ||
	    p.bytes < HEADERS + 12 || p.bytes > BYTES_MAX)
		return 2;
	p.sent_ns = calloc(p.frames, sizeof(p.sent_ns[0]));
	p.got = calloc(2 * p.frames + 1, sizeof(p.got[0]));
	if (p.sent_ns == NULL || p.got == NULL ||
	    pthread_create(&thread, NULL, receive, NULL) != 0)
		die("probe");
	send_all();
	pthread_join(thread, NULL);
	print_all();
	return 0;
}
