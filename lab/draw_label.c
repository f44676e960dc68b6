/*
 * What is written beside the lines of a drawing: a port's name, its bond, and
 * what happens on its cable.
 */
#include <stdarg.h>
#include <string.h>

#include "lab/draw_node.h"

#define CABLE_CHARS 30 /* more of a cable's settings are left out */

static void append(char out[DRAW_TEXT_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
append(char out[DRAW_TEXT_BYTES], const char *format, ...)
{
	size_t used = strlen(out);
	va_list args;

	va_start(args, format);
	vsnprintf(out + used, DRAW_TEXT_BYTES - used, format, args);
	va_end(args);
}

/* "delay 5ms, loss 1%", by direction if they differ; nothing for a plain cable. */
static void
append_cable(
    char out[DRAW_TEXT_BYTES], const struct lab_wire ways[WIRE_DIRECTIONS])
{
	char way[WIRE_DIRECTIONS][4 * DRAW_TEXT_BYTES];
	char all[2 * sizeof(way[0]) + 16];
	bool plain[WIRE_DIRECTIONS];

	for (int i = WIRE_OUT; i <= WIRE_IN; i++) {
		wire_text(way[i], sizeof(way[i]), &ways[i].set);
		plain[i] = strcmp(way[i], "plain") == 0;
	}
	if (plain[WIRE_OUT] && plain[WIRE_IN])
		return;
	if (strcmp(way[WIRE_OUT], way[WIRE_IN]) == 0)
		snprintf(all, sizeof(all), "%s", way[WIRE_OUT]);
	else
		snprintf(all, sizeof(all), "%s%s%s%s%s",
		    plain[WIRE_OUT] ? "" : "out ",
		    plain[WIRE_OUT] ? "" : way[WIRE_OUT],
		    plain[WIRE_OUT] || plain[WIRE_IN] ? "" : "; ",
		    plain[WIRE_IN] ? "" : "in ",
		    plain[WIRE_IN] ? "" : way[WIRE_IN]);
	if (strlen(all) > CABLE_CHARS)
		strcpy(all + CABLE_CHARS - 3, "...");
	append(out, "%s%s", out[0] != '\0' ? ": " : "", all);
}

char *
draw_cable_label(char out[DRAW_TEXT_BYTES], const struct lab_port *port)
{
	out[0] = '\0';
	if (port->bond_name != NULL)
		append(out, "in %s", port->bond_name);
	append_cable(out, port->ways);
	return out;
}

char *
draw_port_label(char out[DRAW_TEXT_BYTES], const struct lab_port *port)
{
	snprintf(out, DRAW_TEXT_BYTES, "%s", port->item.name);
	if (port->bond_name != NULL)
		append(out, " in %s", port->bond_name);
	append_cable(out, port->ways);
	return out;
}

char *
draw_uplink_label(char out[DRAW_TEXT_BYTES], const struct lab_uplink *up)
{
	out[0] = '\0';
	if (up->cables > 1)
		append(out, "%u cables", (unsigned int)up->cables);
	if (up->bond_name != NULL)
		append(
		    out, "%sin %s", out[0] != '\0' ? " " : "", up->bond_name);
	append_cable(out, up->ways);
	return out;
}
