/*
 * Guest memory: a sorted table of mappings.
 *
 * Regions are few (QEMU has two or three, our own VMM one) and nearly every
 * address falls into the same one, so that a hit on the last region is tried
 * first and the rest is a binary search.  Neither the guest's nor the front
 * end's addresses of two regions may overlap: else a lookup would depend on
 * their order.
 *
 * The offset need not be a multiple of the page size, let alone of that of huge
 * pages, so the mapping begins at the block before and the rest is arithmetic.
 *
 * A file that is shared can be shrunk by whoever has it, and a touch of a page
 * that is no more is SIGBUS, as is one that the host has no huge page for: a
 * front end could kill the fabric.  We set the seal that forbids shrinking
 * where that is possible (not for files); for all else a handler puts a page
 * of zeros in its place and marks the table, whose owner drops the front end.
 * That is this file's one global, since a signal has no argument.  The list
 * changes only on the loop's thread, which is also the only one that touches
 * guest memory, so that the handler never meets a list half changed.
 * Rejected: to copy through process_vm_readv() (a system call per frame), and
 * to insist on the seal (QEMU's memory-backend-file has none).
 */
#include "switch/guest_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory that is cut short ---- */

static struct guest_mem *guarded;
static struct sigaction before; /* what SIGBUS did, for what is not ours */

static bool
mend(struct guest_mem *mem, uint8_t *touched)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uint8_t *at = (uint8_t *)((uintptr_t)touched & ~(page - 1));

	for (unsigned int i = 0; i < mem->n; i++) {
		const struct guest_region *r = &mem->region[i];
		uint8_t *map = r->map;

		if (touched < map || touched >= map + r->map_bytes)
			continue;
		mem->torn = true;
		if (mmap(at, page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			0) != MAP_FAILED)
			return true;
		/* Part of a huge page cannot be replaced: all of it then. */
		return mmap(map, r->map_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			       MAP_FIXED,
			   -1, 0) != MAP_FAILED;
	}
	return false;
}

static void
bus_error(int signal, siginfo_t *info, void *context)
{
	int keep = errno;

	(void)context;
	for (struct guest_mem *mem = guarded; mem != NULL; mem = mem->next)
		if (mend(mem, info->si_addr)) {
			errno = keep;
			return;
		}
	/* Not ours: as if we had not been here, at the second attempt. */
	sigaction(signal, &before, NULL);
	errno = keep;
}

static void
guard(struct guest_mem *mem)
{
	struct sigaction act = { .sa_sigaction = bus_error,
		.sa_flags = SA_SIGINFO };

	if (mem->guarded)
		return;
	if (guarded == NULL)
		sigaction(SIGBUS, &act, &before);
	mem->guarded = true;
	mem->next = guarded;
	guarded = mem;
}

static void
unguard(struct guest_mem *mem)
{
	struct guest_mem **at = &guarded;

	if (!mem->guarded)
		return;
	while (*at != mem)
		at = &(*at)->next;
	*at = mem->next;
	mem->guarded = false;
	if (guarded == NULL)
		sigaction(SIGBUS, &before, NULL);
}

/* ---- the table ---- */

void
guest_mem_init(struct guest_mem *mem)
{
	memset(mem, 0, sizeof(*mem));
}

static bool
overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

/* Everything about a region that can be wrong before it is mapped. */
static int
check(const struct guest_mem *mem, uint64_t guest, uint64_t user,
    uint64_t bytes, uint64_t offset, struct err *err)
{
	if (bytes == 0 || bytes > SIZE_MAX / 4 || guest + bytes < guest ||
	    user + bytes < user || offset + bytes < offset ||
	    offset > INT64_MAX / 2)
		return err_set(err, -EINVAL,
		    "region of %#" PRIx64 " bytes at %#" PRIx64
		    " and offset %#" PRIx64 " is empty or overflows",
		    bytes, guest, offset);
	if (mem->n == GUEST_REGIONS_MAX)
		return err_set(err, -ENOSPC,
		    "more than %d memory regions; use fewer memory slots",
		    GUEST_REGIONS_MAX);
	for (unsigned int i = 0; i < mem->n; i++) {
		const struct guest_region *r = &mem->region[i];

		if (overlap(guest, bytes, r->guest, r->bytes) ||
		    overlap(user, bytes, r->user, r->bytes))
			return err_set(err, -EEXIST,
			    "region of %#" PRIx64 " bytes at %#" PRIx64
			    " overlaps the one at %#" PRIx64,
			    bytes, guest, r->guest);
	}
	return 0;
}

/* Maps it into *region, whose addresses are set. */
static int
map(struct guest_region *region, int fd, uint64_t offset, struct err *err)
{
	uint64_t block = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t from, to;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, NULL, "guest memory");
	if (!S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < offset + region->bytes)
		return err_set(err, -EINVAL,
		    "region of %#" PRIx64 " bytes at offset %#" PRIx64
		    " is not in its file of %#" PRIx64 " bytes",
		    region->bytes, offset, (uint64_t)st.st_size);
	if ((uint64_t)st.st_blksize > block &&
	    ((uint64_t)st.st_blksize & ((uint64_t)st.st_blksize - 1)) == 0)
		block = (uint64_t)st.st_blksize; /* huge pages */
	region->dev = st.st_dev;
	region->ino = st.st_ino;
	from = offset & ~(block - 1);
	to = (offset + region->bytes + block - 1) & ~(block - 1);
	region->map_bytes = (size_t)(to - from);
	region->map = mmap(NULL, region->map_bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, fd, (off_t)from);
	if (region->map == MAP_FAILED)
		return err_sys(err, -errno,
		    "share the guest's memory readable and writable",
		    "guest memory of %#" PRIx64 " bytes", region->bytes);
	region->at = (uint8_t *)region->map + (offset - from);
	return 0;
}

/* The region that is exactly this, or NULL. */
static struct guest_region *
find(struct guest_mem *mem, uint64_t guest, uint64_t user, uint64_t bytes)
{
	for (unsigned int i = 0; i < mem->n; i++) {
		struct guest_region *r = &mem->region[i];

		if (r->guest == guest && r->user == user && r->bytes == bytes)
			return r;
	}
	return NULL;
}

/* Whether a region that is there is added again. */
static bool
is_same(const struct guest_region *region, int fd, uint64_t offset)
{
	struct stat st;

	return region != NULL && region->offset == offset &&
	    fstat(fd, &st) == 0 && st.st_dev == region->dev &&
	    st.st_ino == region->ino;
}

int
guest_mem_add(struct guest_mem *mem, int fd, uint64_t guest, uint64_t user,
    uint64_t bytes, uint64_t offset, struct err *err)
{
	struct guest_region region = {
		.guest = guest,
		.user = user,
		.bytes = bytes,
		.offset = offset,
		.times = 1,
	};
	struct guest_region *same = find(mem, guest, user, bytes);
	unsigned int at = 0;
	int r;

	if (is_same(same, fd, offset)) {
		same->times++;
		return 0;
	}
	r = check(mem, guest, user, bytes, offset, err);
	if (r < 0)
		return r;
	/* If it can be sealed it is, before its length is looked at. */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	guard(mem);
	r = map(&region, fd, offset, err);
	if (r < 0) {
		if (mem->n == 0)
			unguard(mem);
		return r;
	}
	while (at < mem->n && mem->region[at].guest < guest)
		at++;
	memmove(&mem->region[at + 1], &mem->region[at],
	    (mem->n - at) * sizeof(region));
	mem->region[at] = region;
	mem->n++;
	mem->last = at;
	return 0;
}

int
guest_mem_remove(
    struct guest_mem *mem, uint64_t guest, uint64_t user, uint64_t bytes)
{
	struct guest_region *r = find(mem, guest, user, bytes);

	if (r == NULL)
		return -ENOENT;
	if (--r->times > 0)
		return 0;
	munmap(r->map, r->map_bytes);
	mem->n--;
	memmove(r, r + 1, (size_t)(&mem->region[mem->n] - r) * sizeof(*r));
	mem->region[mem->n].bytes = 0;
	mem->last = 0;
	return 0;
}

void
guest_mem_clear(struct guest_mem *mem)
{
	unguard(mem);
	for (unsigned int i = 0; i < mem->n; i++)
		munmap(mem->region[i].map, mem->region[i].map_bytes);
	guest_mem_init(mem);
}

size_t
guest_mem_search(
    struct guest_mem *mem, uint64_t guest, uint64_t len, uint8_t **at)
{
	unsigned int low = 0, high = mem->n;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct guest_region *r = &mem->region[mid];

		if (guest < r->guest) {
			high = mid;
		} else if (guest - r->guest >= r->bytes) {
			low = mid + 1;
		} else {
			uint64_t offset = guest - r->guest;
			uint64_t here = r->bytes - offset;

			mem->last = mid;
			*at = r->at + offset;
			return (size_t)(len < here ? len : here);
		}
	}
	return 0;
}

uint8_t *
guest_mem_user(const struct guest_mem *mem, uint64_t user, uint64_t len)
{
	for (unsigned int i = 0; i < mem->n; i++) {
		const struct guest_region *r = &mem->region[i];
		uint64_t offset = user - r->user;

		if (offset < r->bytes && len <= r->bytes - offset)
			return r->at + offset;
	}
	return NULL;
}
