/*
 * DOT (graphviz) and Mermaid.  Names are [a-z0-9-] and ranges "vm[1-9]", so
 * only quotes are needed, and for Mermaid ids without signs.
 */
#include "lab/draw_node.h"

static void
dot_text(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

void
draw_dot(const struct draw_lab *draw, FILE *out)
{
	char address[DRAW_TEXT_BYTES], label[DRAW_TEXT_BYTES];

	fprintf(out, "graph \"%s\" {\n\tnode [fontname=\"sans-serif\"]\n",
	    draw->lab->name);
	for (unsigned int b = 0; b < draw->nbuses; b++)
		fprintf(out, "\tb%u [label=\"%s\", shape=%s]\n", b,
		    draw_bus_name(&draw->buses[b]),
		    draw->buses[b].sw != NULL ? "box, style=bold" : "point");
	for (unsigned int i = 0; i < draw->nnodes; i++) {
		const struct draw_node *node = &draw->nodes[i];

		fprintf(out, "\tn%u [shape=%s, label=\"%s", i,
		    node->kind == LAB_ROUTER ? "diamond" : "ellipse",
		    node->name);
		for (unsigned int k = 0; k < node->nlines; k++) {
			fputs("\\n", out);
			dot_text(node->line[k], out);
		}
		fprintf(out, "\"]\n");
		for (unsigned int k = 0; k < node->nports; k++)
			fprintf(out, "\tn%u -- b%u [label=\"%s\\n%s\"]\n", i,
			    draw_bus_of(draw, &node->ports[k]),
			    draw_port_label(label, &node->ports[k]),
			    draw_address(address, &node->ports[k]));
	}
	for (unsigned int i = 0; i < draw->lab->nswitches; i++) {
		const struct lab_switch *sw = &draw->lab->switches[i];

		for (unsigned int k = 0; k < sw->nuplinks; k++)
			fprintf(out,
			    "\tb%u -- b%u [style=bold, label=\"%s\"]\n", i,
			    draw_bus_of_switch(draw, sw->uplinks[k].up),
			    draw_uplink_label(label, &sw->uplinks[k]));
	}
	fprintf(out, "}\n");
}

static void
mermaid_text(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '"')
			fputs("#quot;", out);
		else if (*text == '<')
			fputs("#lt;", out);
		else
			fputc(*text, out);
	}
}

static void
mermaid_uplink(const struct draw_lab *draw, unsigned int bus,
    const struct lab_uplink *up, FILE *out)
{
	char label[DRAW_TEXT_BYTES];

	fprintf(out, "    b%u ===", bus);
	if (draw_uplink_label(label, up)[0] != '\0')
		fprintf(out, "|\"%s\"|", label);
	fprintf(out, " b%u\n", draw_bus_of_switch(draw, up->up));
}

void
draw_mermaid(const struct draw_lab *draw, FILE *out)
{
	char address[DRAW_TEXT_BYTES], label[DRAW_TEXT_BYTES];

	fprintf(out, "graph LR\n");
	for (unsigned int b = 0; b < draw->nbuses; b++)
		fprintf(out, "    b%u[[\"%s\"]]\n", b,
		    draw_bus_name(&draw->buses[b]));
	for (unsigned int i = 0; i < draw->nnodes; i++) {
		const struct draw_node *node = &draw->nodes[i];

		fprintf(out, "    n%u%s\"%s", i,
		    node->kind == LAB_ROUTER ? "{{" : "(", node->name);
		for (unsigned int k = 0; k < node->nlines; k++) {
			fputs("<br/>", out);
			mermaid_text(node->line[k], out);
		}
		fprintf(out, "\"%s\n", node->kind == LAB_ROUTER ? "}}" : ")");
		for (unsigned int k = 0; k < node->nports; k++)
			fprintf(out, "    n%u ---|\"%s %s\"| b%u\n", i,
			    draw_port_label(label, &node->ports[k]),
			    draw_address(address, &node->ports[k]),
			    draw_bus_of(draw, &node->ports[k]));
	}
	for (unsigned int i = 0; i < draw->lab->nswitches; i++) {
		const struct lab_switch *sw = &draw->lab->switches[i];

		for (unsigned int k = 0; k < sw->nuplinks; k++)
			mermaid_uplink(draw, i, &sw->uplinks[k], out);
	}
}
