/* libs: lab/request.c lab/nearest.c base */
/*
 * Lines of the control socket: each is a whole request or a sentence.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lab/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check(const struct request *r)
{
	switch (r->call) {
	case REQUEST_SHOW: assert(r->what != NULL); break;
	case REQUEST_EXEC: assert(r->node != NULL && r->run != NULL); break;
	case REQUEST_SET: assert(r->port != NULL); break;
	case REQUEST_CAPTURE:
		assert(r->file != NULL);
		assert(r->nports >= 1 && r->nports <= REQUEST_MAX_PORTS);
		for (unsigned int i = 0; i < r->nports; i++)
			assert(strlen(r->at[i]) < REQUEST_MAX_BYTES);
		break;
	case REQUEST_INFO:
	case REQUEST_STOP: break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct request r;
	struct err err = { "" };

	if (request_read(&r, (const char *)data, len, &err) == 0) {
		assert(err.text[0] == '\0');
		check(&r);
		request_free(&r);
	} else {
		assert(err.text[0] != '\0');
		assert(r.json == NULL);
	}
	return 0;
}
