/* libs: router switch net base */
/*
 * The control connection of FTP between a sender whose stream is made of lines
 * that name ends, rightly and nearly, and of anything else, and a receiver that
 * keeps what it gets by its number.  Segments have any bounds, come again, and
 * leave gaps.
 *
 * What must hold: a number of the receiver always means the same byte; numbers
 * keep their order, and come back as they went out; nothing is written that does
 * not fit; a stream that names nothing is unchanged.
 */
#include <assert.h>
#include <string.h>

#include "base/loop.h"
#include "net/cursor.h"
#include "net/ip4.h"
#include "router/ftp_alg.h"

#define STREAM_BYTES 2048
#define GROWTH_BYTES 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ftp_ends ends[2] = {
	{ 0x0a00000a, 0xcb00710a, 5000, FTP_PORT },
	{ 0x0a00000a, 0xcb00710a, FTP_PORT, 5000 },
};

static struct {
	struct cursor in;
	struct nat *nat;
	struct ftp_control *control;
	uint32_t base; /* the number of stream[0] */
	size_t len;
	uint8_t stream[STREAM_BYTES];
	/* By the receiver's number, from GROWTH_BYTES before base on. */
	uint8_t got[GROWTH_BYTES + STREAM_BYTES + GROWTH_BYTES];
	bool has[GROWTH_BYTES + STREAM_BYTES + GROWTH_BYTES];
	uint64_t now_ns;
} f;

static void
put(const void *data, size_t n)
{
	if (n > STREAM_BYTES - f.len)
		n = STREAM_BYTES - f.len;
	memcpy(f.stream + f.len, data, n);
	f.len += n;
}

/* Appends a line, maybe with a byte of it changed. */
static void
put_line(uint8_t choice)
{
	static const char *const lines[] = { "USER anonymous\r\n",
		"PORT 10,0,0,10,15,161\r\n", "PORT 10,0,0,10,200,7\r\n",
		"EPRT |1|10.0.0.10|4001|\r\n", "220 ready\r\n",
		"227 Passive (10,0,0,10,15,161).\r\n",
		"229 Extended (|||4001|)\r\n", "RETR x\r\n" };
	const char *line = lines[choice & 7];
	size_t at = f.len, n = strlen(line);

	put(line, n);
	if (choice & 0x80 && f.len > at)
		f.stream[at + cur_u8(&f.in) % (f.len - at)] = cur_u8(&f.in);
}

static void
make_stream(void)
{
	f.len = 0;
	for (unsigned int n = cur_u8(&f.in) % 64; n > 0; n--) {
		uint8_t choice = cur_u8(&f.in);

		if ((choice & 0x60) != 0x60) {
			put_line(choice);
			continue;
		}
		for (unsigned int i = choice & 15; i > 0; i--) {
			uint8_t byte = cur_u8(&f.in);

			put(&byte, 1);
		}
	}
}

static void
receive(uint32_t seq, const uint8_t *data, size_t n)
{
	uint32_t at = seq - f.base + GROWTH_BYTES;

	assert(at <= sizeof(f.got) && n <= sizeof(f.got) - at);
	for (size_t i = 0; i < n; i++) {
		assert(!f.has[at + i] || f.got[at + i] == data[i]);
		f.has[at + i] = true;
		f.got[at + i] = data[i];
	}
}

/* One segment, of which the middle of the router makes what it does. */
static void
send(size_t from, size_t n)
{
	struct tcp_edits *edits = ftp_control_edits(f.control);
	uint32_t seq = f.base + (uint32_t)from;
	uint8_t out[STREAM_BYTES + TCP_EDITS * TCP_EDIT_BYTES];
	uint8_t exact[STREAM_BYTES];
	long len = (long)n;

	memcpy(exact, f.stream + from, n);
	if (ftp_control_wants(f.control, seq, n))
		ftp_control_read(
		    f.control, f.nat, 0xcb007101, seq, exact, n, f.now_ns);
	/* What is older than all that is remembered does not come again. */
	if (edits->moved != 0 && (int32_t)(seq - edits->edit[0].at) < 0)
		return;
	if (tcp_edits_touch(edits, seq, n))
		len = tcp_edits_apply(edits, seq, exact, n, out, sizeof(out));
	else
		memcpy(out, exact, n);
	assert(len <= (long)sizeof(out));
	if (len >= 0)
		receive(tcp_edits_out(edits, seq), out, (size_t)len);
}

static void
check_numbers(void)
{
	const struct tcp_edits *edits = ftp_control_edits(f.control);
	uint32_t last = 0;

	assert(edits->n <= TCP_EDITS);
	for (size_t i = 0; i <= f.len; i++) {
		uint32_t seq = f.base + (uint32_t)i;
		uint32_t out = tcp_edits_out(edits, seq);
		uint32_t back = tcp_edits_back(edits, out);

		assert(i == 0 || (int32_t)(out - last) >= 0);
		last = out;
		if (edits->moved != 0)
			continue;
		assert((int32_t)(seq - back) >= 0);
		assert(tcp_edits_out(edits, back) == out);
		if (edits->n == 0)
			assert(out == seq && back == seq);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct nat_options options = { .outside_ip = 0xcb007101,
		.max_entries = 16,
		.seed = 1,
		.rules.ports = NAT_PORTS_RANDOM };
	struct ftp_alg *alg = ftp_alg_new(1);
	uint8_t kind;

	f.in = cursor(data, size);
	kind = cur_u8(&f.in);
	f.base = kind & 2 ? 0xfffffff0 : 1000;
	f.now_ns = NS_PER_S;
	memset(f.has, 0, sizeof(f.has));
	f.nat = nat_new(&options, NULL);
	assert(alg != NULL && f.nat != NULL);
	f.control =
	    ftp_alg_open(alg, f.nat, &ends[kind & 1], f.base - 1, f.now_ns);
	assert(f.control == ftp_alg_find(alg, &ends[kind & 1]));
	make_stream();
	while (cur_left(&f.in) > 0 && f.len > 0) {
		size_t from = cur_be16(&f.in) % f.len;
		size_t n = cur_u8(&f.in) % (f.len - from + 1);

		f.now_ns += (uint64_t)(n & 3) * NS_PER_S;
		send(from, n);
	}
	/* And once in order, line by line. */
	for (size_t from = 0; from < f.len;) {
		const uint8_t *feed =
		    memchr(f.stream + from, '\n', f.len - from);
		size_t end =
		    feed != NULL ? (size_t)(feed - f.stream) + 1 : f.len;

		send(from, end - from);
		from = end;
	}
	check_numbers();
	nat_free(f.nat);
	ftp_alg_free(alg);
	return 0;
}
