/* libs: disk/catalogue.c base/err.c */
/*
 * Any text as a catalogue: refused with a sentence, or read; what was read and
 * is written is read the same again.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disk/catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct catalogue first, second;
	struct err err = { 0 };
	char *text, *again;
	size_t len, len_again;
	int code =
	    catalogue_parse(&first, (const char *)data, size, "fuzz", &err);

	assert((code == 0) == (err.text[0] == '\0'));
	if (code != 0)
		return 0;
	for (size_t i = 0; i < first.n; i++) {
		assert(catalogue_is_name(first.lines[i].name));
		assert(first.lines[i].nparts <= CATALOGUE_MAX_PARTS);
		for (size_t k = 0; k < first.lines[i].nparts; k++)
			assert(catalogue_is_name(first.lines[i].parts[k].file));
		assert(first.lines[i].to == NULL ||
		    catalogue_is_name(first.lines[i].to));
	}
	text = catalogue_text(&first, &len);
	code = catalogue_parse(&second, text, len, "again", &err);
	assert(code == 0 && second.n == first.n);
	again = catalogue_text(&second, &len_again);
	assert(len == len_again && memcmp(text, again, len) == 0);
	free(text);
	free(again);
	catalogue_free(&first);
	catalogue_free(&second);
	return 0;
}
