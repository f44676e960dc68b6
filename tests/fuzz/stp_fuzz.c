/* libs: switch net base */
/*
 * A bridge whose neighbours say whatever the input says: BPDUs of all kinds, as
 * bytes and as fields, links up and down, ports and options that come and go,
 * time.
 *
 * Whatever comes: a port forwards only with its link up, never in a role that
 * blocks; what it was told to be is what it says it is; there is one root port
 * in a tree, if the bridge is not the root itself; no port sends more than the
 * hold count allows while its link is up; and left alone, the bridge becomes the root with all its
 * ports open.
 */
#include <stdlib.h>
#include <string.h>

#include "switch/stp_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(claim) ((claim) ? (void)0 : abort())
#define PORTS        5 /* numbers 1 to 4 */
#define NS_PER_S     UINT64_C(1000000000)

struct world {
	struct stp *stp;
	uint64_t now_ns;
	struct {
		bool used, up;
		enum stp_state state[STP_MSTIS_MAX + 1];
		uint64_t sent_ns[STP_HOLD_MAX + 1]; /* the last ones */
		unsigned int sent;
	} port[PORTS];
	bool held; /* no options came that begin anew, or with another count */
};

struct input {
	const uint8_t *at, *end;
};

static uint8_t
next(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* ---- what the bridge asks for ---- */

/* Of hold + 1 in a row, the first was sent a second before the last. */
static void
check_hold(struct world *w, unsigned int port)
{
	unsigned int hold = stp_get_options(w->stp)->hold;
	unsigned int n = w->port[port].sent++;

	w->port[port].sent_ns[n % (STP_HOLD_MAX + 1)] = w->now_ns;
	if (w->held && n >= hold)
		CHECK(w->port[port].sent_ns[(n - hold) % (STP_HOLD_MAX + 1)] +
			NS_PER_S <=
		    w->now_ns);
}

static void
on_send(void *arg, unsigned int port, const struct bpdu *bpdu)
{
	static const struct mac src = { { 2, 0, 0, 0, 0, 1 } };
	struct world *w = arg;
	uint8_t out[BPDU_FRAME_BYTES];
	struct writer writer_ = writer(out, sizeof(out));

	CHECK(w->port[port].used && w->port[port].up);
	bpdu_write(&writer_, &src, bpdu);
	CHECK(!writer_.overrun);
	check_hold(w, port);
}

static void
on_state(void *arg, unsigned int port, unsigned int tree, enum stp_state state)
{
	struct world *w = arg;

	CHECK(w->port[port].used && tree <= STP_MSTIS_MAX);
	CHECK(w->port[port].up || state == STP_DISCARDING);
	w->port[port].state[tree] = state;
}

static void
on_flush(void *arg, unsigned int port, unsigned int tree)
{
	struct world *w = arg;

	CHECK(w->port[port].used && tree <= STP_MSTIS_MAX);
}

static const struct stp_ops ops = { on_send, on_state, on_flush };

/* ---- what the input says ---- */

static void
hear_bytes(struct world *w, struct input *in)
{
	unsigned int port = 1 + next(in) % (PORTS - 1);
	size_t len = (size_t)(in->end - in->at);
	struct cursor c;
	struct bpdu bpdu;

	len = len < 150 ? len : 150;
	c = cursor(in->at, len);
	in->at += len;
	if (bpdu_parse(&bpdu, &c) == DROP_NONE)
		stp_receive(w->stp, port, &bpdu, w->now_ns);
}

/* Near what the bridge knows, so that little differences matter. */
static uint64_t
some_id(struct input *in)
{
	return (uint64_t)(next(in) % 4 * 0x4000) << 48 | 0x020000000000u |
	    (next(in) % 4);
}

static void
hear_fields(struct world *w, struct input *in)
{
	const struct stp_options *o = stp_get_options(w->stp);
	unsigned int port = 1 + next(in) % (PORTS - 1);
	uint8_t kind = next(in);
	struct bpdu bpdu = {
		.type = kind % 8 == 0 ? BPDU_TYPE_TCN
		    : kind % 8 == 1   ? BPDU_TYPE_CONFIG
				      : BPDU_TYPE_RST,
		.flags = next(in),
		.root = some_id(in),
		.external_cost = next(in) * 10000u,
		.bridge = some_id(in),
		.port = (uint16_t)(0x8000 | next(in) % 4),
		.message_age = (uint16_t)(next(in) % 24 * 256u),
		.max_age = (uint16_t)(next(in) * 256u),
		.hello = (uint16_t)(next(in) * 64u),
		.forward_delay = (uint16_t)(next(in) * 256u),
		.internal_cost = next(in) * 10000u,
		.sender = some_id(in),
		.hops = next(in),
	};

	if (bpdu.type == BPDU_TYPE_RST)
		bpdu.version = kind & 8 ? BPDU_MSTP : BPDU_RSTP;
	if (bpdu.version == BPDU_MSTP) {
		if (kind & 16) /* of the region */
			stp_region_make(&bpdu.region, o);
		bpdu.nmstis = next(in) % 3;
		for (unsigned int i = 0; i < bpdu.nmstis; i++)
			bpdu.msti[i] = (struct bpdu_msti){
				.flags = next(in),
				.regional_root =
				    some_id(in) | (uint64_t)(1 + i) << 48,
				.internal_cost = next(in) * 10000u,
				.bridge_priority = next(in),
				.port_priority = next(in),
				.hops = next(in),
			};
	}
	stp_receive(w->stp, port, &bpdu, w->now_ns);
}

static void
run_until(struct world *w, uint64_t until_ns)
{
	for (unsigned int i = 0; i < 100000; i++) {
		uint64_t at = stp_deadline_ns(w->stp);

		if (at > until_ns) {
			w->now_ns = until_ns;
			return;
		}
		w->now_ns = at > w->now_ns ? at : w->now_ns;
		stp_tick(w->stp, w->now_ns);
		/* what was due was done */
		CHECK(stp_deadline_ns(w->stp) > w->now_ns);
	}
	abort(); /* it never rests */
}

static struct stp_port_options
port_options(struct input *in)
{
	struct stp_port_options o;
	uint8_t bits = next(in);

	stp_port_options_init(&o);
	o.cost = 1 + next(in) * 1000u;
	o.priority = (uint8_t)(next(in) % 16 * 16);
	o.edge = (enum stp_edge)(next(in) % 3);
	o.bpdu_guard = bits & 1 && bits & 2;
	o.root_guard = bits & 4 && bits & 8;
	o.tcn_guard = bits & 16;
	o.point_to_point = !(bits & 32);
	return o;
}

static struct stp_options
options(struct input *in)
{
	struct stp_options o;

	stp_options_init(&o);
	o.mode = (enum stp_mode)(next(in) % STP_NMODES);
	o.priority = (uint16_t)(next(in) % 16 * 4096);
	o.hold = (uint8_t)(1 + next(in) % STP_HOLD_MAX);
	o.revision = next(in) % 2;
	o.region[0] = 'r';
	if (o.mode == STP_MODE_MSTP) {
		o.nmstis = next(in) % 3;
		for (unsigned int i = 0; i < o.nmstis; i++)
			o.msti[i] = (struct stp_msti_options){
				(uint16_t)(i + 1),
				(uint16_t)(next(in) % 16 * 4096),
			};
		o.tree[10] = (uint8_t)o.nmstis;
	}
	CHECK(stp_options_check(&o, "fuzz", NULL) == 0);
	return o;
}

static void
come_or_go(struct world *w, struct input *in)
{
	unsigned int port = 1 + next(in) % (PORTS - 1);

	if (w->port[port].used) {
		stp_remove_port(w->stp, port, w->now_ns);
		memset(&w->port[port], 0, sizeof(w->port[port]));
	} else {
		const struct stp_port_options o = port_options(in);

		w->port[port].used = true;
		CHECK(stp_add_port(w->stp, port, &o, w->now_ns) == 0);
	}
}

static void
set_link(struct world *w, unsigned int port, bool up)
{
	if (!w->port[port].used)
		return;
	/* the bridge closes it before the link is gone */
	if (up)
		w->port[port].up = true;
	stp_set_link(w->stp, port, up, w->now_ns);
	w->port[port].up = up;
	if (!up)
		w->port[port].sent = 0;
}

static bool
may_keep_budget(const struct stp_options *a, const struct stp_options *b)
{
	return a->hold == b->hold && a->mode == b->mode &&
	    a->revision == b->revision && a->nmstis == b->nmstis;
}

static void
step(struct world *w, struct input *in)
{
	unsigned int port;
	struct stp_port_options po;
	struct stp_options o;

	switch (next(in) % 12) {
	case 0: hear_bytes(w, in); return;
	case 1:
	case 2:
	case 3:
	case 4:
	case 5: hear_fields(w, in); return;
	case 6:
		run_until(w, w->now_ns + next(in) * UINT64_C(100000000));
		return;
	case 7: run_until(w, w->now_ns + next(in) * 1000u); return;
	case 8:
		port = 1 + next(in) % (PORTS - 1);
		set_link(w, port, next(in) & 1);
		return;
	case 9: come_or_go(w, in); return;
	case 10:
		port = 1 + next(in) % (PORTS - 1);
		po = port_options(in);
		stp_set_port_options(w->stp, port, &po, w->now_ns);
		stp_check_protocol(w->stp, port, w->now_ns);
		return;
	case 11:
		o = options(in);
		w->held &= may_keep_budget(stp_get_options(w->stp), &o);
		CHECK(stp_set_options(w->stp, &o, w->now_ns) == 0);
		return;
	}
}

/* ---- what holds whatever comes ---- */

static unsigned int
check_port(struct world *w, unsigned int port, unsigned int tree)
{
	struct stp_port_view view;

	CHECK(stp_view_port(w->stp, port, tree, &view) == w->port[port].used);
	if (!w->port[port].used)
		return 0;
	CHECK(view.state == w->port[port].state[tree]);
	CHECK(view.state == stp_port_state(w->stp, port, tree));
	if (view.guarded) /* closed, it gets its budget back */
		w->port[port].sent = 0;
	switch (view.role) {
	case STP_DISABLED:
	case STP_ALTERNATE:
	case STP_BACKUP: CHECK(view.state == STP_DISCARDING); break;
	case STP_ROOT:
	case STP_DESIGNATED:
	case STP_MASTER: CHECK(w->port[port].up && !view.guarded); break;
	case STP_NROLES: abort();
	}
	return view.role == STP_ROOT;
}

static void
check(struct world *w)
{
	for (unsigned int t = 0; t < stp_trees(w->stp); t++) {
		unsigned int roots = 0;
		struct stp_tree_view view;

		for (unsigned int p = 1; p < PORTS; p++)
			roots += check_port(w, p, t);
		stp_view_tree(w->stp, t, &view);
		CHECK(roots == (view.root_port != 0));
		CHECK(
		    view.root_port != 0 || t != 0 || view.root == view.bridge);
	}
}

/* Nobody speaks any more. */
static void
check_alone(struct world *w)
{
	struct stp_tree_view view;
	struct stp_port_view port;

	run_until(w, w->now_ns + 160 * NS_PER_S);
	for (unsigned int t = 0; t < stp_trees(w->stp); t++) {
		stp_view_tree(w->stp, t, &view);
		CHECK(view.root_port == 0 && view.root == view.bridge);
		for (unsigned int p = 1; p < PORTS; p++)
			if (w->port[p].used && w->port[p].up &&
			    stp_view_port(w->stp, p, t, &port) && !port.guarded)
				CHECK(port.role == STP_DESIGNATED &&
				    port.state == STP_FORWARDING);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mac mac = { { 2, 0, 0, 0, 0, 2 } };
	struct input in = { data, data + size };
	struct world *w = calloc(1, sizeof(*w));
	struct stp_options o = options(&in);

	if (w == NULL)
		abort();
	w->held = true;
	w->stp = stp_new("fuzz", &o, &mac, &ops, w);
	if (w->stp == NULL)
		abort();
	for (unsigned int p = 1; p < PORTS; p++) {
		struct stp_port_options po;

		stp_port_options_init(&po);
		w->port[p].used = true;
		CHECK(stp_add_port(w->stp, p, &po, 0) == 0);
		set_link(w, p, p != 1);
	}
	for (unsigned int i = 0; i < 200 && in.at < in.end; i++) {
		step(w, &in);
		check(w);
	}
	if (size % 4 == 0) /* it takes long */
		check_alone(w);
	stp_free(w->stp);
	free(w);
	return 0;
}
