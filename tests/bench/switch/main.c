/*
 * One run of one mover (rings.h).  Prints what came through.
 *
 *     rings [-s SECONDS] [-m MACS] [-p PORTS] [-b RECEIVERS]
 *           MOVER BYTES polling|events|idle [SOCKET SOCKET]
 *
 * MOVER is ceiling, fabric, nat, bare (idle only), or sockets, of another switch that
 * is running.  Polling: nobody sleeps or notifies.  Events: both sleep, and wake
 * each other by eventfd.  Idle: the time of one frame when both were asleep.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/switch/rings.h"

const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 1 };
const uint8_t mac_b[6] = { 2, 0, 0, 0, 0, 2 };

static const struct mover {
	const char *name;
	void (*run)(struct bench *bench); /* NULL: somebody else does */
	bool plugs;
	const struct dress *dress;
} movers[] = {
	{ "ceiling", ceiling_run, false, NULL },
	{ "bare", bare_run, false, NULL },
	{ "fabric", fabric_run, true, NULL },
	{ "nat", nat_run, true, &nat_dress },
	{ "sockets", NULL, true, NULL },
};

double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

void
die(const char *what)
{
	perror(what);
	exit(1);
}

void
notify(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		die("eventfd");
}

void
drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; /* nothing in it */
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void
be_guests(struct bench *bench, bool plugs, bool idle)
{
	prctl(PR_SET_NAME, "guests"); /* for profiles */
	prctl(PR_SET_PDEATHSIG, 9);
	pin(0);
	if (plugs)
		guests_plug_in(bench);
	if (idle)
		guests_ping(bench);
	else
		guests_run(bench);
	atomic_store(&bench->shared->stop, 1);
	notify(bench->front[0].queue[1].kick);
}

static int
measure(struct bench *bench, const struct mover *mover, bool idle)
{
	int status;
	pid_t guests;

	guests_lay_out(bench);
	guests = fork();
	if (guests < 0)
		die("fork");
	if (guests == 0) {
		be_guests(bench, mover->plugs, idle);
		_exit(0);
	}
	pin(1);
	if (mover->run != NULL)
		mover->run(bench);
	waitpid(guests, &status, 0);
	for (unsigned int i = 0; i < bench->nfronts; i++)
		front_free(&bench->front[i]);
	return status;
}

static const struct mover *
mover_of(const char *name)
{
	for (unsigned int i = 0; i < sizeof(movers) / sizeof(movers[0]); i++)
		if (strcmp(movers[i].name, name) == 0)
			return &movers[i];
	fprintf(stderr, "rings: no mover is called %s\n", name);
	exit(2);
}

static void
read_options(struct bench *bench, int argc, char **argv)
{
	int c;

	bench->nfronts = 2;
	bench->nreceivers = 1;
	bench->seconds = 0.4;
	while ((c = getopt(argc, argv, "s:m:p:b:")) != -1) {
		switch (c) {
		case 's': bench->seconds = atof(optarg); break;
		case 'm': bench->nmacs = (unsigned int)atoi(optarg); break;
		case 'p': bench->nfronts = (unsigned int)atoi(optarg); break;
		case 'b':
			bench->nreceivers = (unsigned int)atoi(optarg);
			bench->nfronts = bench->nreceivers + 1;
			bench->broadcast = true;
			break;
		default: exit(2);
		}
	}
	if (bench->nfronts < 2 || bench->nfronts > FRONTS_MAX ||
	    bench->nreceivers < 1 || bench->nreceivers >= FRONTS_MAX ||
	    argc - optind < 3) {
		fprintf(stderr, "rings: see the head of main.c\n");
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	const struct rlimit files = { 8192, 8192 };
	char dir[] = "/tmp/rings-XXXXXX";
	const struct mover *mover;
	bool idle;
	int status;

	read_options(&bench, argc, argv);
	argv += optind;
	mover = mover_of(argv[0]);
	bench.dress = mover->dress;
	bench.bytes = (unsigned int)atoi(argv[1]);
	bench.events = argv[2][0] == 'e';
	idle = argv[2][0] == 'i';
	bench.kicks = mover->run == NULL || argv[2][0] != 'p';
	(void)setrlimit(RLIMIT_NOFILE, &files);
	bench.shared = mmap(NULL, sizeof(*bench.shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bench.shared == MAP_FAILED || bench.bytes < 60 ||
	    bench.bytes > STRIDE - HEADER || mkdtemp(dir) == NULL)
		die("rings");
	for (unsigned int i = 0; i < bench.nfronts; i++)
		snprintf(bench.path[i], sizeof(bench.path[i]), "%s/%u", dir, i);
	for (unsigned int i = 0; mover->run == NULL && i < 2; i++)
		snprintf(bench.path[i], sizeof(bench.path[i]), "%s",
		    argv[3] != NULL ? argv[3 + i] : "");
	status = measure(&bench, mover, idle);
	rmdir(dir);
	if (status != 0)
		return 1;
	printf("%.1f %.4f\n", bench.shared->result, bench.shared->lost);
	return 0;
}
