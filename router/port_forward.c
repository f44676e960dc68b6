/*
 * Port forwards: pins for ever, which no host can change or end (nat_pin.h).
 */
#include <errno.h>
#include <stdio.h>

#include "router/nat_pin.h"
#include "router/router_state.h"

#define END_BYTES (IP4_TEXT_BYTES + sizeof(":65535"))

static const char *
end_text(char out[END_BYTES], uint32_t ip, uint16_t port)
{
	char text[IP4_TEXT_BYTES];

	snprintf(out, END_BYTES, "%s:%u", ip4_text(text, ip), port);
	return out;
}

static const char *
name_of(uint8_t protocol)
{
	return protocol == IP_TCP ? "tcp" : "udp";
}

static struct nat_pin
pin_of(const struct router *router, const struct router_forward *forward)
{
	return (struct nat_pin){ .protocol = forward->protocol,
		.in_ip = forward->in_ip,
		.in_port = forward->in_port,
		.out_ip = forward->out_ip != 0 ? forward->out_ip
					       : router->outside->address.addr,
		.out_port = forward->out_port,
		.exact = true,
		.by = NAT_PIN_BY_FILE,
		.until_ns = NAT_PIN_FOREVER };
}

static int
needs_nat(const struct router *router, struct err *err)
{
	if (router->nat != NULL)
		return 0;
	return err_set(err, -EINVAL,
	    "router \"%s\" has no NAT to forward ports; add \"nat:\" to it in "
	    "the lab file",
	    router->node.name);
}

int
router_add_forward(struct router *router, const struct router_forward *forward,
    struct err *err)
{
	char out[END_BYTES], in[END_BYTES], has[END_BYTES];
	struct nat_pin pin, wanted;
	struct way way;

	if (needs_nat(router, err) < 0)
		return -EINVAL;
	pin = wanted = pin_of(router, forward);
	end_text(out, pin.out_ip, pin.out_port);
	end_text(in, pin.in_ip, pin.in_port);
	if (!way_find(router, pin.in_ip, &way) || way.out == router->outside)
		return err_set(err, -EINVAL,
		    "forward to %s: it is not inside; use the address of a "
		    "host behind \"%s\"",
		    in, router->node.name);
	switch (nat_pin_set(router->nat, &pin, loop_now_ns(router->loop))) {
	case NAT_PIN_MADE:
	case NAT_PIN_RENEWED: router_arm_timers(router); return 0;
	case NAT_PIN_OTHERS:
		return err_set(err, -EEXIST,
		    "forward to %s: it has %s by %s already, which its host "
		    "asked for; choose another inside port",
		    in, end_text(has, pin.out_ip, pin.out_port),
		    name_of(pin.protocol));
	case NAT_PIN_TAKEN:
		return err_set(err, -EBUSY,
		    "forward %s %s to %s: one of the two has another mapping; "
		    "choose another port, or wait until it has ended",
		    name_of(pin.protocol), out, in);
	case NAT_PIN_FOREIGN:
		return err_set(err, -EINVAL,
		    "forward %s: it is no address of the NAT of \"%s\"; use "
		    "one that is",
		    out, router->node.name);
	case NAT_PIN_FULL:
		return err_set(err, -ENOSPC,
		    "forward %s to %s: a NAT has at most %d mappings that were "
		    "asked for, and no more than its entries",
		    out, in, NAT_PINS_MAX);
	case NAT_PIN_HOST_FULL:
		return err_set(err, -ENOSPC,
		    "forward %s to %s: that host has all entries that one may "
		    "have; raise host-limit",
		    out, in);
	}
	return -EINVAL;
}

struct seek {
	struct nat_pin pin;
	bool found;
};

static void
compare(void *arg, const struct nat_pin *pin)
{
	struct seek *seek = arg;

	if (pin->by != NAT_PIN_BY_FILE || pin->protocol != seek->pin.protocol ||
	    pin->out_ip != seek->pin.out_ip ||
	    pin->out_port != seek->pin.out_port)
		return;
	seek->pin = *pin;
	seek->found = true;
}

int
router_end_forward(struct router *router, const struct router_forward *forward,
    struct err *err)
{
	uint64_t now_ns = loop_now_ns(router->loop);
	struct seek seek = { .found = false };
	char out[END_BYTES];

	if (needs_nat(router, err) < 0)
		return -EINVAL;
	seek.pin = pin_of(router, forward);
	end_text(out, seek.pin.out_ip, seek.pin.out_port);
	nat_pin_each(router->nat, now_ns, compare, &seek);
	if (!seek.found)
		return err_set(err, -ENOENT,
		    "no %s port %s is forwarded; lanyard show LAB nat lists "
		    "those that are",
		    name_of(forward->protocol), out);
	nat_pin_delete(router->nat, &seek.pin, now_ns);
	router_arm_timers(router);
	return 0;
}
