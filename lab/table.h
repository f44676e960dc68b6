/*
 * table.h - rows of named columns: text for people, JSON for programs.
 *
 * One definition serves both.  A cell is a JSON value; text aligns numbers to
 * the right and shows null as "-".
 */
#ifndef LAB_TABLE_H
#define LAB_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16
#define TABLE_ROWS_MAX    20000 /* more are only counted */

struct table_column {
	const char *key;   /* "outside_ip": in JSON */
	const char *title; /* "OUTSIDE": in text; NULL: JSON only */
};

struct table_head {
	const char *name; /* "nat": what is asked for */
	const char *help; /* "the NAT tables of routers" */
	struct table_column columns[TABLE_COLUMNS_MAX + 1]; /* NULL key ends */
};

struct table {
	const struct table_head *head;
	json_t *rows;     /* a list of lists */
	size_t forgotten; /* rows that were there before */
	unsigned long left_out;
};

/* 0, or -ENOMEM. */
int table_init(struct table *table, const struct table_head *head);
void table_free(struct table *table);

/* A row by json_pack(), as table_add(&t, "[s,i]", name, n).  format must give
 * a list with a cell for each column. */
void table_add(struct table *table, const char *format, ...);

/* May there be another row?  False: it is counted, and need not be made. */
bool table_has_room(struct table *table);

/* How many rows it has, and one as {"key": cell, ...}, the caller's; NULL: no
 * memory. */
size_t table_rows(const struct table *table);
json_t *table_row_json(const struct table *table, size_t i);
/* Its rows have been taken: there are none, but they count. */
void table_forget(struct table *table);

/* As [{"key": cell, ...}, ...], the caller's. */
json_t *table_json(const struct table *table);

/* Prints rows, which table_json() made here or elsewhere. */
void table_print(const struct table_head *head, const json_t *rows,
    const char *indent, FILE *out);

#endif
