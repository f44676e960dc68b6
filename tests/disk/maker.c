#include "tests/disk/maker.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "disk/file.h"
#include "disk/refcount.h"

static void
put(const struct maker *m, uint64_t at, const void *bytes, size_t n)
{
	assert(pwrite(m->fd, bytes, n, (off_t)at) == (ssize_t)n);
}

void
maker_put32(const struct maker *m, uint64_t at, uint32_t value)
{
	uint8_t bytes[4];

	put_be32(bytes, value);
	put(m, at, bytes, sizeof(bytes));
}

void
maker_put64(const struct maker *m, uint64_t at, uint64_t value)
{
	uint8_t bytes[8];

	put_be64(bytes, value);
	put(m, at, bytes, sizeof(bytes));
}

uint64_t
maker_cluster(const struct maker *m, uint64_t n)
{
	return n << m->cluster_bits;
}

static void
fill_in(struct maker *m)
{
	if (m->version == 0)
		m->version = 3;
	if (m->cluster_bits == 0)
		m->cluster_bits = 12;
	if (m->count_bits == 0)
		m->count_bits = 16;
	if (m->size == 0)
		m->size = 1 << 20;
	if (m->l1_entries == 0)
		m->l1_entries =
		    (uint32_t)(m->size >> (m->cluster_bits * 2 - 3)) + 1;
	if (m->name_at == 0)
		m->name_at = m->version == 2 ? 80 : 120;
}

void
maker_open(struct maker *m, const char *path)
{
	uint8_t block[4096] = { 0 };
	unsigned int order;
	uint64_t clusters;

	fill_in(m);
	order = (unsigned int)__builtin_ctz(m->count_bits);
	clusters =
	    3 + ((m->l1_entries * UINT64_C(8) - 1) >> m->cluster_bits) + 1;
	assert(clusters * m->count_bits / 8 <= sizeof(block) &&
	    clusters * m->count_bits / 8 <= maker_cluster(m, 1));
	m->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert(m->fd >= 0);
	assert(ftruncate(m->fd, (off_t)maker_cluster(m, clusters)) == 0);
	maker_put32(m, 0, 0x514649fb);
	maker_put32(m, 4, m->version);
	if (m->backing != NULL) {
		maker_put64(m, 8, m->name_at);
		maker_put32(m, 16, (uint32_t)strlen(m->backing));
		put(m, m->name_at, m->backing, strlen(m->backing));
	}
	maker_put32(m, 20, m->cluster_bits);
	maker_put64(m, 24, m->size);
	maker_put32(m, 36, m->l1_entries);
	maker_put64(m, 40, maker_cluster(m, 3));
	maker_put64(m, 48, maker_cluster(m, 1));
	maker_put32(m, 56, 1);
	if (m->version == 3) {
		maker_put32(m, 96, order);
		maker_put32(m, 100, 112);
	}
	maker_put64(m, maker_cluster(m, 1), maker_cluster(m, 2));
	for (size_t i = 0; i < clusters; i++)
		refcount_put(block, i, order, 1);
	put(m, maker_cluster(m, 2), block, (clusters * m->count_bits + 7) / 8);
}

void
maker_close(struct maker *m)
{
	assert(close(m->fd) == 0);
}
