/*
 * What can be asked of the spanning tree, and what is refused.
 */
#include "switch/stp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/cursor.h"

const char *
stp_mode_name(enum stp_mode mode)
{
	switch (mode) {
	case STP_MODE_STP: return "stp";
	case STP_MODE_RSTP: return "rstp";
	case STP_MODE_MSTP: return "mstp";
	case STP_NMODES: break;
	}
	return "?";
}

const char *
stp_role_name(enum stp_role role)
{
	switch (role) {
	case STP_DISABLED: return "disabled";
	case STP_ROOT: return "root";
	case STP_DESIGNATED: return "designated";
	case STP_ALTERNATE: return "alternate";
	case STP_BACKUP: return "backup";
	case STP_MASTER: return "master";
	case STP_NROLES: break;
	}
	return "?";
}

char *
stp_id_text(char *out, uint64_t id)
{
	char text[MAC_TEXT_BYTES];
	struct mac mac;

	put_be16(mac.b, (uint16_t)(id >> 32));
	put_be32(mac.b + 2, (uint32_t)id);
	snprintf(out, STP_ID_TEXT_BYTES, "%u.%s", (unsigned int)(id >> 48),
	    mac_text(text, &mac));
	return out;
}

void
stp_options_init(struct stp_options *options)
{
	memset(options, 0, sizeof(*options));
	options->mode = STP_MODE_RSTP;
	options->priority = STP_PRIORITY;
	options->hello_s = STP_HELLO_S;
	options->max_age_s = STP_MAX_AGE_S;
	options->forward_delay_s = STP_DELAY_S;
	options->hold = STP_HOLD;
	options->max_hops = STP_HOPS;
}

void
stp_port_options_init(struct stp_port_options *options)
{
	memset(options, 0, sizeof(*options));
	options->cost = STP_COST;
	options->priority = STP_PORT_PRIORITY;
	options->edge = STP_EDGE_AUTO;
	options->point_to_point = true;
	memset(options->msti_priority, STP_AS_PORT,
	    sizeof(options->msti_priority));
}

static int
check_range(const char *where, struct err *err, const char *what,
    unsigned int value, unsigned int min, unsigned int max)
{
	if (value >= min && value <= max)
		return 0;
	return err_set(err, -EINVAL, "%s: %s %u is out of range; use %u to %u",
	    where, what, value, min, max);
}

static int
check_step(const char *where, struct err *err, const char *what,
    unsigned int value, unsigned int max, unsigned int step)
{
	if (value <= max && value % step == 0)
		return 0;
	return err_set(err, -EINVAL,
	    "%s: %s %u is no step of the scale; use a multiple of %u, 0 to %u",
	    where, what, value, step, max);
}

/* 2 * (forward delay - 1) >= max age >= 2 * (hello + 1) (17.14). */
static int
check_times(const struct stp_options *o, const char *where, struct err *err)
{
	int code = check_range(
	    where, err, "hello", o->hello_s, STP_HELLO_MIN_S, STP_HELLO_MAX_S);

	if (code == 0)
		code = check_range(where, err, "max-age", o->max_age_s,
		    STP_MAX_AGE_MIN_S, STP_MAX_AGE_MAX_S);
	if (code == 0)
		code = check_range(where, err, "forward-delay",
		    o->forward_delay_s, STP_DELAY_MIN_S, STP_DELAY_MAX_S);
	if (code < 0)
		return code;
	if (o->max_age_s > 2 * (o->forward_delay_s - 1))
		return err_set(err, -EINVAL,
		    "%s: max-age %us outlives the forward-delay of %us; use at "
		    "most %us, or a forward-delay of %us or more",
		    where, o->max_age_s, o->forward_delay_s,
		    2 * (o->forward_delay_s - 1),
		    o->max_age_s / 2 + o->max_age_s % 2 + 1);
	if (o->max_age_s < 2 * (o->hello_s + 1))
		return err_set(err, -EINVAL,
		    "%s: max-age %us is too short for a hello of %us; use "
		    "%us or more",
		    where, o->max_age_s, o->hello_s, 2 * (o->hello_s + 1));
	return 0;
}

static int
check_instances(const struct stp_options *o, const char *where, struct err *err)
{
	if (o->mode != STP_MODE_MSTP && o->nmstis > 0)
		return err_set(err, -EINVAL,
		    "%s: %s has no instances; use mstp, or leave them out",
		    where, stp_mode_name(o->mode));
	if (o->nmstis > STP_MSTIS_MAX)
		return err_set(err, -EINVAL,
		    "%s: %u instances are too many; use at most %d", where,
		    o->nmstis, STP_MSTIS_MAX);
	for (unsigned int i = 0; i < o->nmstis; i++) {
		int code =
		    check_range(where, err, "instance", o->msti[i].id, 1, 4094);

		if (code == 0)
			code = check_step(where, err, "priority",
			    o->msti[i].priority, STP_PRIORITY_MAX,
			    STP_PRIORITY_STEP);
		if (code < 0)
			return code;
		if (i > 0 && o->msti[i].id <= o->msti[i - 1].id)
			return err_set(err, -EINVAL,
			    "%s: instance %u follows instance %u; sort them, "
			    "each once",
			    where, o->msti[i].id, o->msti[i - 1].id);
	}
	for (unsigned int vlan = 0; vlan < STP_VLANS; vlan++)
		if (o->tree[vlan] > o->nmstis)
			return err_set(err, -EINVAL,
			    "%s: VLAN %u is of no instance; name one", where,
			    vlan);
	return 0;
}

int
stp_options_check(
    const struct stp_options *options, const char *where, struct err *err)
{
	int code = check_step(where, err, "priority", options->priority,
	    STP_PRIORITY_MAX, STP_PRIORITY_STEP);

	if (code == 0)
		code = check_times(options, where, err);
	if (code == 0)
		code = check_range(where, err, "transmit-hold", options->hold,
		    STP_HOLD_MIN, STP_HOLD_MAX);
	if (code == 0)
		code = check_range(where, err, "max-hops", options->max_hops,
		    STP_HOPS_MIN, STP_HOPS_MAX);
	return code < 0 ? code : check_instances(options, where, err);
}

int
stp_port_options_check(
    const struct stp_port_options *options, const char *where, struct err *err)
{
	int code =
	    check_range(where, err, "cost", options->cost, 1, STP_COST_MAX);

	if (code == 0)
		code = check_step(where, err, "priority", options->priority,
		    STP_PORT_PRIORITY_MAX, STP_PORT_PRIORITY_STEP);
	for (unsigned int i = 0; code == 0 && i < STP_MSTIS_MAX; i++) {
		code = check_range(
		    where, err, "cost", options->msti_cost[i], 0, STP_COST_MAX);
		if (code == 0 && options->msti_priority[i] != STP_AS_PORT)
			code = check_step(where, err, "priority",
			    options->msti_priority[i], STP_PORT_PRIORITY_MAX,
			    STP_PORT_PRIORITY_STEP);
	}
	return code;
}
