#include "lab/explain.h"

#include <errno.h>
#include <stdlib.h>

#include "lab/frame_text.h"
#include "lab/next_hop.h"

/* Whose addresses the frame has, if it does not say. */
static int
address_frame(const struct fabric *f, const struct port *port,
    struct frame_text *frame, struct err *err)
{
	const struct lab_port *from = lab_port(f->lab, port->name);

	if (frame->has_ether)
		return 0;
	if (from == NULL)
		return err_set(err, -EINVAL,
		    "%s belongs to a switch, which sends no packets; write "
		    "ether MAC > MAC in front",
		    port->name);
	frame->src = from->mac;
	if (frame->kind == FRAME_TEXT_ARP && !frame->reply) {
		frame->dst = mac_broadcast;
		if (frame->from == 0)
			frame->from = next_hop_address(f, from);
		return 0;
	}
	if (frame->to == 0) { /* an ARP reply to nobody: told to all */
		frame->dst = mac_broadcast;
		frame->to = frame->from;
		return 0;
	}
	return next_hop(f, from, frame->to, &frame->dst, err);
}

struct rehearsal *
explain(const struct fabric *f, const char *name, const char *text,
    void (*done)(void *arg, json_t *reply, const struct err *err), void *arg,
    struct err *err)
{
	struct frame_text *frame = malloc(sizeof(*frame));
	struct port *port = fabric_port(f, name);
	struct rehearsal *rehearsal = NULL;
	uint8_t bytes[FRAME_TEXT_MAX];

	if (frame == NULL)
		err_set(err, -ENOMEM, "out of memory");
	else if (port == NULL)
		fabric_no_port(f, name, err);
	else if (frame_text_read(frame, text, err) == 0 &&
	    address_frame(f, port, frame, err) == 0)
		rehearsal = rehearsal_new(f, port, bytes,
		    frame_text_write(bytes, frame), done, arg, err);
	free(frame);
	return rehearsal;
}
