/*
 * disk_bench - what a chain of images costs: random reads of 4 KiB, warm, at
 * depth 0 to 128, beside qemu-img bench on the same images in turn; opening
 * 1,200 layers; snapshots of a disk in use, beside one fdatasync().  disk.py
 * has what goes through a server or a command.
 *
 * Each figure is the median of 5 turns.
 */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disk/disk.h"
#include "disk/tree.h"

#define SIZE      (UINT64_C(1) << 30)
#define BLOCKS    (SIZE / 4096)
#define STEP      16201 /* blocks; odd, so that all are visited */
#define READS     100000
#define TURNS     5
#define DEEPEST   128
#define SCATTERED 4000 /* of depth 1 */
#define MANY      1200

static char directory[] = "/tmp/lanyard-bench-XXXXXX";

static double
now_s(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double
median(double values[TURNS])
{
	qsort(values, TURNS, sizeof(values[0]), compare);
	return values[TURNS / 2];
}

static const char *
name_of(int layer, char *path, size_t len)
{
	snprintf(path, len, "%s/L%04d.qcow2", directory, layer);
	return path;
}

static struct disk *
open_layer(struct disk_set *set, int layer, unsigned int flags)
{
	struct err err = { 0 };
	char path[256];
	int code;
	struct disk *disk = disk_open(
	    set, name_of(layer, path, sizeof(path)), flags, &code, &err);

	if (disk == NULL) {
		fprintf(stderr, "disk_bench: %s\n", err.text);
		exit(1);
	}
	return disk;
}

static void
create(int layer, uint64_t size, int below)
{
	struct disk_options options = { .size = size };
	struct err err = { 0 };
	char path[256], name[32];

	snprintf(name, sizeof(name), "L%04d.qcow2", below);
	options.backing = below >= 0 ? name : NULL;
	if (disk_create(name_of(layer, path, sizeof(path)), &options, &err) !=
	    0) {
		fprintf(stderr, "disk_bench: %s\n", err.text);
		exit(1);
	}
}

/* Gives a layer n clusters of its own. */
static void
scatter(struct disk_set *set, int layer, int n)
{
	static uint8_t bytes[65536];
	unsigned int random = (unsigned int)layer;
	struct disk *disk = open_layer(set, layer, DISK_WRITE);

	memset(bytes, layer + 1, sizeof(bytes));
	for (int i = 0; i < n; i++) {
		random = random * 1103515245 + 12345;
		assert(disk_write(disk, bytes, sizeof(bytes),
			   (random >> 8) % (SIZE >> 16) << 16, NULL) == 0);
	}
	disk_close(disk, NULL);
}

/* A base full of data, and overlays that each have 32 clusters of their own. */
static void
make_chain(struct disk_set *set)
{
	static uint8_t bytes[1 << 20];
	struct disk *disk;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((i * 2654435761u) >> 13);
	create(0, SIZE, -1);
	disk = open_layer(set, 0, DISK_WRITE);
	for (uint64_t at = 0; at < SIZE; at += sizeof(bytes))
		assert(disk_write(disk, bytes, sizeof(bytes), at, NULL) == 0);
	disk_close(disk, NULL);
	for (int layer = 1; layer <= DEEPEST; layer++) {
		create(layer, SIZE, layer - 1);
		scatter(set, layer, 32);
	}
	/* As scattered as the deepest, in one image. */
	create(SCATTERED, SIZE, 0);
	scatter(set, SCATTERED, 32 * DEEPEST);
}

/* Reads a second, and CPU seconds for one. */
static double
our_reads(struct disk_set *set, int depth, double *cpu)
{
	struct disk *disk = open_layer(set, depth, 0);
	static uint8_t block[4096];
	double start, start_cpu = 0, end;
	uint64_t at = 0;

	start = now_s(CLOCK_MONOTONIC);
	for (int i = -READS; i < READS; i++) {
		if (i == 0) { /* warm by now */
			start = now_s(CLOCK_MONOTONIC);
			start_cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
		}
		at = (at + STEP) % BLOCKS;
		assert(disk_read(disk, block, 4096, at * 4096, NULL) == 0);
	}
	end = now_s(CLOCK_MONOTONIC);
	*cpu = (now_s(CLOCK_PROCESS_CPUTIME_ID) - start_cpu) / READS;
	disk_close(disk, NULL);
	return READS / (end - start);
}

/* The same by qemu-img bench, 16 at a time; 0: it is not there. */
static double
their_reads(int depth)
{
	char command[512], path[256], line[256];
	double seconds = 0;
	FILE *out;

	snprintf(command, sizeof(command),
	    "qemu-img bench -U -f qcow2 -c %d -d 16 -s 4096 -S %d %s "
	    "2>/dev/null",
	    READS / 4, STEP * 4096, name_of(depth, path, sizeof(path)));
	out = popen(command, "r");
	while (out != NULL && fgets(line, sizeof(line), out) != NULL)
		sscanf(line, "Run completed in %lf", &seconds);
	if (out != NULL)
		pclose(out);
	return seconds > 0 ? READS / 4 / seconds : 0;
}

static void
bench_reads(struct disk_set *set)
{
	static const int depths[] = { 0, 8, 32, 128, SCATTERED };

	printf("random reads of 4 KiB, warm\n%8s %12s %12s %14s %8s\n", "depth",
	    "reads/s", "us CPU each", "qemu-img bench", "ratio");
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		double ours[TURNS], cpu[TURNS], theirs[TURNS], ratio[TURNS];

		for (int turn = 0; turn < TURNS; turn++) {
			ours[turn] = our_reads(set, depths[i], &cpu[turn]);
			theirs[turn] = their_reads(depths[i]);
			ratio[turn] =
			    theirs[turn] > 0 ? ours[turn] / theirs[turn] : 0;
		}
		if (depths[i] == SCATTERED)
			printf("1, scattered as 128:\n");
		printf("%8d %12.0f %12.2f %14.0f %8.1f\n",
		    depths[i] == SCATTERED ? 1 : depths[i], median(ours),
		    median(cpu) * 1e6, median(theirs), median(ratio));
		fflush(stdout);
	}
}

static void
bench_open(struct disk_set *set)
{
	double took[TURNS];

	for (int layer = 2000; layer < 2000 + MANY; layer++)
		create(layer, SIZE, layer > 2000 ? layer - 1 : -1);
	for (int turn = 0; turn < TURNS; turn++) {
		double start = now_s(CLOCK_MONOTONIC);
		static uint8_t block[4096];
		struct disk *disk = open_layer(set, 2000 + MANY - 1, 0);

		assert(disk_read(disk, block, 4096, 0, NULL) == 0);
		took[turn] = now_s(CLOCK_MONOTONIC) - start;
		disk_close(disk, NULL);
	}
	printf("%-52s %9.1f ms\n", "open 1,200 layers and read",
	    1e3 * median(took));
}

/* Writes 4 KiB at a time, and notes how long the slowest took. */
struct writing {
	struct disk *disk;
	atomic_bool stop;
	double slowest;
};

static void *
keep_writing(void *arg)
{
	struct writing *w = arg;
	static uint8_t block[4096];

	for (uint64_t i = 0; !atomic_load(&w->stop); i++) {
		double start = now_s(CLOCK_MONOTONIC), took;

		assert(disk_write(w->disk, block, sizeof(block),
			   i * STEP % BLOCKS * 4096, NULL) == 0);
		took = now_s(CLOCK_MONOTONIC) - start;
		if (took > w->slowest)
			w->slowest = took;
		usleep(200);
	}
	return NULL;
}

/* One fdatasync() of a file that was written to. */
static double
sync_floor(void)
{
	double took[TURNS];
	char path[256];
	int fd;

	name_of(9999, path, sizeof(path));
	fd = open(path, O_RDWR | O_CREAT, 0644);
	for (int turn = 0; turn < TURNS; turn++) {
		double start;

		assert(pwrite(fd, path, 100, turn * 4096) == 100);
		start = now_s(CLOCK_MONOTONIC);
		assert(fdatasync(fd) == 0);
		took[turn] = now_s(CLOCK_MONOTONIC) - start;
	}
	close(fd);
	return median(took);
}

static void
bench_tree(struct disk_set *set)
{
	double idle[TURNS], busy[TURNS], slowest[TURNS], without[TURNS];
	char path[256], name[32];
	const char *disks[] = { path };

	name_of(5000, path, sizeof(path));
	create(5000, SIZE, 0);
	for (int turn = 0; turn < TURNS; turn++) {
		struct writing w = { open_layer(set, 5000, DISK_WRITE), false,
			0 };
		struct err err = { 0 };
		pthread_t thread;
		double start;

		assert(pthread_create(&thread, NULL, keep_writing, &w) == 0);
		usleep(50000);
		w.slowest = 0;
		usleep(50000);
		without[turn] = w.slowest;
		snprintf(name, sizeof(name), "busy%d", turn);
		w.slowest = 0;
		start = now_s(CLOCK_MONOTONIC);
		if (tree_snapshot(disks, 1, name, &w.disk, &err) != 0)
			fprintf(stderr, "disk_bench: %s\n", err.text);
		busy[turn] = now_s(CLOCK_MONOTONIC) - start;
		slowest[turn] = w.slowest;
		atomic_store(&w.stop, true);
		pthread_join(thread, NULL);
		disk_close(w.disk, NULL);
		snprintf(name, sizeof(name), "idle%d", turn);
		start = now_s(CLOCK_MONOTONIC);
		assert(tree_snapshot(disks, 1, name, NULL, &err) == 0);
		idle[turn] = now_s(CLOCK_MONOTONIC) - start;
	}
	printf("%-52s %9.2f ms\n", "snapshot of a disk that is written to",
	    1e3 * median(busy));
	printf("%-52s %9.2f ms\n", "... the slowest write meanwhile",
	    1e3 * median(slowest));
	printf("%-52s %9.2f ms\n", "... the slowest write in 50 ms without one",
	    1e3 * median(without));
	printf("%-52s %9.2f ms\n", "snapshot of a disk that nobody uses",
	    1e3 * median(idle));
	printf("%-52s %9.2f ms\n", "one fdatasync()", 1e3 * sync_floor());
}

static void
clean_up(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[512];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(directory);
}

int
main(void)
{
	struct disk_set *set = disk_set_new();

	if (mkdtemp(directory) == NULL || set == NULL)
		return 1;
	atexit(clean_up);
	make_chain(set);
	bench_reads(set);
	bench_open(set);
	bench_tree(set);
	disk_set_free(set);
	return 0;
}
