#include "switch/cable_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT (16 * (size_t)STORE_CHUNK_BYTES)
#define MANY  20000

static void
pieces_do_not_overlap(void **state)
{
	static struct {
		unsigned char *at;
		size_t bytes;
	} piece[MANY];
	struct store store;
	uint64_t random = 1;

	(void)state;
	assert_int_equal(store_open(&store, LIMIT), 0);
	for (unsigned int i = 0; i < 20 * MANY; i++) {
		unsigned int k;

		random = random * UINT64_C(6364136223846793005) + 1;
		k = (unsigned int)(random >> 40) % MANY;
		if (piece[k].at != NULL) {
			for (size_t b = 0; b < piece[k].bytes; b++)
				assert_int_equal(piece[k].at[b], k & 0xff);
			store_put(&store, piece[k].at);
			piece[k].at = NULL;
			continue;
		}
		/* mostly small ones, some of 64 KiB */
		piece[k].bytes = random >> 60 == 0 ? random >> 33 & 0x1ffff
						   : random >> 33 & 0x1ff;
		piece[k].at = store_get(&store, piece[k].bytes);
		if (piece[k].at != NULL)
			memset(piece[k].at, (int)(k & 0xff), piece[k].bytes);
	}
	store_close(&store);
}

static void
the_limit_is_one(void **state)
{
	static void *piece[LIMIT / STORE_PIECE_MIN + 1];
	struct store store;

	(void)state;
	assert_int_equal(store_open(&store, LIMIT), 0);
	/* all of it in pieces of any one size, one after the other */
	for (size_t bytes = STORE_PIECE_MIN; bytes <= STORE_PIECE_MAX;
	     bytes *= 2) {
		size_t n = 0;

		while ((piece[n] = store_get(&store, bytes)) != NULL)
			n++;
		assert_int_equal(n, LIMIT / bytes);
		while (n > 0)
			store_put(&store, piece[--n]);
	}
	store_close(&store);
	store_close(&store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_do_not_overlap),
		cmocka_unit_test(the_limit_is_one),
	};

	return cmocka_run_group_tests_name("cable_store", tests, NULL, NULL);
}
