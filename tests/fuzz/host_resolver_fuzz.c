/* libs: bridge switch net base */
/*
 * A hostile resolv.conf: what is found is an address that the text has, behind
 * the word that names it, and is found again in any text that goes on.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/host_resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 2), name[INET_ADDRSTRLEN];
	uint32_t addr, raw;

	memcpy(text, data, size); /* an overrun is seen beyond these */
	text = realloc(text, size > 0 ? size : 1);
	addr = host_resolver_find(text, size);
	raw = htonl(addr);
	if (addr != 0) {
		assert(inet_ntop(AF_INET, &raw, name, sizeof(name)) != NULL);
		assert(memmem(text, size, name, strlen(name)) != NULL);
		assert(memmem(text, size, "nameserver", 10) != NULL);
		text = realloc(text, size + 1);
		text[size] = '\n';
		assert(host_resolver_find(text, size + 1) == addr);
	}
	free(text);
	return 0;
}
