/*
 * guest.h - the VMs of a lab: child processes, and commands inside of them.
 *
 *     WAITING --process--> STARTING --ready--> READY --exit--> GONE
 *                             '----------------exit-------------^
 *
 *  A VM that is restored goes from STARTING, READY or GONE to STARTING, in another
 * process.
 *
 * A few start at a time, so that a hundred do not stand in each other's way.
 * Each VM is "lanyard vm" in a process of its own, which dies with this one.
 * It connects to the vhost-user sockets that the fabric listens on; its
 * console and agent are sockets in the run directory.  Commands of one VM run
 * one after another, in the order in which they were asked for.
 *
 * Loop thread only.
 */
#ifndef LAB_GUEST_H
#define LAB_GUEST_H

#include <sys/queue.h>
#include <sys/types.h>

#include "base/loop.h"
#include "lab/agent.h"
#include "lab/model.h"

enum guest_state { VM_WAITING, VM_STARTING, VM_READY, VM_GONE, VM_NSTATES };

#define JOB_GONE (-1) /* a status: the VM has ended or started anew */

/* A command for a VM.  Part of its owner's struct; output and done may be
 * called until done was, or job_cancel(). */
struct job {
	const char *command; /* borrowed until done */
	/* May be NULL. */
	void (*started)(void *arg);
	void (*output)(void *arg, const char *bytes, size_t len);
	void (*done)(void *arg, int status); /* 0 to 255, or JOB_GONE */
	void *arg;
	struct guest *guest; /* NULL: not asked for */
	TAILQ_ENTRY(job) entry;
};

struct guests;

struct guest {
	struct guests *all;
	const struct lab_vm *vm;
	enum guest_state state;
	pid_t pid;
	int status; /* of waitpid(), when it is GONE */
	int fd;     /* to its agent; -1: not connected */
	struct loop_watch *watch;
	struct loop_timer retry;
	struct agent agent;
	TAILQ_HEAD(jobs, job) jobs; /* the first one may be running */
	bool running;               /* ... and is */
	bool orphan;                /* a job is running that was cancelled */
	bool busy;                  /* starting, and others wait for that */
	/* The checkpoint at which it begins; NULL: at the beginning. */
	char *restore;
	bool restoring; /* its process has not yet said that it could */
	void (*restored)(void *arg, bool ok); /* NULL: nobody waits */
	void *restored_arg;
	uint64_t started_ns, ready_ns;
	unsigned int starts; /* how often it got ready */
};

struct guests {
	struct loop *loop;
	const struct lab *lab;
	const char *dir; /* the run directory */
	const char *program;
	bool hardware;       /* KVM is, for QEMU */
	struct guest *guest; /* one for each of the lab's VMs, in its order */
	unsigned int nready;
	unsigned int next;      /* the first one not started yet */
	unsigned int nbusy;     /* of those started, how many count as busy */
	struct loop_timer more; /* starts the next ones */
	struct loop_watch *children; /* SIGCHLD */
	/* Told of each change of state. */
	void (*changed)(void *arg, struct guest *guest);
	void *arg;
};

/* Starts all VMs.  program is what to execute, as "/proc/self/exe".  0, or
 * -Exxx with *err and nothing left running. */
int guests_start(struct guests *guests, struct loop *loop,
    const struct lab *lab, const char *dir, const char *program,
    void (*changed)(void *arg, struct guest *guest), void *arg,
    struct err *err);

/* Ends all VMs, at the latest after three seconds by force.  Cannot fail. */
void guests_stop(struct guests *guests);

struct guest *guests_find(struct guests *guests, const char *name);

/* Asks for a command; a VM that has gone says so from the next round on. */
void job_ask(struct job *job, struct guest *guest);
/* Nothing is called any more.  A command that runs is interrupted. */
void job_cancel(struct job *job);

/* Ends the VM's process, if there is one, and begins anew at a checkpoint of
 * its.  restored is called when it goes on, or with false when it could not and
 * the VM is GONE: guest_epitaph(); not after guest_forget().  0, or -Exxx with
 * *err. */
int guest_restore(struct guest *guest, const char *name,
    void (*restored)(void *arg, bool ok), void *arg, struct err *err);
void guest_forget(struct guest *guest, const void *arg);

const char *guest_state_name(const struct guest *guest);

/* Why a VM has gone, as "exit status 1", with the end of its log.  Returns
 * out. */
char *guest_epitaph(const struct guest *guest, char *out, size_t len);

#endif
