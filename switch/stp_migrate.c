/*
 * Port Protocol Migration (17.24): does the other side speak RSTP, or STP only?
 * One for each port.
 *
 *                              3 s                 STP heard
 *    CHECKING_RSTP ----------------------> SENSING ---------> SELECTING_STP
 *      send_rstp     <--------------------    ^                 !send_rstp
 *                     link down, mcheck, or   |  3 s, link down,    |
 *                     RSTP heard again        '----- or mcheck -----'
 *
 * For three seconds after a decision nothing that is heard changes it, so that
 * what was on its way does not.
 */
#include "switch/stp_state.h"

#include <assert.h>

#include "base/log.h"

static void
enter_checking(struct stp_port *p)
{
	p->mcheck = false;
	p->send_rstp = stp_rstp_version(p->stp);
	p->mdelay_while =
	    p->enabled ? stp_in_s(p->stp, STP_MIGRATE_S) : STP_HELD;
}

static void
enter_selecting(struct stp_port *p)
{
	p->send_rstp = false;
	p->mdelay_while = stp_in_s(p->stp, STP_MIGRATE_S);
	stp_reselect(&p->branch[0]);
}

static void
enter_sensing(struct stp_port *p)
{
	p->rcvd_rstp = p->rcvd_stp = false;
}

static const struct {
	const char *name;
	unsigned int next;
	void (*enter)(struct stp_port *);
} migrate_fsm[] = {
	[PPM_CHECKING_RSTP] = { "checking RSTP", TO(PPM_SENSING),
	    enter_checking },
	[PPM_SELECTING_STP] = { "selecting STP", TO(PPM_SENSING),
	    enter_selecting },
	[PPM_SENSING] = { "sensing",
	    TO(PPM_CHECKING_RSTP) | TO(PPM_SELECTING_STP), enter_sensing },
};
static_assert(sizeof(migrate_fsm) / sizeof(migrate_fsm[0]) == PPM_NSTATES,
    "a state has no row");

static void
migrate_set(struct stp_port *p, enum stp_migration_state to)
{
	assert(migrate_fsm[p->ppm].next & TO(to));
	log_debug("%s: port %u: %s -> %s", p->stp->name, p->number,
	    migrate_fsm[p->ppm].name, migrate_fsm[to].name);
	p->ppm = to;
	migrate_fsm[to].enter(p);
}

static bool
step_sensing(struct stp_port *p)
{
	if (!p->enabled || p->mcheck ||
	    (stp_rstp_version(p->stp) && !p->send_rstp && p->rcvd_rstp)) {
		migrate_set(p, PPM_CHECKING_RSTP);
		return true;
	}
	if (p->send_rstp && p->rcvd_stp) {
		migrate_set(p, PPM_SELECTING_STP);
		return true;
	}
	return false;
}

bool
stp_migrate_step(struct stp_port *p)
{
	bool over = !stp_runs(p->stp, p->mdelay_while);

	switch (p->ppm) {
	case PPM_CHECKING_RSTP:
		if (p->enabled != (p->mdelay_while != STP_HELD)) {
			enter_checking(p);
			return true;
		}
		if (!over)
			return false;
		migrate_set(p, PPM_SENSING);
		return true;
	case PPM_SELECTING_STP:
		if (!over && p->enabled && !p->mcheck)
			return false;
		migrate_set(p, PPM_SENSING);
		return true;
	case PPM_SENSING: return step_sensing(p);
	case PPM_NSTATES: break;
	}
	assert(!"a state of Port Protocol Migration");
	return false;
}

void
stp_migrate_begin(struct stp_port *p)
{
	p->ppm = PPM_CHECKING_RSTP;
	enter_checking(p);
}
