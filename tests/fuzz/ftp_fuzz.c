/* libs: router switch net base */
/*
 * The control connection of FTP between a speaker whose stream is made of lines
 * that name ends, rightly and nearly, and of anything else, and a receiver that
 * keeps what it gets by its number.  Segments have any bounds, get lost, come
 * again and come early; acknowledgements get lost, too; the speaker sends only
 * what is not acknowledged.
 *
 * What must hold: a number of the receiver always means the same byte; numbers
 * keep their order, and come back as they went out; nothing is acknowledged but
 * what was sent, and but for what is held back, what the receiver has; when all
 * has been sent once more in order, the receiver has all of it, without a hole;
 * a stream that names nothing is unchanged.
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
	size_t una, nxt; /* the speaker's: not acknowledged, not sent */
	uint8_t stream[STREAM_BYTES];
	/* The receiver's: what it has, all before next without a hole. */
	uint32_t next;
	uint8_t got[STREAM_BYTES + GROWTH_BYTES];
	bool has[STREAM_BYTES + GROWTH_BYTES];
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
	uint32_t at = seq - f.base;

	assert(n == 0 || at <= sizeof(f.got));
	assert(n <= sizeof(f.got) - at || n == 0);
	for (size_t i = 0; i < n; i++) {
		assert(!f.has[at + i] || f.got[at + i] == data[i]);
		f.has[at + i] = true;
		f.got[at + i] = data[i];
	}
	while (f.next - f.base < sizeof(f.got) && f.has[f.next - f.base])
		f.next++;
}

/* The speaker learns that all before ack has come. */
static void
hear(uint32_t ack)
{
	size_t at = ack - f.base;

	if ((int32_t)(ack - f.base - (uint32_t)f.una) <= 0)
		return; /* old */
	assert(at <= f.nxt);
	f.una = at;
}

static void
acknowledge(void)
{
	uint32_t ack = ftp_control_acked(f.control, f.next);

	assert(f.control->held ||
	    tcp_edits_out(&f.control->edits, ack) == f.next ||
	    (int32_t)(tcp_edits_out(&f.control->edits, ack) - f.next) < 0);
	hear(ack);
}

/* A segment, of which the middle of the router makes what it does. */
static void
send(size_t from, size_t n, bool last, bool lost, unsigned int how)
{
	struct ftp_control *c = f.control;
	uint32_t seq = f.base + (uint32_t)from;
	uint8_t out[STREAM_BYTES + TCP_EDITS * TCP_EDIT_BYTES + FTP_HELD_BYTES];
	uint8_t exact[STREAM_BYTES];
	struct ftp_segment segment = { .seq = seq,
		.data = exact,
		.n = n,
		.whole = how == 1,
		.off = how == 2,
		.out = 0xcb007101 };
	size_t pass = n;
	long len;

	if (from + n > f.nxt)
		f.nxt = from + n;
	memcpy(exact, f.stream + from, n);
	if (n > 0 && ftp_control_wants(c, seq, n) &&
	    reason_is_drop(
		ftp_control_read(c, f.nat, &segment, f.now_ns, &pass)))
		return;
	assert(pass <= n);
	len = tcp_edits_apply(&c->edits, seq, exact, pass, out, sizeof(out));
	assert(len >= 0);
	if (last && c->held && seq + (uint32_t)n == c->expect) {
		memcpy(out + len, c->line, c->line_bytes);
		len += c->line_bytes;
	}
	if (!lost)
		receive(ftp_control_out(c, seq, n), out, (size_t)len);
	if (ftp_control_owes_ack(c))
		hear(c->expect);
}

static void
check_numbers(void)
{
	const struct tcp_edits *edits = &f.control->edits;
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

/* All that is not acknowledged is sent, in order and in pieces. */
static void
finish(void)
{
	uint32_t end;

	for (size_t from = f.una; from < f.len;) {
		size_t n = 1 + cur_u8(&f.in) % 64;

		if (n > f.len - from)
			n = f.len - from;
		send(from, n, from + n == f.len, false, 0);
		acknowledge();
		from += n;
		if (f.una > from)
			from = f.una;
	}
	if (f.control->held) /* the end comes alone */
		send(f.len, 0, true, false, 0);
	end = tcp_edits_out(&f.control->edits, f.base + (uint32_t)f.len);
	assert(f.next == end);
	if (f.control->edits.n == 0 && f.control->edits.moved == 0)
		assert(memcmp(f.got, f.stream, f.len) == 0);
	assert(
	    ftp_control_acked(f.control, f.next) == f.base + (uint32_t)f.len);
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
	f.next = f.base;
	f.una = f.nxt = 0;
	memset(f.has, 0, sizeof(f.has));
	f.nat = nat_new(&options, NULL);
	assert(alg != NULL && f.nat != NULL);
	f.control =
	    ftp_alg_open(alg, f.nat, &ends[kind & 1], f.base - 1, f.now_ns);
	assert(f.control == ftp_alg_find(alg, &ends[kind & 1]));
	make_stream();
	if (kind & 4)
		acknowledge();
	while (cur_left(&f.in) > 64 && f.una < f.len) {
		uint8_t choice = cur_u8(&f.in);
		size_t reach = f.nxt - f.una + 96;
		size_t from = f.una + cur_u8(&f.in) % (reach + 1), n;

		if (choice & 1 && f.nxt < f.len)
			from = f.nxt;
		if (from > f.nxt) /* what is before it was lost */
			f.nxt = from < f.len ? from : f.len;
		if (from > f.len)
			continue;
		n = cur_u8(&f.in) % (f.len - from + 1);
		f.now_ns += (uint64_t)(n & 3) * NS_PER_S;
		send(from, n, from + n == f.len && choice & 2, choice & 4,
		    choice >> 5 == 7 ? choice >> 3 & 3 : 0);
		if (choice & 4)
			acknowledge();
	}
	finish();
	check_numbers();
	nat_free(f.nat);
	ftp_alg_free(alg);
	return 0;
}
