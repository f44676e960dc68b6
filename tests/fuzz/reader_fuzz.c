/* libs: pcap-tools switch net base */
/*
 * Any bytes as a capture file: what the reader gives lies within what it
 * says, and it ends.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pcap-tools/reader.h"

static volatile uint8_t seen;

static void
touch(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		seen ^= p[i];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;
	struct reader_frame frame;
	struct reader *reader;
	struct err err = { "" };
	uint64_t frames = 0;
	int e = 0;

	if (fd < 0) {
		fd = memfd_create("capture", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) < 0)
		abort();
	reader = reader_open(path, &err);
	assert((reader == NULL) == (err.text[0] != '\0'));
	while (reader != NULL && (e = reader_next(reader, &frame, &err)) == 1) {
		size_t n;
		const uint8_t *option;

		frames++;
		assert(frame.number == frames);
		assert(frame.kept_bytes <= frame.len_bytes);
		assert(frame.kept_bytes <= READER_FRAME_MAX);
		assert(frame.interface < reader_interfaces(reader));
		touch(frame.data, frame.kept_bytes);
		for (unsigned int nth = 0; nth < 4; nth++) {
			option = reader_option(&frame, 1, nth, &n);
			if (option != NULL)
				touch(option, n);
		}
		/* Compressed, a few bytes can be many. */
		if (frames > 100000)
			break;
	}
	assert(e >= 0 || err.text[0] != '\0');
	for (uint32_t i = 0; reader != NULL && i < reader_interfaces(reader);
	     i++) {
		const struct reader_interface *is = reader_interface(reader, i);

		assert(strlen(is->facts) <= READER_TEXT_MAX);
		touch((const uint8_t *)is->name, strlen(is->name));
		touch((const uint8_t *)is->facts, strlen(is->facts));
	}
	reader_free(reader);
	return 0;
}
