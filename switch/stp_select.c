/*
 * Port Role Selection (17.28): the root, the way to it, and the role of every
 * port.  One for each tree.
 *
 *    INIT_TREE ------> ROLE_SELECTION --- a port asks ---.
 *    all disabled             ^        [choose anew]     |
 *                             '--------------------------'
 *
 * The instances choose again whenever the CIST did: their roles follow the
 * CIST's at the boundary of the region, which no message tells them.
 */
#include "switch/stp_state.h"

#include "base/log.h"

/* Are two identifiers of the same bridge, whatever its priority? */
static bool
same_bridge(uint64_t a, uint64_t b)
{
	return (a ^ b) << 16 == 0;
}

static bool
is_boundary(const struct stp_branch *b)
{
	return stp_cist(b)->info_is == STP_RECEIVED && !b->port->info_internal;
}

static bool
may_be_root_port(const struct stp_branch *b)
{
	return b->info_is == STP_RECEIVED && !b->port->options.root_guard &&
	    (stp_is_cist(b) || !is_boundary(b)) &&
	    !same_bridge(b->port_priority.sender, b->tree->bridge);
}

/* 17.21.25 a) to c). */
static const struct stp_branch *
choose_root(struct stp_tree *tree)
{
	const struct stp_branch *root = NULL;
	struct stp_port *p;

	tree->root_priority = tree->bridge_priority;
	STP_EACH_PORT(tree->stp, p)
	{
		const struct stp_branch *b = &p->branch[tree->index];
		struct stp_vector path;
		int order;

		if (!may_be_root_port(b))
			continue;
		path = stp_root_path(b);
		order = stp_vector_cmp(&path, &tree->root_priority);
		if (order < 0 ||
		    (order == 0 && root != NULL && b->id < root->id)) {
			tree->root_priority = path;
			root = b;
		}
	}
	return root;
}

static struct stp_times
root_times(const struct stp_tree *tree, const struct stp_branch *root)
{
	struct stp_times t = tree->stp->bridge_times;

	if (root == NULL)
		return t;
	t = root->port_times;
	if (root->port->info_internal)
		t.hops -= t.hops > 0;
	else
		t.message_age_s++;
	return t;
}

/* 17.21.25 d) and e). */
static void
designate(struct stp_branch *b)
{
	const struct stp_tree *tree = b->tree;

	b->designated_priority = tree->root_priority;
	b->designated_priority.bridge = tree->bridge;
	b->designated_priority.port = b->id;
	b->designated_priority.sender = tree->bridge;
	/* A Configuration BPDU has no other field for it. */
	if (stp_is_cist(b) && !b->port->send_rstp)
		b->designated_priority.regional_root = tree->bridge;
	b->designated_times = tree->root_times;
	b->designated_times.hello_s = tree->stp->bridge_times.hello_s;
}

static bool
tells_the_same(const struct stp_branch *b)
{
	return stp_vector_cmp(&b->port_priority, &b->designated_priority) ==
	    0 &&
	    stp_times_same(
		stp_is_cist(b), &b->port_times, &b->designated_times);
}

/* The role in an instance of a port whose CIST leaves the region by it. */
static void
choose_boundary_role(struct stp_branch *b)
{
	enum stp_role cist = stp_cist(b)->selected_role;

	b->selected_role = cist == STP_ROOT ? STP_MASTER : cist;
	b->updt_info = !tells_the_same(b);
}

static void
choose_received_role(struct stp_branch *b, const struct stp_branch *root)
{
	b->updt_info = false;
	if (b == root) {
		b->selected_role = STP_ROOT;
	} else if (stp_vector_cmp(&b->designated_priority, &b->port_priority) <
	    0) {
		b->selected_role = STP_DESIGNATED;
		b->updt_info = true;
	} else if (same_bridge(b->port_priority.sender, b->tree->bridge)) {
		b->selected_role = STP_BACKUP;
	} else {
		b->selected_role = STP_ALTERNATE;
	}
}

static void
choose_role(struct stp_branch *b, const struct stp_branch *root)
{
	if (b->info_is != STP_INFO_DISABLED && !stp_is_cist(b) &&
	    is_boundary(b)) {
		choose_boundary_role(b);
		return;
	}
	switch (b->info_is) {
	case STP_INFO_DISABLED: b->selected_role = STP_DISABLED; break;
	case STP_AGED:
		b->selected_role = STP_DESIGNATED;
		b->updt_info = true;
		break;
	case STP_MINE:
		b->selected_role = STP_DESIGNATED;
		b->updt_info = b->updt_info || !tells_the_same(b);
		break;
	case STP_RECEIVED: choose_received_role(b, root); break;
	}
}

/* The region's way to the root is another: all that was agreed within it has
 * to be agreed again (syncMaster of 802.1Q-2018, 13.29, which has it when the
 * Regional Root changes; what is told to the region may change without). */
static void
sync_master(struct stp *stp)
{
	struct stp_port *p;

	STP_EACH_PORT(stp, p)
	for (unsigned int t = 1; t < stp->ntrees; t++) {
		struct stp_branch *b = &p->branch[t];

		b->agree = b->agreed = b->synced = false;
		b->sync = true;
	}
}

static bool
is_same_way(const struct stp_vector *a, const struct stp_vector *b)
{
	return a->root == b->root && a->external_cost == b->external_cost &&
	    a->regional_root == b->regional_root;
}

/* updtRolesTree (17.21.25). */
static void
update_roles(struct stp_tree *tree)
{
	struct stp_vector was = tree->root_priority;
	const struct stp_branch *root = choose_root(tree);
	struct stp_port *p;

	tree->root_port = root != NULL ? root->port : NULL;
	tree->root_times = root_times(tree, root);
	if (tree->index == 0 && !is_same_way(&tree->root_priority, &was))
		sync_master(tree->stp);
	STP_EACH_PORT(tree->stp, p)
	designate(&p->branch[tree->index]);
	STP_EACH_PORT(tree->stp, p)
	choose_role(&p->branch[tree->index], root);
}

static void
finish_selection(struct stp_tree *tree)
{
	struct stp *stp = tree->stp;
	struct stp_port *p;

	STP_EACH_PORT(stp, p)
	{
		struct stp_branch *b = &p->branch[tree->index];

		b->reselect = false;
		b->selected = true;
		p->dirty = true;
		for (unsigned int t = 1; tree->index == 0 && t < stp->ntrees;
		     t++)
			stp_reselect(&p->branch[t]);
	}
}

bool
stp_select_step(struct stp_tree *tree)
{
	struct stp_port *p;
	bool asked = false;

	STP_EACH_PORT(tree->stp, p)
	asked |= p->branch[tree->index].reselect;
	if (!asked)
		return false;
	update_roles(tree);
	finish_selection(tree);
	log_debug("%s: tree %u: root %016llx by port %u", tree->stp->name,
	    tree->id, (unsigned long long)tree->root_priority.root,
	    tree->root_port != NULL ? tree->root_port->number : 0);
	return true;
}

void
stp_select_begin(struct stp_tree *tree)
{
	struct stp_port *p;

	tree->root_priority = tree->bridge_priority;
	tree->root_times = tree->stp->bridge_times;
	tree->root_port = NULL;
	STP_EACH_PORT(tree->stp, p)
	p->branch[tree->index].selected_role = STP_DISABLED;
}
