#include "pcap-tools/pair_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tools/crossing.h"
#include "pcap-tools/pair.h"
#include "pcap-tools/pcapng.h"

#define OPT_COMMENT 1
#define BLOCK_BYTES (PCAPNG_BLOCK_MAX + PCAPNG_PACKET_MAX(READER_FRAME_MAX))

/* What a frame became, and what it was: numbers of frames from 1, 0: none. */
struct link {
	uint32_t next, before;
	uint32_t next_point, before_point;
	int64_t next_ns; /* from this one to the next */
};

struct links {
	struct link *link; /* by frame number - 1 */
	size_t n, max;
};

static bool
grow(struct links *l, size_t n)
{
	size_t max = l->max != 0 ? l->max : 1024;
	void *grown;

	while (max < n)
		max *= 2;
	if (max != l->max) {
		grown = realloc(l->link, max * sizeof(l->link[0]));
		if (grown == NULL)
			return false;
		l->link = grown;
		l->max = max;
	}
	memset(l->link + l->n, 0, (n - l->n) * sizeof(l->link[0]));
	l->n = n;
	return true;
}

static void
note(struct links *l, const struct paired *from, const struct paired *to)
{
	struct link *first = &l->link[from->number - 1];
	struct link *second = &l->link[to->number - 1];

	second->before = (uint32_t)from->number;
	second->before_point = from->point;
	if (first->next != 0)
		return;
	first->next = (uint32_t)to->number;
	first->next_point = to->point;
	first->next_ns = (int64_t)(to->at_ns - from->at_ns);
}

static int
find_links(struct links *l, const char *path, struct err *err)
{
	struct reader *reader = reader_open_any(path, err);
	struct pairing *pairing = pairing_new();
	struct paired from, to;
	struct crossing c;
	int e = reader == NULL ? -EINVAL : pairing == NULL ? -ENOMEM : 1;

	while (e == 1 && (e = crossing_next(reader, &c, err)) == 1) {
		if (c.frame.number > UINT32_MAX || !grow(l, c.frame.number)) {
			e = -ENOMEM;
			break;
		}
		if (pairing_next(pairing, &c, 0, c.frame.interface, &from, &to))
			note(l, &from, &to);
	}
	if (e == -ENOMEM)
		err_set(err, e, "%s: out of memory", path);
	pairing_free(pairing);
	reader_free(reader);
	return e;
}

/* ---- writing ---- */

struct copy {
	struct reader *reader;
	FILE *out;
	uint32_t interfaces; /* written */
	uint8_t *block;
	char comment[PCAPNG_TEXT_MAX + 1];
	size_t comment_bytes;
	char facts[PCAPNG_TEXT_MAX + 1];
};

static void __attribute__((format(printf, 2, 3)))
add(struct copy *c, const char *format, ...)
{
	size_t left = sizeof(c->comment) - c->comment_bytes;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(c->comment + c->comment_bytes, left, format, args);
	va_end(args);
	if (n > 0)
		c->comment_bytes += (size_t)n < left ? (size_t)n : left - 1;
}

static const char *
point(const struct copy *c, uint32_t number)
{
	/* One that is described further down has no name yet. */
	if (number >= reader_interfaces(c->reader))
		return "another point";
	return reader_interface(c->reader, number)->name;
}

static void
write_comment(
    struct copy *c, const struct reader_frame *f, const struct links *l)
{
	const struct link *link = &l->link[f->number - 1];
	size_t n;
	const uint8_t *was = reader_option(f, OPT_COMMENT, 0, &n);
	const char *between = "";

	c->comment_bytes = 0;
	if (was != NULL && n > 0) {
		add(c, "%.*s", (int)(n < 1500 ? n : 1500), (const char *)was);
		between = "; ";
	}
	if (link->before != 0) {
		const struct link *first = &l->link[link->before - 1];

		add(c, "%swas frame %" PRIu32 " at %s", between, link->before,
		    point(c, link->before_point));
		if (first->next == f->number)
			add(c, " %.1f us before", (double)first->next_ns / 1e3);
		between = "; ";
	}
	if (link->next != 0)
		add(c, "%sbecomes frame %" PRIu32 " at %s after %.1f us",
		    between, link->next, point(c, link->next_point),
		    (double)link->next_ns / 1e3);
	pcapng_repair(c->comment);
}

/* What follows "lanyard journey=N" in the facts of a frame. */
static size_t
write_facts(struct copy *c, const struct reader_frame *f)
{
	size_t n, skip;
	const uint8_t *was = reader_option(f, PCAPNG_OPT_CUSTOM_TEXT, 0, &n);

	if (was == NULL || n < 4 + sizeof(PCAPNG_FACTS) ||
	    n - 4 > PCAPNG_TEXT_MAX)
		return 0;
	memcpy(c->facts, was + 4, n - 4);
	c->facts[n - 4] = '\0';
	skip = sizeof(PCAPNG_FACTS) - 1;
	skip += strspn(c->facts + skip, "0123456789");
	memmove(c->facts, c->facts + skip, strlen(c->facts + skip) + 1);
	pcapng_repair(c->facts);
	return strlen(c->facts);
}

static int
put(struct copy *c, const struct writer *w)
{
	size_t n = (size_t)(w->at - c->block);

	return fwrite(c->block, 1, n, c->out) == n ? 0 : -EIO;
}

static int
write_frame(
    struct copy *c, const struct crossing *crossing, const struct links *l)
{
	const struct reader_frame *f = &crossing->frame;
	struct writer w = writer(c->block, BLOCK_BYTES);
	struct pcapng_packet p = {
		.interface = f->interface,
		.flags = f->flags,
		.at_ns = f->at_ns,
		.kept_bytes = f->kept_bytes,
		.len_bytes = f->len_bytes,
		.journey = crossing->journey,
		.data = f->data,
		.comment = c->comment,
		.facts = c->facts,
	};

	for (; c->interfaces < reader_interfaces(c->reader); c->interfaces++) {
		const struct reader_interface *i =
		    reader_interface(c->reader, c->interfaces);
		struct pcapng_interface is = {
			.name = i->name[0] != '\0' ? i->name : NULL,
			.description =
			    i->description[0] != '\0' ? i->description : NULL,
			.filter = i->filter[0] != '\0' ? i->filter : NULL,
			.facts = i->facts[0] != '\0' ? i->facts : NULL,
			.snaplen_bytes = i->snaplen_bytes,
		};

		pcapng_interface(&w, &is);
		if (put(c, &w) < 0)
			return -EIO;
		w = writer(c->block, BLOCK_BYTES);
	}
	if (!crossing->readable)
		return 0;
	write_comment(c, f, l);
	p.comment_bytes = (uint32_t)strlen(c->comment);
	p.facts_bytes = (uint32_t)write_facts(c, f);
	pcapng_packet(&w, &p);
	return put(c, &w);
}

static int
write_all(struct copy *c, const char *from, const char *to,
    const struct links *l, struct err *err)
{
	struct crossing crossing;
	struct writer w;
	int e;

	c->reader = reader_open_any(from, err);
	c->block = malloc(BLOCK_BYTES);
	if (c->reader == NULL)
		return -EINVAL;
	if (c->block == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", from);
	w = writer(c->block, BLOCK_BYTES);
	pcapng_section(&w, "lanyard", NULL);
	e = put(c, &w) < 0 ? -EIO : 1;
	while (e == 1 && (e = crossing_next(c->reader, &crossing, err)) == 1 &&
	    crossing.frame.number <= l->n)
		e = write_frame(c, &crossing, l) < 0 ? -EIO : 1;
	if (e == -EIO && err->text[0] == '\0')
		err_sys(err, -errno, NULL, "%s: cannot write", to);
	return e < 0 ? e : 0;
}

int
pair_write(const char *from, const char *to, struct err *err)
{
	struct links links = { .link = NULL };
	struct copy *c = calloc(1, sizeof(*c));
	int e = c == NULL ? err_set(err, -ENOMEM, "out of memory")
	    : strcmp(from, "-") == 0
	    ? err_set(err, -EINVAL,
		  "standard input cannot be read twice; write it to a file "
		  "first")
	    : find_links(&links, from, err);

	if (e == 0) {
		c->out = fopen(to, "wbe");
		e = c->out == NULL
		    ? err_sys(err, -errno, NULL, "%s: cannot write", to)
		    : write_all(c, from, to, &links, err);
	}
	if (c != NULL && c->out != NULL && fclose(c->out) != 0 && e == 0)
		e = err_sys(err, -errno, NULL, "%s: cannot write", to);
	if (c != NULL) {
		reader_free(c->reader);
		free(c->block);
	}
	free(c);
	free(links.link);
	return e;
}
