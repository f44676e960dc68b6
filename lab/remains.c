/*
 * A line of "host" is one of
 *
 *     namespace INODE          the network namespace, first
 *     made NAME INDEX          an interface of ours
 *     promiscuous NAME INDEX   one of the host that a NIC port listens on
 *
 * An interface is the same if both its name and its index are.  Of another
 * network namespace nothing can be seen; what was made there is gone from it as
 * well.
 */
#include "lab/remains.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>

#include "bridge/host_link.h"
#include "bridge/port_nic.h"
#include "lab/bridging.h"

#define FILE_NAME  "host"
#define LINE_BYTES 80
#define LINES_MAX  (1 + 2 * LAB_BRIDGES_MAX)

static uint64_t
net_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* ---- noted ---- */

static void
note_interface(FILE *file, const char *what, const char *name)
{
	fprintf(file, "%s %s %u\n", what, name, if_nametoindex(name));
}

static void
note_bridge(FILE *file, const struct fabric *f, const struct lab_bridge *bridge)
{
	const struct port *port = fabric_port(f, bridge->port.full);
	char name[BRIDGING_NAME_BYTES];
	const char *twin;

	bridging_interface(name, f->lab, bridge);
	if (bridge->mode == BRIDGE_HOST_ONLY) {
		note_interface(file, "made", name);
		return;
	}
	if (bridge->mode == BRIDGE_MONITOR)
		return; /* its monitor ends with the process */
	note_interface(file, "promiscuous", name);
	twin = port != NULL && port_nic_is(port) ? port_nic_twin(port) : NULL;
	if (twin != NULL)
		note_interface(file, "made", twin);
}

int
remains_note(const struct rundir *dir, const struct fabric *f, struct err *err)
{
	const struct lab *lab = f->lab;
	char path[RUNDIR_BYTES + sizeof(FILE_NAME) + 1];
	FILE *file;

	if (lab->nbridges == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/" FILE_NAME, dir->path);
	file = fopen(path, "we");
	if (file == NULL)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be written", path);
	fprintf(file, "namespace %" PRIu64 "\n", net_namespace());
	for (unsigned int i = 0; i < lab->nbridges; i++)
		note_bridge(file, f, &lab->bridges[i]);
	if (fclose(file) != 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be written", path);
	return 0;
}

/* ---- cleared ---- */

static void
look_at_made(const char *name, unsigned int index, FILE *notes)
{
	struct err err = { "" };

	if (if_nametoindex(name) != index) {
		fprintf(notes, "; its interface %s is gone", name);
		return;
	}
	if (host_interface_remove("remains", name, &err) == 0)
		fprintf(notes, "; its interface %s is removed", name);
	else
		fprintf(notes,
		    "; its interface %s is still there, remove it by: sudo ip "
		    "link del %s",
		    name, name);
}

static void
look_at_nic(const char *name, unsigned int index, FILE *notes)
{
	int count = host_interface_promiscuity(name);

	if (if_nametoindex(name) != index || count < 0)
		fprintf(notes, "; %s, on which it listened, is gone", name);
	else if (count == 0)
		fprintf(notes, "; %s is not promiscuous any more", name);
	else
		fprintf(notes, "; %s is promiscuous for %d other%s", name,
		    count, count == 1 ? "" : "s");
}

static void
look(FILE *file, FILE *notes)
{
	char line[LINE_BYTES], what[16], name[BRIDGING_NAME_BYTES];
	uint64_t inode = 0;
	unsigned int index;

	if (fgets(line, sizeof(line), file) == NULL ||
	    sscanf(line, "namespace %" SCNu64, &inode) != 1)
		return;
	if (inode != net_namespace()) {
		fprintf(notes,
		    "; its interfaces, in another network namespace, ended "
		    "with it");
		return;
	}
	for (int i = 0; i < LINES_MAX; i++) {
		if (fgets(line, sizeof(line), file) == NULL ||
		    sscanf(line, "%15s %15s %u", what, name, &index) != 3)
			return;
		if (strcmp(what, "made") == 0)
			look_at_made(name, index, notes);
		else if (strcmp(what, "promiscuous") == 0)
			look_at_nic(name, index, notes);
	}
}

static void
clear(void *arg, const char *lab, const char *path, pid_t pid)
{
	char name[RUNDIR_BYTES + sizeof(FILE_NAME) + 1];
	FILE *notes = arg, *file;

	fprintf(notes,
	    "lanyard: lab \"%s\" was killed (process %d); its directory %s is "
	    "removed",
	    lab, (int)pid, path);
	snprintf(name, sizeof(name), "%s/" FILE_NAME, path);
	file = fopen(name, "re");
	if (file != NULL) {
		look(file, notes);
		fclose(file);
	}
	fputc('\n', notes);
}

void
remains_clear(FILE *notes)
{
	rundir_clear(clear, notes);
}
