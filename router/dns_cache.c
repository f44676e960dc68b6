#include "router/dns_cache.h"

#include <stdlib.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define NS_PER_S UINT64_C(1000000000)

struct entry {
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) used; /* the one used last is last */
	uint64_t until_ns;
	struct dns_answer answer;
	char key[2 + DNS_NAME_BYTES];
};

struct dns_cache {
	struct entry *names;
	TAILQ_HEAD(, entry) order;
	unsigned int n, max;
};

struct dns_cache *
dns_cache_new(unsigned int max)
{
	struct dns_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	TAILQ_INIT(&cache->order);
	cache->max = max;
	return cache;
}

/* The type and the name.  Its length; 0: it is too long. */
static size_t
make_key(char key[2 + DNS_NAME_BYTES], const char *name, uint16_t type)
{
	size_t len = strlen(name);

	if (len >= DNS_NAME_BYTES)
		return 0;
	key[0] = (char)(type >> 8);
	key[1] = (char)type;
	memcpy(key + 2, name, len);
	return len + 2;
}

static void
forget(struct dns_cache *cache, struct entry *entry)
{
	HASH_DEL(cache->names, entry);
	TAILQ_REMOVE(&cache->order, entry, used);
	free(entry);
	cache->n--;
}

void
dns_cache_free(struct dns_cache *cache)
{
	if (cache == NULL)
		return;
	while (!TAILQ_EMPTY(&cache->order))
		forget(cache, TAILQ_FIRST(&cache->order));
	free(cache);
}

void
dns_cache_add(struct dns_cache *cache, const char *name, uint16_t type,
    const struct dns_answer *answer, uint64_t now_ns)
{
	char key[2 + DNS_NAME_BYTES];
	size_t len = make_key(key, name, type);
	uint32_t ttl_s =
	    answer->ttl_s < DNS_CACHE_MAX_S ? answer->ttl_s : DNS_CACHE_MAX_S;
	struct entry *entry;

	HASH_FIND(hh, cache->names, key, len, entry);
	if (entry != NULL)
		forget(cache, entry);
	if (ttl_s == 0 || len == 0)
		return;
	if (cache->n == cache->max)
		forget(cache, TAILQ_FIRST(&cache->order));
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return;
	memcpy(entry->key, key, len);
	HASH_ADD(hh, cache->names, key, len, entry);
	if (entry->hh.tbl == NULL) {
		free(entry);
		return;
	}
	TAILQ_INSERT_TAIL(&cache->order, entry, used);
	cache->n++;
	entry->answer = *answer;
	entry->until_ns = now_ns + ttl_s * NS_PER_S;
}

bool
dns_cache_find(struct dns_cache *cache, const char *name, uint16_t type,
    uint64_t now_ns, struct dns_answer *answer)
{
	char key[2 + DNS_NAME_BYTES];
	size_t len = make_key(key, name, type);
	struct entry *entry;

	HASH_FIND(hh, cache->names, key, len, entry);
	if (entry == NULL)
		return false;
	if (entry->until_ns <= now_ns) {
		forget(cache, entry);
		return false;
	}
	TAILQ_REMOVE(&cache->order, entry, used);
	TAILQ_INSERT_TAIL(&cache->order, entry, used);
	*answer = entry->answer;
	answer->ttl_s = (uint32_t)((entry->until_ns - now_ns) / NS_PER_S);
	return true;
}
