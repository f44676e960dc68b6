/* libs: switch/jitter_table.c base/err.c */
/*
 * A file of a distribution: values in order, or a sentence with a line that is
 * in it.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "switch/jitter_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jitter_table table;
	struct err err = { "" };
	unsigned int lines = 1, line;

	if (jitter_table_read(&table, (const char *)data, size, &err) < 0) {
		assert(err.text[0] != '\0');
		for (size_t i = 0; i < size; i++)
			lines += data[i] == '\n';
		if (sscanf(err.text, "line %u:", &line) == 1)
			assert(line >= 1 && line <= lines);
		return 0;
	}
	assert(table.n >= 2 && table.n <= JITTER_TABLE_MAX);
	assert(size >= 2 * table.n - 1);
	for (uint32_t i = 1; i < table.n; i++)
		assert(table.value[i - 1] <= table.value[i]);
	return 0;
}
