/*
 * foreign.h - captures of formats that are not ours, by way of Wireshark's
 * editcap, which makes pcapng of what Wireshark reads.
 *
 * editcap is a process beside us, reading the file and writing to a pipe.
 */
#ifndef PCAP_TOOLS_FOREIGN_H
#define PCAP_TOOLS_FOREIGN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define FOREIGN_SAID_BYTES 256

struct foreign {
	pid_t child; /* 0: there is none */
	int complaints;
};

/* Starts editcap on the file path.  ethernet: that is what its frames are,
 * where the format says that each may be something else, which pcapng cannot.
 * The end of a pipe to read from, the caller's; or -Exxx with *err saying why,
 * as when editcap is not installed. */
int foreign_start(
    struct foreign *foreign, const char *path, bool ethernet, struct err *err);

/* Waits for it, after its output has ended or was closed.  0, or -EINVAL if it
 * found something wrong with the file; said gets its words, or "".  Nothing
 * happens if there is none. */
int foreign_end(struct foreign *foreign, char said[FOREIGN_SAID_BYTES]);

#endif
