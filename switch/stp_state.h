/*
 * stp_state.h - what the machines of the spanning tree share.
 *
 * For switch/stp*.c alone.  Variables and procedures have the names of IEEE
 * 802.1D-2004, 17, and 802.1Q-2018, 13, in lower case, and mean what they say
 * there; clauses given are those of 802.1D where both have one.
 *
 * A timer is the instant at which it runs out, in ns: 0 when it has.  Where
 * the standard sets a timer anew with every tick, so that it does not run, it
 * is STP_HELD here, and begins when the port leaves that state.
 */
#ifndef SWITCH_STP_STATE_H
#define SWITCH_STP_STATE_H

#include "switch/stp.h"

#define STP_HELD        UINT64_MAX
#define STP_NS_PER_S    UINT64_C(1000000000)
#define STP_MIGRATE_S   3                   /* Migrate Time */
#define STP_TC_AGAIN_NS UINT64_C(250000000) /* stp_change.c */

#define TO(state) (1u << (state)) /* in tables of legal moves */

/* A priority vector (802.1Q-2018, 13.10): the first that differs decides, the
 * lesser is better.  Of an MSTI the first two are 0. */
struct stp_vector {
	uint64_t root;
	uint32_t external_cost;
	uint64_t regional_root;
	uint32_t internal_cost;
	uint64_t bridge;
	uint16_t port;
	uint64_t sender; /* decides nothing: whose port it is, where bridge is
			  * the sender's region */
};

struct stp_times {
	uint16_t message_age_s, max_age_s, hello_s, forward_delay_s;
	uint8_t hops;
};

enum stp_info_is { STP_INFO_DISABLED, STP_AGED, STP_MINE, STP_RECEIVED };

/* Port Information, Port Role Transitions, Topology Change. */
enum stp_info_state { PIM_DISABLED, PIM_AGED, PIM_CURRENT, PIM_NSTATES };
enum stp_role_state {
	PRT_INIT_PORT,
	PRT_DISABLE_PORT,
	PRT_DISABLED_PORT,
	PRT_ROOT_PORT,
	PRT_DESIGNATED_PORT,
	PRT_MASTER_PORT,
	PRT_BLOCK_PORT,
	PRT_ALTERNATE_PORT,
	PRT_NSTATES,
};
enum stp_change_state { TCM_INACTIVE, TCM_LEARNING, TCM_ACTIVE, TCM_NSTATES };

/* Port Protocol Migration, Bridge Detection. */
enum stp_migration_state {
	PPM_CHECKING_RSTP,
	PPM_SELECTING_STP,
	PPM_SENSING,
	PPM_NSTATES,
};
enum stp_edge_state { BDM_EDGE, BDM_NOT_EDGE, BDM_NSTATES };

/* A port in one tree. */
struct stp_branch {
	struct stp_port *port;
	struct stp_tree *tree;
	uint16_t id; /* port identifier in the tree */
	uint32_t cost;

	enum stp_info_state pim;
	enum stp_role_state prt;
	enum stp_state
	    state; /* of Port State Transition: learning, forwarding */
	enum stp_change_state tcm;

	enum stp_role role, selected_role;
	enum stp_info_is info_is;
	struct stp_vector port_priority, designated_priority, msg_priority;
	struct stp_times port_times, designated_times, msg_times;
	const struct bpdu_msti *msg; /* of an MSTI, while rcvd_msg */

	bool rcvd_msg, rcvd_tc, tc_prop;
	bool agree, agreed, proposed, proposing, disputed;
	bool learn, forward;
	bool reselect, selected, updt_info;
	bool sync, synced, re_root;
	bool mastered;

	uint64_t fd_while, rr_while, rb_while, tc_while, rcvd_info_while;
	uint64_t tc_again; /* 0: no */
	uint64_t forwards;
};

struct stp_port {
	struct stp *stp;
	unsigned int number;
	struct stp_port_options options;
	bool up, guarded, enabled; /* enabled: up and not guarded */

	enum stp_migration_state ppm;
	enum stp_edge_state bdm;

	const struct bpdu *bpdu; /* while it is being taken in */
	bool rcvd_rstp, rcvd_stp, rcvd_tcn, rcvd_tc_ack;
	bool rcvd_internal, info_internal;
	bool oper_edge, send_rstp, mcheck, tc_ack;
	bool new_info, new_info_msti;

	uint64_t hello_when, mdelay_while, edge_delay_while;
	unsigned int tx_count;
	uint64_t tx_decay; /* when tx_count becomes one less */

	uint64_t in_bpdus, out_bpdus;
	bool dirty;                 /* its machines may have something to do */
	struct stp_branch branch[]; /* one for each tree */
};

/* The bridge in one tree. */
struct stp_tree {
	struct stp *stp;
	unsigned int index;
	uint16_t id;     /* MSTID */
	uint64_t bridge; /* this bridge's identifier in it */
	struct stp_vector bridge_priority, root_priority;
	struct stp_times root_times;
	struct stp_port *root_port; /* NULL: this bridge is the root */
	uint64_t changes, changed_ns;
};

struct stp {
	const char *name;
	struct mac mac;
	const struct stp_ops *ops;
	void *arg;
	struct stp_options options;
	struct bpdu_region region;
	struct stp_times bridge_times;
	uint64_t now_ns;
	unsigned int ntrees;
	struct stp_tree *tree;
	struct stp_port **port; /* by number; NULL: none */
	unsigned int nports;    /* numbers below it may be in use */
};

/* Loops over what there is; `port` in a loop is never NULL. */
#define STP_EACH_PORT(stp, p)                                        \
	for (unsigned int p##_i = 0; p##_i < (stp)->nports; p##_i++) \
		if (((p) = (stp)->port[p##_i]) == NULL)              \
			continue;                                    \
		else

#define STP_EACH_BRANCH(p, b) \
	for ((b) = (p)->branch; (b) < (p)->branch + (p)->stp->ntrees; (b)++)

/* ---- timers ---- */

static inline bool
stp_runs(const struct stp *stp, uint64_t until)
{
	return until > stp->now_ns;
}

static inline uint64_t
stp_in_s(const struct stp *stp, unsigned int seconds)
{
	return stp->now_ns + seconds * STP_NS_PER_S;
}

/* Begins a timer that was held. */
static inline void
stp_release(const struct stp *stp, uint64_t *timer, unsigned int seconds)
{
	if (*timer == STP_HELD)
		*timer = stp_in_s(stp, seconds);
}

/* ---- what the conditions of the machines are made of ---- */

static inline bool
stp_is_cist(const struct stp_branch *b)
{
	return b->tree->index == 0;
}

static inline struct stp_branch *
stp_cist(const struct stp_branch *b)
{
	return b->port->branch;
}

/* rstpVersion (17.20.11). */
static inline bool
stp_rstp_version(const struct stp *stp)
{
	return stp->options.mode != STP_MODE_STP;
}

static inline bool
stp_is_learning(const struct stp_branch *b)
{
	return b->state != STP_DISCARDING;
}

static inline bool
stp_is_forwarding(const struct stp_branch *b)
{
	return b->state == STP_FORWARDING;
}

/* Its role was chosen, and what it tells is up to date. */
static inline bool
stp_is_settled(const struct stp_branch *b)
{
	return b->selected && !b->updt_info;
}

/* newInfo or newInfoMsti. */
static inline void
stp_new_info(struct stp_branch *b)
{
	if (stp_is_cist(b))
		b->port->new_info = true;
	else
		b->port->new_info_msti = true;
}

/* FwdDelay, HelloTime and MaxAge, and forwardDelay (17.20). */
static inline unsigned int
stp_fwd_delay_s(const struct stp_branch *b)
{
	return stp_cist(b)->designated_times.forward_delay_s;
}

static inline unsigned int
stp_hello_s(const struct stp_branch *b)
{
	return stp_cist(b)->designated_times.hello_s;
}

static inline unsigned int
stp_max_age_s(const struct stp_branch *b)
{
	return stp_cist(b)->designated_times.max_age_s;
}

static inline unsigned int
stp_forward_delay_s(const struct stp_branch *b)
{
	return b->port->send_rstp ? stp_hello_s(b) : stp_fwd_delay_s(b);
}

/* Another port's variables changed: its machines have to look. */
static inline void
stp_wake_tree(struct stp *stp)
{
	struct stp_port *p;

	STP_EACH_PORT(stp, p)
	p->dirty = true;
}

/* ---- vectors (stp_vector.c) ---- */

/* Less than 0: a is better. */
int stp_vector_cmp(const struct stp_vector *a, const struct stp_vector *b);

/* Does a come from b's designated bridge and port?  Then it replaces b, better
 * or not (17.6). */
bool stp_vector_same_port(
    const struct stp_vector *a, const struct stp_vector *b);

/* The times that matter to the tree are the same. */
bool stp_times_same(
    bool cist, const struct stp_times *a, const struct stp_times *b);

/* message is a BPDU that b->port received: fills in msg_priority and msg_times
 * (messagePriority, messageTimes). */
void stp_read_message(struct stp_branch *b, const struct bpdu *bpdu);

/* What root_priority would be by b's port (17.6, root path priority vector). */
struct stp_vector stp_root_path(const struct stp_branch *b);

/* MD5 digest of which VLAN is in which instance (802.1Q-2018, 13.8). */
void stp_region_make(
    struct bpdu_region *region, const struct stp_options *options);

/* ---- the machines, each in its file ----
 *
 * _begin() is what BEGIN does.  _step() makes at most one move and says whether
 * it did. */

void stp_info_begin(struct stp_branch *b);
bool stp_info_step(struct stp_branch *b);

void stp_select_begin(struct stp_tree *tree);
bool stp_select_step(struct stp_tree *tree);

void stp_role_begin(struct stp_branch *b);
bool stp_role_step(struct stp_branch *b);

void stp_forward_begin(struct stp_branch *b);
bool stp_forward_step(struct stp_branch *b);

void stp_change_begin(struct stp_branch *b);
bool stp_change_step(struct stp_branch *b);

void stp_migrate_begin(struct stp_port *p);
bool stp_migrate_step(struct stp_port *p);

void stp_edge_begin(struct stp_port *p);
bool stp_edge_step(struct stp_port *p);

void stp_receive_begin(struct stp_port *p);
/* Makes p->bpdu known to the other machines. */
void stp_receive_message(struct stp_port *p);

void stp_transmit_begin(struct stp_port *p);
bool stp_transmit_step(struct stp_port *p);
/* When it could move, if nothing else happens. */
uint64_t stp_transmit_deadline_ns(const struct stp_port *p);

/* Asks for a new choice of the port's role. */
static inline void
stp_reselect(struct stp_branch *b)
{
	b->reselect = true;
	b->selected = false;
}

#endif
