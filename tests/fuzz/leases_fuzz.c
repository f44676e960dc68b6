/* libs: lab/leases_text.c net base */
/*
 * Files of leases: what is read fits its fields, and reads the same when it is
 * written again.
 */
#include "lab/leases_text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
same(void *arg, const char *port, const struct lease_saved *saved)
{
	const struct lease_saved *first = arg;

	assert(strcmp(port, "gw.in") == 0);
	assert(saved->ip == first->ip && saved->left_ns == first->left_ns);
	assert(saved->client_bytes == first->client_bytes);
	assert(memcmp(saved->client, first->client, saved->client_bytes) == 0);
	assert(strcmp(saved->hostname, first->hostname) == 0);
	assert(saved->declined == first->declined);
}

static void
check(void *arg, const char *port, const struct lease_saved *saved)
{
	static const struct port gw = { .name = "gw.in" };
	struct lease_saved again = *saved;
	json_t *all;
	char *text;

	(void)arg;
	assert(port != NULL);
	assert(saved->client_bytes <= sizeof(saved->client));
	assert(memchr(saved->hostname, '\0', sizeof(saved->hostname)) != NULL);
	again.port = &gw;
	all = json_pack(
	    "{s:i, s:[o]}", "saved", 1, "leases", leases_json(&again));
	text = json_dumps(all, 0);
	assert(leases_parse(text, strlen(text), 0, same, &again) == 0);
	free(text);
	json_decref(all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	leases_parse(
	    (const char *)data, len, UINT64_C(100) * NS_PER_S, check, NULL);
	return 0;
}
