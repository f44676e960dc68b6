/*
 * Sends frames of BYTES bytes by a network device, RATE a second for SECONDS,
 * in bursts of 32: what offer.c offers to a capture of ours, for one of the
 * kernel's devices.  Prints JSON.
 *
 *     blast DEVICE BYTES RATE SECONDS
 */
#include "tests/bench/loading.h"

#define BURST    32
#define NBUFFERS 256

static uint8_t buffers[NBUFFERS][2048];

int
main(int argc, char **argv)
{
	struct mmsghdr messages[BURST];
	struct iovec pieces[BURST];
	unsigned int next = 0;
	uint64_t sent = 0;
	double start, took, rate, seconds;
	size_t bytes;
	int fd;

	if (argc != 5) {
		fputs("blast DEVICE BYTES RATE SECONDS\n", stderr);
		return 2;
	}
	fd = open_sender(argv[1], NULL);
	bytes = (size_t)atoi(argv[2]);
	rate = atof(argv[3]);
	seconds = atof(argv[4]);
	if (bytes < 14 || bytes > sizeof(buffers[0]))
		return 2;
	for (unsigned int i = 0; i < NBUFFERS; i++) {
		memset(buffers[i], (int)i, sizeof(buffers[i]));
		memset(buffers[i], 0xff, 6); /* to all */
		buffers[i][12] = 0x88;       /* for experiments */
		buffers[i][13] = 0xb5;
	}
	start = now_s();
	while ((took = now_s() - start) < seconds) {
		int n;

		if ((double)sent > took * rate)
			continue;
		memset(messages, 0, sizeof(messages));
		for (unsigned int i = 0; i < BURST; i++) {
			pieces[i] =
			    (struct iovec){ buffers[next++ % NBUFFERS], bytes };
			messages[i].msg_hdr.msg_iov = &pieces[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		n = sendmmsg(fd, messages, BURST, 0);
		if (n < 0)
			die("sendmmsg");
		sent += (uint64_t)n;
	}
	printf("{\"fps\": %.0f, \"sent\": %llu}\n", (double)sent / took,
	    (unsigned long long)sent);
	return 0;
}
