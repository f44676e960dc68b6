/*
 * A value behind lanyard set is read by the row of the lab file's key, into the
 * same struct, and from there goes the same way.
 */
#include "lab/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/schema.h"
#include "switch/vlan.h"

#define WHERE "stp"

static uint8_t
seconds(uint64_t ns)
{
	return (uint8_t)(ns / NS_PER_S);
}

static int
check_whole(uint64_t ns, const char *key, struct err *err)
{
	if (ns % NS_PER_S == 0)
		return 0;
	return err_set(err, -EINVAL,
	    WHERE ": %s is not a number of whole seconds; BPDUs count in "
		  "those",
	    key);
}

/* ---- instances ---- */

/* Gives VLANs to tree, which is that of instance id. */
static int
give_vlans(struct stp_options *options, const struct vlan_set *vlans,
    uint8_t tree, unsigned int id, struct err *err)
{
	for (unsigned int v = 1; v <= VLAN_MAX; v++) {
		if (!vlan_set_has(vlans, (uint16_t)v))
			continue;
		if (options->tree[v] != 0)
			return err_set(err, -EINVAL,
			    WHERE ": VLAN %u is of instances %u and %u; give "
				  "it to one",
			    v, options->msti[options->tree[v] - 1].id, id);
		options->tree[v] = tree;
	}
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	const struct lab_stp_instance *const *pa = a, *const *pb = b;

	return (*pa)->id < (*pb)->id ? -1 : (*pa)->id > (*pb)->id;
}

static int
read_instances(
    struct stp_options *options, const struct lab_stp *stp, struct err *err)
{
	const struct lab_stp_instance *sorted[STP_MSTIS_MAX];
	int e = 0;

	if (stp->ninstances > STP_MSTIS_MAX)
		return err_set(err, -EINVAL,
		    WHERE ": %u instances are too many; use at most %d",
		    stp->ninstances, STP_MSTIS_MAX);
	options->nmstis = stp->ninstances;
	for (unsigned int i = 0; i < stp->ninstances; i++)
		sorted[i] = &stp->instances[i];
	qsort(sorted, stp->ninstances, sizeof(sorted[0]), by_id);
	for (unsigned int i = 0; i < stp->ninstances && e == 0; i++) {
		const struct lab_stp_instance *in = sorted[i];

		options->msti[i].id = (uint16_t)in->id;
		options->msti[i].priority = (uint16_t)in->priority;
		e = give_vlans(options, &in->vlans, (uint8_t)(i + 1),
		    (unsigned int)in->id, err);
	}
	return e;
}

/* The place of an instance in options->msti, or -EINVAL. */
static int
find_instance(const struct stp_options *options, uint64_t id, struct err *err)
{
	for (unsigned int i = 0; i < options->nmstis; i++)
		if (options->msti[i].id == id)
			return (int)i;
	return err_set(err, -EINVAL,
	    WHERE ": the switch has no instance %llu; it is to be named in "
		  "instances",
	    (unsigned long long)id);
}

/* ---- switches ---- */

int
tree_options(
    struct stp_options *options, const struct lab_stp *stp, struct err *err)
{
	int e;

	stp_options_init(options);
	options->mode = (enum stp_mode)stp->mode;
	options->priority = (uint16_t)stp->priority;
	options->hello_s = seconds(stp->hello_ns);
	options->max_age_s = seconds(stp->max_age_ns);
	options->forward_delay_s = seconds(stp->forward_delay_ns);
	options->hold = (uint8_t)stp->hold;
	options->max_hops = (uint8_t)stp->max_hops;
	options->revision = (uint16_t)stp->revision;
	if (stp->region != NULL && strlen(stp->region) > BPDU_NAME_BYTES)
		return err_set(err, -EINVAL,
		    WHERE ": region \"%.40s\" is too long; use at most %d "
			  "bytes",
		    stp->region, BPDU_NAME_BYTES);
	if (stp->region != NULL)
		snprintf(options->region, sizeof(options->region), "%s",
		    stp->region);
	e = check_whole(stp->hello_ns, "hello", err);
	if (e == 0)
		e = check_whole(stp->max_age_ns, "max-age", err);
	if (e == 0)
		e = check_whole(stp->forward_delay_ns, "forward-delay", err);
	if (e == 0)
		e = read_instances(options, stp, err);
	return e < 0 ? e : stp_options_check(options, WHERE, err);
}

static struct lab_stp
from_options(const struct stp_options *o)
{
	return (struct lab_stp){
		.mode = (int)o->mode,
		.priority = o->priority,
		.hello_ns = o->hello_s * NS_PER_S,
		.max_age_ns = o->max_age_s * NS_PER_S,
		.forward_delay_ns = o->forward_delay_s * NS_PER_S,
		.hold = o->hold,
		.max_hops = o->max_hops,
		.revision = o->revision,
		.region = o->region,
	};
}

/* ---- ports ---- */

/* No bridge is behind these, unless a BPDU says otherwise. */
static enum stp_edge
edge_of(const struct lab_port *node)
{
	const struct lab_vm *vm;

	if (node == NULL)
		return STP_EDGE_AUTO;
	switch (node->kind) {
	case LAB_ROUTER:
	case LAB_HOST: return STP_EDGE_YES;
	case LAB_VM:
		vm = (const struct lab_vm *)(const void *)node->owner;
		return vm->guest == GUEST_TINY && vm->kernel == NULL
		    ? STP_EDGE_YES
		    : STP_EDGE_AUTO;
	case LAB_PLUG:
	case LAB_BRIDGE:
	case LAB_SWITCH: break;
	}
	return STP_EDGE_AUTO;
}

static void
use_port(struct stp_port_options *options, const struct lab_stp_port *says)
{
	if (says->cost != 0) /* else it was refused already */
		options->cost = (uint32_t)says->cost;
	options->priority = (uint8_t)says->priority;
	options->edge = (enum stp_edge)says->edge;
	options->bpdu_guard = says->bpdu_guard;
	options->root_guard = says->root_guard;
	options->tcn_guard = says->tcn_guard;
	options->point_to_point = says->point_to_point;
}

static int
use_instances(struct stp_port_options *options, const struct lab_stp *stp,
    const struct lab_stp_port *says, struct err *err)
{
	struct stp_options of;

	if (says->ninstances == 0)
		return 0;
	/* In the order that they have there. */
	stp_options_init(&of);
	if (read_instances(&of, stp, err) < 0)
		return -EINVAL;
	for (unsigned int i = 0; i < says->ninstances; i++) {
		const struct lab_stp_instance *in = &says->instances[i];
		int at = find_instance(&of, in->id, err);

		if (at < 0)
			return at;
		options->msti_cost[at] = (uint32_t)in->cost;
		if (yaml_get(in->item.node, "priority") != NULL)
			options->msti_priority[at] = (uint8_t)in->priority;
	}
	return 0;
}

int
tree_port_options(struct stp_port_options *options, const struct lab_stp *stp,
    const struct lab_stp_port *says, const struct lab_port *node,
    struct err *err)
{
	int e = 0;

	stp_port_options_init(options);
	if (says != NULL) {
		use_port(options, says);
		e = use_instances(options, stp, says, err);
	}
	if (says == NULL || yaml_get(says->item.node, "edge") == NULL)
		options->edge = edge_of(node);
	return e < 0 ? e : stp_port_options_check(options, WHERE, err);
}

static struct lab_stp_port
from_port_options(const struct stp_port_options *o)
{
	return (struct lab_stp_port){
		.cost = o->cost,
		.priority = o->priority,
		.edge = (int)o->edge,
		.bpdu_guard = o->bpdu_guard,
		.root_guard = o->root_guard,
		.tcn_guard = o->tcn_guard,
		.point_to_point = o->point_to_point,
	};
}

/* ---- lanyard set ---- */

/* Reads value by the row of the key that follows "stp-" below path. */
static int
read_value(const char *path, const char *key, const char *value, void *object,
    struct err *err)
{
	if (strncmp(key, TREE_KEY_PREFIX, strlen(TREE_KEY_PREFIX)) == 0)
		return schema_read_text(
		    path, key + strlen(TREE_KEY_PREFIX), value, object, err);
	return err_set(err, -EINVAL,
	    "\"%.40s\" is no key of a spanning tree; they begin with "
	    "\"" TREE_KEY_PREFIX "\"",
	    key);
}

/* "stp-priority/3": the instance is cut off and put into *id. */
static int
cut_instance(
    char *out, size_t len, const char *key, unsigned long *id, struct err *err)
{
	const char *slash = strchr(key, '/');
	char *end;

	*id = 0;
	snprintf(out, len, "%.*s",
	    slash != NULL ? (int)(slash - key) : (int)strlen(key), key);
	if (slash == NULL)
		return 0;
	*id = strtoul(slash + 1, &end, 10);
	if (slash[1] >= '0' && slash[1] <= '9' && *end == '\0' && *id > 0)
		return 0;
	return err_set(err, -EINVAL,
	    "\"%.40s\" names no instance; write its number, as "
	    "stp-priority/1",
	    key);
}

static int
set_instance(struct stp_options *options, unsigned long id, const char *key,
    const char *value, struct err *err)
{
	struct lab_stp_instance in = { .id = id };
	int at = find_instance(options, id, err);
	int e;

	if (at < 0)
		return at;
	e = read_value("switches.*.stp.instances[]", key, value, &in, err);
	if (e == 0)
		options->msti[at].priority = (uint16_t)in.priority;
	return e < 0 ? e : stp_options_check(options, WHERE, err);
}

int
tree_set(struct stp_options *options, const char *key, const char *value,
    struct err *err)
{
	struct lab_stp stp = from_options(options);
	struct stp_options changed;
	unsigned long id;
	char plain[48];
	int e = cut_instance(plain, sizeof(plain), key, &id, err);

	if (e == 0 && id != 0)
		return set_instance(options, id, plain, value, err);
	if (e == 0)
		e = read_value("switches.*.stp", plain, value, &stp, err);
	if (e == 0)
		e = tree_options(&changed, &stp, err);
	if (e < 0)
		return e;
	/* Which VLANs are in which instance stays. */
	changed.nmstis = options->nmstis;
	memcpy(changed.msti, options->msti, sizeof(changed.msti));
	memcpy(changed.tree, options->tree, sizeof(changed.tree));
	e = stp_options_check(&changed, WHERE, err);
	if (e == 0)
		*options = changed;
	return e;
}

static int
set_port_instance(struct stp_port_options *options,
    const struct stp_options *of, unsigned long id, const char *key,
    const char *value, struct err *err)
{
	struct lab_stp_instance in = { .id = id };
	int at = find_instance(of, id, err), e;

	if (at < 0)
		return at;
	in.cost = options->msti_cost[at];
	in.priority = options->msti_priority[at];
	e = read_value(
	    "switches.*.stp.ports[].instances[]", key, value, &in, err);
	if (e < 0)
		return e;
	options->msti_cost[at] = (uint32_t)in.cost;
	options->msti_priority[at] = (uint8_t)in.priority;
	return stp_port_options_check(options, WHERE, err);
}

int
tree_set_port(struct stp_port_options *options, const struct stp_options *of,
    const char *key, const char *value, struct err *err)
{
	struct lab_stp_port port = from_port_options(options);
	unsigned long id;
	char plain[48];
	int e = cut_instance(plain, sizeof(plain), key, &id, err);

	if (e == 0 && id != 0)
		return set_port_instance(options, of, id, plain, value, err);
	if (e == 0)
		e = read_value(
		    "switches.*.stp.ports[]", plain, value, &port, err);
	if (e < 0)
		return e;
	use_port(options, &port);
	return stp_port_options_check(options, WHERE, err);
}
