#include "lab/table.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define CELL_BYTES 80

int
table_init(struct table *table, const struct table_head *head)
{
	*table = (struct table){ .head = head, .rows = json_array() };
	return table->rows == NULL ? -ENOMEM : 0;
}

void
table_free(struct table *table)
{
	json_decref(table->rows);
	table->rows = NULL;
}

bool
table_has_room(struct table *table)
{
	if (table->forgotten + json_array_size(table->rows) < TABLE_ROWS_MAX)
		return true;
	table->left_out++;
	return false;
}

void
table_add(struct table *table, const char *format, ...)
{
	va_list args;
	json_t *row;

	va_start(args, format);
	row = json_vpack_ex(NULL, 0, format, args);
	va_end(args);
	if (!table_has_room(table))
		json_decref(row); /* what it was packed of goes with it */
	else if (row == NULL || json_array_append_new(table->rows, row) < 0)
		table->left_out++;
}

size_t
table_rows(const struct table *table)
{
	return json_array_size(table->rows);
}

json_t *
table_row_json(const struct table *table, size_t i)
{
	const json_t *row = json_array_get(table->rows, i);
	json_t *object = json_object();

	for (size_t c = 0; table->head->columns[c].key != NULL; c++)
		json_object_set(object, table->head->columns[c].key,
		    json_array_get(row, c));
	return object;
}

void
table_forget(struct table *table)
{
	table->forgotten += json_array_size(table->rows);
	json_array_clear(table->rows);
}

json_t *
table_json(const struct table *table)
{
	json_t *out = json_array();

	for (size_t i = 0; i < table_rows(table); i++)
		json_array_append_new(out, table_row_json(table, i));
	return out;
}

static const char *
cell_text(char out[CELL_BYTES], const json_t *cell)
{
	if (json_is_string(cell))
		return json_string_value(cell);
	if (json_is_integer(cell))
		snprintf(out, CELL_BYTES, "%" JSON_INTEGER_FORMAT,
		    json_integer_value(cell));
	else if (json_is_real(cell))
		snprintf(out, CELL_BYTES, "%.2f", json_real_value(cell));
	else if (json_is_boolean(cell))
		snprintf(
		    out, CELL_BYTES, "%s", json_is_true(cell) ? "yes" : "no");
	else
		snprintf(out, CELL_BYTES, "-");
	return out;
}

static size_t
column_width(const struct table_column *column, const json_t *rows)
{
	size_t width = strlen(column->title);
	char text[CELL_BYTES];

	for (size_t i = 0; i < json_array_size(rows); i++) {
		size_t len = strlen(cell_text(text,
		    json_object_get(json_array_get(rows, i), column->key)));

		width = len > width ? len : width;
	}
	return width;
}

/* Numbers, and the title above them, stand to the right. */
static bool
is_numeric(const struct table_column *column, const json_t *rows)
{
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (json_is_number(
			json_object_get(json_array_get(rows, i), column->key)))
			return true;
	return false;
}

/* The last column's cells keep their length. */
static bool
is_last(const struct table_head *head, size_t c)
{
	for (c++; head->columns[c].key != NULL; c++)
		if (head->columns[c].title != NULL)
			return false;
	return true;
}

void
table_print(const struct table_head *head, const json_t *rows,
    const char *indent, FILE *out)
{
	size_t width[TABLE_COLUMNS_MAX] = { 0 };
	bool numeric[TABLE_COLUMNS_MAX] = { false };
	char text[CELL_BYTES];

	for (size_t c = 0; head->columns[c].key != NULL; c++)
		if (head->columns[c].title != NULL) {
			width[c] = column_width(&head->columns[c], rows);
			numeric[c] = is_numeric(&head->columns[c], rows);
		}
	for (size_t i = 0; i <= json_array_size(rows); i++) {
		const json_t *row = i > 0 ? json_array_get(rows, i - 1) : NULL;

		fputs(indent, out);
		for (size_t c = 0; head->columns[c].key != NULL; c++) {
			const struct table_column *column = &head->columns[c];
			const json_t *cell = json_object_get(row, column->key);
			const char *shown =
			    i == 0 ? column->title : cell_text(text, cell);
			int pad = (int)width[c];

			if (column->title == NULL)
				continue;
			if (is_last(head, c))
				fputs(shown, out);
			else if (numeric[c])
				fprintf(out, "%*s  ", pad, shown);
			else
				fprintf(out, "%-*s  ", pad, shown);
		}
		fputc('\n', out);
	}
}
