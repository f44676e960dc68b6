#include "switch/guest_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096u

/* A table, and a file of ten pages whose bytes are the page's number. */
struct fixture {
	struct guest_mem mem;
	int fd;
};

static int
make_file(unsigned int flags)
{
	int fd = memfd_create("guest", MFD_CLOEXEC | flags);
	uint8_t page[PAGE];

	for (unsigned int i = 0; i < 10; i++) {
		memset(page, (int)i, sizeof(page));
		assert_int_equal(write(fd, page, PAGE), PAGE);
	}
	return fd;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	guest_mem_init(&f->mem);
	f->fd = make_file(MFD_ALLOW_SEALING);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	guest_mem_clear(&f->mem);
	close(f->fd);
	free(f);
	return 0;
}

static int
add(struct fixture *f, uint64_t guest, uint64_t user, uint64_t bytes,
    uint64_t offset)
{
	return guest_mem_add(&f->mem, f->fd, guest, user, bytes, offset, NULL);
}

static void
both_kinds_of_address_lead_to_the_same_bytes(void **state)
{
	struct fixture *f = *state;
	uint8_t *at;

	assert_int_equal(add(f, 0x10000, 0x500000, 2 * PAGE, 3 * PAGE), 0);
	assert_int_equal(guest_mem_run(&f->mem, 0x10000 + PAGE, 10, &at), 10);
	assert_int_equal(*at, 4);
	assert_ptr_equal(at, guest_mem_user(&f->mem, 0x500000 + PAGE, 10));
	at[0] = 99;
	assert_int_equal(pread(f->fd, at, 1, 4 * PAGE), 1);
	assert_int_equal(*at, 99);
}

static void
a_region_may_begin_anywhere_in_its_file(void **state)
{
	struct fixture *f = *state;
	uint8_t *at;

	assert_int_equal(add(f, 0, 0, PAGE, 3 * PAGE - 1), 0);
	assert_int_equal(guest_mem_run(&f->mem, 0, 2, &at), 2);
	assert_int_equal(at[0], 2);
	assert_int_equal(at[1], 3);
	assert_int_equal(guest_mem_run(&f->mem, PAGE - 1, 1, &at), 1);
	assert_int_equal(*at, 3);
}

static void
what_is_outside_is_not_found(void **state)
{
	static const struct {
		uint64_t at, len;
		size_t run; /* of guest addresses */
		bool user;  /* found whole, by front end address */
	} cases[] = {
		{ 0x1000, 1, 1, true },
		{ 0x1000, 0x2000, 0x2000, true },
		{ 0x2fff, 1, 1, true },
		{ 0x2fff, 2, 1, false },
		{ 0x1000, 0x2001, 0x2000, false },
		{ 0x1000, UINT64_MAX, 0x2000, false },
		{ 0x2fff, UINT64_MAX, 1, false },
		{ 0x0fff, 1, 0, false },
		{ 0x0fff, 2, 0, false },
		{ 0x3000, 1, 0, false },
		{ 0, UINT64_MAX, 0, false },
		{ UINT64_MAX, 1, 0, false },
		{ UINT64_MAX - 0xfff, 0x3000, 0, false },
	};
	struct fixture *f = *state;
	uint8_t *at;

	assert_int_equal(guest_mem_run(&f->mem, 0, 1, &at), 0);
	assert_null(guest_mem_user(&f->mem, 0, 1));
	assert_int_equal(add(f, 0x1000, 0x1000, 0x2000, 0), 0);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    guest_mem_run(&f->mem, cases[i].at, cases[i].len, &at),
		    cases[i].run);
		assert_int_equal(
		    guest_mem_user(&f->mem, cases[i].at, cases[i].len) != NULL,
		    cases[i].user);
	}
}

static void
a_run_ends_where_its_region_ends_and_the_next_goes_on(void **state)
{
	struct fixture *f = *state;
	uint8_t *at;

	/* Neighbours for the guest, not in the file; added out of order. */
	assert_int_equal(add(f, 0x3000, 0x80000, PAGE, PAGE), 0);
	assert_int_equal(add(f, 0x1000, 0x10000, PAGE, 5 * PAGE), 0);
	assert_int_equal(add(f, 0x2000, 0x40000, PAGE, 9 * PAGE), 0);
	assert_int_equal(guest_mem_run(&f->mem, 0x1800, 0x2000, &at), 0x800);
	assert_int_equal(*at, 5);
	assert_int_equal(guest_mem_run(&f->mem, 0x2000, 0x1800, &at), PAGE);
	assert_int_equal(*at, 9);
	assert_int_equal(guest_mem_run(&f->mem, 0x3000, 0x800, &at), 0x800);
	assert_int_equal(*at, 1);
	assert_null(guest_mem_user(&f->mem, 0x10800, 0x2000));
}

static void
what_cannot_be_a_region_is_refused(void **state)
{
	static const struct {
		uint64_t guest, user, bytes, offset;
		int code;
	} cases[] = {
		{ 0, 0, 0, 0, -EINVAL },
		{ UINT64_MAX, 0, 2, 0, -EINVAL },
		{ 0, UINT64_MAX, 2, 0, -EINVAL },
		{ 0, 0, 2, UINT64_MAX, -EINVAL },
		{ 0, 0, UINT64_MAX, 0, -EINVAL },
		{ 0, 0, UINT64_MAX / 2, 0, -EINVAL },
		{ 0, 0, 10 * PAGE + 1, 0, -EINVAL },
		{ 0, 0, PAGE, 9 * PAGE + 1, -EINVAL },
		{ 0, 0, 1, 10 * PAGE, -EINVAL },
		/* against the region at 0x10000 (front end 0x20000) */
		{ 0x10000, 0x90000, PAGE, 0, -EEXIST },
		{ 0x0ffff, 0x90000, 2, 0, -EEXIST },
		{ 0x11fff, 0x90000, 2, 0, -EEXIST },
		{ 0x0f000, 0x90000, 4 * PAGE, 0, -EEXIST },
		{ 0x90000, 0x20000, PAGE, 0, -EEXIST },
		{ 0x90000, 0x21fff, 1, 0, -EEXIST },
	};
	struct fixture *f = *state;

	assert_int_equal(add(f, 0x10000, 0x20000, 2 * PAGE, 0), 0);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { "" };

		assert_int_equal(
		    guest_mem_add(&f->mem, f->fd, cases[i].guest, cases[i].user,
			cases[i].bytes, cases[i].offset, &err),
		    cases[i].code);
		assert_string_not_equal(err.text, "");
	}
	assert_int_equal(f->mem.n, 1);
	assert_int_equal(add(f, 0x12000, 0x22000, PAGE, 0), 0);
	assert_int_equal(add(f, 0x0f000, 0x1f000, PAGE, 0), 0);
}

static void
only_files_are_mapped(void **state)
{
	struct fixture *f = *state;
	int pipes[2], zero = open("/dev/zero", O_RDWR | O_CLOEXEC), ro;

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(
	    guest_mem_add(&f->mem, pipes[0], 0, 0, PAGE, 0, NULL), -EINVAL);
	assert_int_equal(
	    guest_mem_add(&f->mem, zero, 0, 0, PAGE, 0, NULL), -EINVAL);
	assert_int_equal(
	    guest_mem_add(&f->mem, -1, 0, 0, PAGE, 0, NULL), -EBADF);
	ro = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(
	    guest_mem_add(&f->mem, ro, 0, 0, PAGE, 0, NULL), -EACCES);
	close(pipes[0]);
	close(pipes[1]);
	close(zero);
	close(ro);
}

static void
the_table_holds_so_many_and_no_more(void **state)
{
	struct fixture *f = *state;
	uint8_t *at;

	for (unsigned int i = 0; i < GUEST_REGIONS_MAX; i++)
		assert_int_equal(add(f, (GUEST_REGIONS_MAX - i) * 0x10000,
				     i * 0x10000, PAGE, i % 10 * PAGE),
		    0);
	assert_int_equal(add(f, 0, 0x10000000, PAGE, 0), -ENOSPC);
	for (unsigned int i = 0; i < GUEST_REGIONS_MAX; i++) {
		assert_int_equal(
		    guest_mem_run(
			&f->mem, (GUEST_REGIONS_MAX - i) * 0x10000, PAGE, &at),
		    PAGE);
		assert_int_equal(*at, i % 10);
	}
}

static void
a_region_is_removed_by_exactly_what_it_was_added_by(void **state)
{
	struct fixture *f = *state;
	uint8_t *at;

	assert_int_equal(add(f, 0x1000, 0x5000, PAGE, 0), 0);
	assert_int_equal(add(f, 0x2000, 0x6000, PAGE, PAGE), 0);
	assert_int_equal(
	    guest_mem_remove(&f->mem, 0x1000, 0x5000, PAGE - 1), -ENOENT);
	assert_int_equal(
	    guest_mem_remove(&f->mem, 0x1000, 0x6000, PAGE), -ENOENT);
	assert_int_equal(guest_mem_remove(&f->mem, 0x1000, 0x5000, PAGE), 0);
	assert_int_equal(guest_mem_run(&f->mem, 0x1000, 1, &at), 0);
	assert_int_equal(guest_mem_run(&f->mem, 0x2000, 1, &at), 1);
	assert_int_equal(*at, 1);
	assert_int_equal(guest_mem_remove(&f->mem, 0x2000, 0x6000, PAGE), 0);
	assert_int_equal(guest_mem_run(&f->mem, 0x2000, 1, &at), 0);
}

static void
the_very_same_region_may_be_added_again(void **state)
{
	struct fixture *f = *state;
	int other = make_file(0);
	uint8_t *at;

	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(add(f, 0x1000, 0x5000, PAGE, PAGE), 0);
	assert_int_equal(f->mem.n, 1);
	/* Of another file, or elsewhere in it, it is another. */
	assert_int_equal(
	    guest_mem_add(&f->mem, other, 0x1000, 0x5000, PAGE, PAGE, NULL),
	    -EEXIST);
	assert_int_equal(add(f, 0x1000, 0x5000, PAGE, 0), -EEXIST);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(guest_mem_run(&f->mem, 0x1000, 1, &at), 1);
		assert_int_equal(
		    guest_mem_remove(&f->mem, 0x1000, 0x5000, PAGE), 0);
	}
	assert_int_equal(guest_mem_run(&f->mem, 0x1000, 1, &at), 0);
	assert_int_equal(
	    guest_mem_remove(&f->mem, 0x1000, 0x5000, PAGE), -ENOENT);
	close(other);
}

static void
sealable_memory_cannot_be_cut_short(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add(f, 0, 0, PAGE, 0), 0);
	assert_int_equal(ftruncate(f->fd, 0), -1);
	assert_int_equal(errno, EPERM);
}

static void
memory_cut_short_reads_as_zeros_and_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct sigaction before, after;
	uint8_t *at;
	int fd = make_file(0);

	sigaction(SIGBUS, NULL, &before);
	assert_int_equal(
	    guest_mem_add(&f->mem, fd, 0, 0, 4 * PAGE, PAGE, NULL), 0);
	assert_int_equal(guest_mem_run(&f->mem, 0, 4 * PAGE, &at), 4 * PAGE);
	assert_int_equal(at[2 * PAGE], 3);
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	assert_int_equal(at[10], 1);
	assert_false(guest_mem_torn(&f->mem));
	assert_int_equal(at[2 * PAGE + 5], 0);
	assert_true(guest_mem_torn(&f->mem));
	at[3 * PAGE] = 7; /* goes nowhere */
	assert_int_equal(at[10], 1);
	guest_mem_clear(&f->mem);
	assert_false(guest_mem_torn(&f->mem));
	close(fd);
	sigaction(SIGBUS, NULL, &after);
	assert_ptr_equal(after.sa_sigaction, before.sa_sigaction);
}

static void
several_tables_are_guarded_at_once(void **state)
{
	struct guest_mem tables[3];
	uint8_t *at[3];
	int fd[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		guest_mem_init(&tables[i]);
		fd[i] = make_file(0);
		assert_int_equal(
		    guest_mem_add(&tables[i], fd[i], 0, 0, PAGE, 0, NULL), 0);
		guest_mem_run(&tables[i], 0, 1, &at[i]);
		assert_int_equal(ftruncate(fd[i], 0), 0);
	}
	guest_mem_clear(&tables[1]);
	assert_int_equal(*at[0] + *at[2], 0);
	assert_true(guest_mem_torn(&tables[0]));
	assert_false(guest_mem_torn(&tables[1]));
	assert_true(guest_mem_torn(&tables[2]));
	for (unsigned int i = 0; i < 3; i++) {
		guest_mem_clear(&tables[i]);
		close(fd[i]);
	}
}

#define FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE(both_kinds_of_address_lead_to_the_same_bytes),
		FIXTURE(a_region_may_begin_anywhere_in_its_file),
		FIXTURE(what_is_outside_is_not_found),
		FIXTURE(a_run_ends_where_its_region_ends_and_the_next_goes_on),
		FIXTURE(what_cannot_be_a_region_is_refused),
		FIXTURE(only_files_are_mapped),
		FIXTURE(the_table_holds_so_many_and_no_more),
		FIXTURE(a_region_is_removed_by_exactly_what_it_was_added_by),
		FIXTURE(the_very_same_region_may_be_added_again),
		FIXTURE(sealable_memory_cannot_be_cut_short),
		FIXTURE(memory_cut_short_reads_as_zeros_and_is_noticed),
		FIXTURE(several_tables_are_guarded_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
