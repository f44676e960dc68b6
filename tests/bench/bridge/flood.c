/*
 * Sends frames of 64 bytes (60 without their check sequence) by a network
 * device as fast as that takes them, in bursts of 32.  Prints how many it took.
 *
 *     flood DEVICE DESTINATION SECONDS
 */
#include <errno.h>

#include "tests/bench/loading.h"

#define BURST 32
#define BYTES 60

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
	fd = open_sender(argv[1], frame + 6);
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
