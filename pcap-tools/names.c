/*
 * A flat array of names, a hash table of their numbers, and in front of that a
 * small cache by the bearer's address.  An address may be another bearer's the
 * next time, so a hit compares the names all the same.
 *
 * The array never moves, and a number is published to another thread with the
 * record that holds it: so reading needs no lock.  A name that is new costs a
 * walk in the hash table, once; nothing is allocated after the start (the
 * kernel gives pages as they are touched).
 */
#include "pcap-tools/names.h"

#include <stdlib.h>
#include <string.h>

#define RECENT  1024            /* a power of two */
#define BUCKETS (2 * NAMES_MAX) /* a power of two: never more than half full */
#define UNKNOWN 1               /* the number of "?" */

struct names {
	char (*text)[NODE_NAME_BYTES]; /* by number */
	unsigned int n;
	uint16_t bucket[BUCKETS]; /* numbers, 0: free */
	struct {
		const void *bearer;
		uint16_t number;
	} recent[RECENT];
};

struct names *
names_new(void)
{
	struct names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		return NULL;
	names->text = calloc(NAMES_MAX, sizeof(names->text[0]));
	if (names->text == NULL) {
		free(names);
		return NULL;
	}
	names->text[UNKNOWN][0] = '?';
	names->n = UNKNOWN + 1;
	return names;
}

void
names_free(struct names *names)
{
	if (names == NULL)
		return;
	free(names->text);
	free(names);
}

/* FNV-1a: short keys, no adversary (a collision costs one more step). */
static uint32_t
hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

static uint16_t
find_or_add(struct names *names, const char *name)
{
	uint32_t b = hash(name) & (BUCKETS - 1);
	uint16_t number;

	for (; names->bucket[b] != 0; b = (b + 1) & (BUCKETS - 1))
		if (strcmp(names->text[names->bucket[b]], name) == 0)
			return names->bucket[b];
	if (names->n == NAMES_MAX)
		return UNKNOWN;
	number = (uint16_t)names->n++;
	memcpy(names->text[number], name,
	    strnlen(name, sizeof(names->text[0]) - 1));
	names->bucket[b] = number;
	return number;
}

uint16_t
names_number(struct names *names, const void *bearer, const char *name)
{
	size_t slot;

	if (name == NULL)
		return 0;
	/* Nodes and ports are parts of larger structs: mix what differs. */
	slot =
	    (size_t)((uintptr_t)bearer * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
	    (RECENT - 1);
	if (names->recent[slot].bearer != bearer ||
	    strcmp(names->text[names->recent[slot].number], name) != 0) {
		names->recent[slot].number = find_or_add(names, name);
		names->recent[slot].bearer = bearer;
	}
	return names->recent[slot].number;
}

const char *
names_text(const struct names *names, uint16_t number)
{
	return number != 0 ? names->text[number] : NULL;
}
