/*
 * latency FILE SECONDS: for a guest, whose disk is to be seen standing still.
 *
 * Writes blocks of 4 KiB of the file, past the page cache, one after another,
 * and prints how many there were, then times that a write took, in microseconds:
 * the median, the longest of all, and the median of each second's longest.  What
 * happens in every second is in the last one, what happens once is not.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK   4096
#define BLOCKS  2048
#define MOST    1000000
#define SECONDS 3600

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int
by_size(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int
main(int argc, char **argv)
{
	static uint32_t took[MOST], longest[SECONDS];
	uint64_t begin, seconds, state = 1;
	size_t n = 0;
	void *block;
	int fd;

	if (argc != 3 || posix_memalign(&block, BLOCK, BLOCK) != 0)
		return 2;
	fd = open(argv[1], O_WRONLY | O_CREAT | O_DIRECT, 0644);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	memset(block, 1, BLOCK);
	/* All blocks are there before the clock runs. */
	for (int i = 0; i < BLOCKS; i++)
		if (pwrite(fd, block, BLOCK, (off_t)i * BLOCK) != BLOCK)
			return 1;
	fsync(fd);
	seconds = strtoull(argv[2], NULL, 10);
	begin = now_us();
	while (n < MOST) {
		uint64_t at = now_us(), second = (at - begin) / 1000000;

		if (second >= seconds || second >= SECONDS)
			break;
		state = state * 6364136223846793005u + 1442695040888963407u;
		memcpy(block, &state, sizeof(state));
		if (pwrite(fd, block, BLOCK,
			(off_t)(state >> 33) % BLOCKS * BLOCK) != BLOCK)
			return 1;
		took[n] = (uint32_t)(now_us() - at);
		if (took[n] > longest[second])
			longest[second] = took[n];
		n++;
	}
	if (n == 0)
		return 1;
	qsort(took, n, sizeof(took[0]), by_size);
	qsort(longest, seconds, sizeof(longest[0]), by_size);
	printf("%zu %u %u %u\n", n, took[n / 2], took[n - 1],
	    longest[seconds / 2]);
	return 0;
}
