#include "disk/stamp.h"

void
stamp_set(struct catalogue_line *line, const struct stat *st)
{
	line->size = (uint64_t)st->st_size;
	line->seconds = (uint64_t)st->st_mtim.tv_sec;
	line->nanoseconds = (uint64_t)st->st_mtim.tv_nsec;
}

void
stamp_clear(struct catalogue_line *line)
{
	line->size = line->seconds = line->nanoseconds = 0;
}

bool
stamp_is_changed(const struct catalogue_line *line, const struct stat *st)
{
	bool clear = line->size == 0 && line->seconds == 0;

	return !clear &&
	    (line->size != (uint64_t)st->st_size ||
		line->seconds != (uint64_t)st->st_mtim.tv_sec ||
		line->nanoseconds != (uint64_t)st->st_mtim.tv_nsec);
}

bool
stamp_is_another(const struct catalogue_line *line, const struct stat *st)
{
	return (st->st_mode & 0222) != 0 && stamp_is_changed(line, st);
}
