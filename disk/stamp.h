/*
 * stamp.h - what a frozen file looked like, in its line of the catalogue.
 */
#ifndef DISK_STAMP_H
#define DISK_STAMP_H

#include <sys/stat.h>

#include "disk/catalogue.h"

void stamp_set(struct catalogue_line *line, const struct stat *st);
/* What it looks like does not matter until it is set again. */
void stamp_clear(struct catalogue_line *line);

bool stamp_is_changed(const struct catalogue_line *line, const struct stat *st);

/* Whether others have made a file of that name anew: it can be written to, as
 * what is frozen cannot. */
bool stamp_is_another(const struct catalogue_line *line, const struct stat *st);

#endif
