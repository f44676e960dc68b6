/* libs: lab/nat_history.c lab/nat_facts.c router pcap-tools switch net base */
/*
 * Any bytes as a capture of a router's ports: the tables that follow from it
 * hold together, and looking at one changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/loop.h"
#include "lab/nat_facts.h"
#include "lab/nat_history.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())
#define FRAMES_MAX   20000
#define LONGEST_NS   (8 * 86400 * NS_PER_S) /* of all timers, and more */

struct seen {
	char router[NODE_NAME_BYTES];
	uint32_t id;
	unsigned int rows;
	uint64_t sum;
};

static void
see(void *arg, const char *router, const struct nat_row *row)
{
	struct seen *s = arg;

	CHECK(router[0] != '\0');
	CHECK(row->id != 0);
	CHECK(strcmp(router, s->router) != 0 || row->id > s->id);
	CHECK(row->left_ns > 0 && row->left_ns <= LONGEST_NS);
	CHECK(row->out_frames + row->in_frames > 0);
	CHECK(row->state != NULL && row->why != NULL);
	CHECK(
	    row->inside_ip != 0 || row->outside_ip != 0 || row->remote_ip != 0);
	snprintf(s->router, sizeof(s->router), "%s", router);
	s->id = row->id;
	s->rows++;
	s->sum = s->sum * 31 + row->id + row->left_ns + row->out_bytes * 3 +
	    row->in_bytes * 5 + row->inside_ip + row->outside_port;
}

static struct seen
look(struct nat_history *h)
{
	struct seen s = { .rows = 0 };

	nat_history_each(h, see, &s);
	return s;
}

static void
walk(const char *path)
{
	struct err err = { "" };
	struct reader *reader = reader_open(path, &err);
	struct nat_history *h = nat_history_new();
	struct crossing c;
	unsigned int frames = 0;

	while (reader != NULL && frames++ < FRAMES_MAX &&
	    crossing_next(reader, &c, &err) == 1) {
		struct seen once, again;

		if (nat_history_add(h, reader, &c) < 0)
			break;
		if (frames % 16 != 0)
			continue;
		once = look(h);
		again = look(h);
		CHECK(once.rows == again.rows && once.sum == again.sum);
		CHECK(once.rows <= frames * 2);
	}
	CHECK(nat_history_routers(h) <= NAT_HISTORY_ROUTERS);
	look(h);
	nat_history_free(h);
	reader_free(reader);
}

static void
check_facts(const uint8_t *data, size_t size)
{
	struct nat_facts facts;
	char *copy = strndup((const char *)data, size);

	CHECK(copy != NULL);
	if (nat_facts_read(&facts, copy))
		CHECK(facts.router[0] != '\0' && facts.outside[0] != '\0');
	CHECK(memchr(facts.router, '\0', sizeof(facts.router)) != NULL);
	CHECK(facts.rules.refresh < NAT_REFRESHES);
	for (int t = 0; t < NAT_TIMERS; t++)
		CHECK(
		    nat_idle_ns(&facts.rules, (enum nat_timer)t) <= LONGEST_NS);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;

	if (size > 0 && size < 1024 && data[0] == 'n') {
		check_facts(data, size);
		return 0;
	}
	if (fd < 0) {
		fd = memfd_create("capture", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) < 0)
		abort();
	if (size > 4 && memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0)
		return 0; /* a few bytes that become many tell nothing here */
	walk(path);
	return 0;
}
