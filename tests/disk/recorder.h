/*
 * recorder.h - what a program did to the files of one directory, and all the
 * states in which a crash could have left them.
 *
 * The calls that change files are replaced in the program that links this; they
 * still do what they should.  Each write stays pending until a sync of its file,
 * a name until a sync of the directory; names keep their order, as a journal
 * does, writes do not, and a write may be cut at a sector.
 *
 * CRASH_PICKS in the environment: how many subsets of what is pending are tried
 * at each moment, besides none and all of it.
 */
#ifndef TESTS_DISK_RECORDER_H
#define TESTS_DISK_RECORDER_H

#include <stddef.h>

/* Notes what is in directory, which has no subdirectories, and all that is
 * done from now on. */
void recorder_start(const char *directory);

/* Something is acknowledged now: states after it have counted one more. */
void recorder_mark(void);

void recorder_stop(void);

/* Makes each state in scratch, a directory of its own, and calls judge with how
 * many marks were before the crash and during how many the operation under way
 * may have been.  Returns how many states there were. */
size_t recorder_replay(const char *scratch, unsigned int seed,
    void (*judge)(void *arg, size_t marks), void *arg);

void recorder_free(void);

#endif
