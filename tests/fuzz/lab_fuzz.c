/* libs: lab/arena.c lab/problem.c lab/nearest.c lab/names.c lab/units.c lab/yaml.c lab/schema.c lab/schema_read.c lab/schema_value.c lab/wire.c lab/port_kinds.c lab/tree.c lab/check_control.c lab/check_tree.c lab/check_switch.c lab/rules.c lab/keyset.c lab/model.c lab/check.c lab/check_address.c lab/check_router.c lab/check_expect.c lab/check_vm.c lab/check_wire.c lab/check_bridge.c lab/bridging.c lab/any_ip.c lab/check_ip6.c lab/schema_ip6.c lab/measure.c lab/nat_keys.c lab/nat_words.c lab/nat_facts.c lab/outside.c lab/serving.c lab/serving_ip6.c lab/filter.c lab/capturing.c lab/fabric.c lab/cabling.c lab/switch_control.c lab/draw.c lab/draw_diagram.c lab/draw_graph.c lab/draw_label.c lab/draw_layout.c lab/draw_outline.c lab/draw_svg.c router bridge pcap-tools vmm/blk_image.c vmm/sandbox.c switch disk net base */
/*
 * A lab file: either problems with places in the file, or a lab that is whole.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lab/draw.h"
#include "lab/model.h"
#include "lab/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_problems(const struct problems *problems, const char *text, size_t len)
{
	unsigned int lines = 2, before = 0;

	for (size_t i = 0; i < len; i++) /* all of YAML's line breaks */
		lines += text[i] == '\n' || text[i] == '\r' ||
		    (unsigned char)text[i] >= 0x80;
	for (unsigned int i = 0; i < problems->n; i++) {
		assert(problems->list[i].at.line <= lines);
		assert(problems->list[i].at.line >= before);
		before = problems->list[i].at.line;
		assert(problems->list[i].text[0] != '\0');
		assert(strchr(problems->list[i].text, '\n') == NULL);
	}
}

/* What whoever brings a lab up relies on. */
static void
check_uplink(const struct lab_uplink *link)
{
	assert(link->up != NULL);
	assert(link->cables >= 1 && link->cables <= LAB_CABLES_MAX);
	assert(rules_check(&link->rules, NULL) == 0);
}

static void
check_lab(const struct lab *lab)
{
	assert(schema_is_name(lab->name));
	for (unsigned int i = 0; i < lab->nports; i++) {
		const struct lab_port *port = lab->ports[i];

		assert((port->sw != NULL) != (port->peer != NULL));
		assert(port->peer == NULL || port->peer->peer == port);
		assert(lab_port(lab, port->full) == port);
		assert(!mac_is_group(&port->mac));
		assert(port->dhcp.first <= port->dhcp.last);
		assert(rules_check(&port->rules, NULL) == 0);
		assert(port->sw != NULL || port->rules.given == 0);
	}
	for (unsigned int i = 0; i < lab->nrouters; i++) {
		const struct lab_router *router = &lab->routers[i];

		assert(router->nports > 0);
		assert(
		    router->nat.item.node == NULL || router->nat.out != NULL);
		for (unsigned int k = 0; k < router->nports; k++)
			assert(router->ports[k].address.addr != 0);
	}
	for (unsigned int i = 0; i < lab->nswitches; i++)
		for (unsigned int k = 0; k < lab->switches[i].nuplinks; k++)
			check_uplink(&lab->switches[i].uplinks[k]);
	for (unsigned int i = 0; i < lab->nplugs; i++)
		assert(strchr(lab->plugs[i].locator, ':') != NULL);
	for (unsigned int i = 0; i < lab->nevents; i++)
		assert((lab->events[i].set != NULL) !=
		    (lab->events[i].run != NULL));
	for (unsigned int i = 0; i < lab->nexpects; i++) {
		const struct lab_expect *e = &lab->expects[i];

		switch (e->kind) {
		case EXPECT_RUN:
			assert(lab_vm(lab, e->vm) != NULL && e->run != NULL);
			assert(!e->always);
			break;
		case EXPECT_FRAMES: assert(lab_has_port(lab, e->at)); break;
		case EXPECT_NAT:
			assert(lab_router(lab, e->router) != NULL);
			break;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct problems problems;
	struct arena *arena = arena_new();
	struct lab *lab;
	static FILE *null;

	problems_init(&problems, arena, "t.yaml");
	lab = lab_load((const char *)data, len, &problems);
	check_problems(&problems, (const char *)data, len);
	assert((lab == NULL) == (problems.errors > 0));
	if (lab != NULL) {
		check_lab(lab);
		if (null == NULL)
			null = fopen("/dev/null", "w");
		for (int f = 0; draw_formats[f] != NULL; f++)
			assert(draw(lab, (enum draw_format)f, 120, null) == 0);
	}
	arena_free(arena);
	return 0;
}
