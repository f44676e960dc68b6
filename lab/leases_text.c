#include "lab/leases_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"

#define MAX_LEFT_S ((json_int_t)1 << 33)

json_t *
leases_json(const struct lease_saved *saved)
{
	char ip[IP4_TEXT_BYTES], mac[MAC_TEXT_BYTES];
	char client[2 * sizeof(saved->client) + 1] = "";

	for (size_t i = 0; i < saved->client_bytes; i++)
		snprintf(client + 2 * i, 3, "%02x", saved->client[i]);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I}", "port",
	    saved->port->name, "ip", ip4_text(ip, saved->ip), "mac",
	    mac_text(mac, &saved->mac), "client", client, "hostname",
	    saved->hostname, "declined", (int)saved->declined, "left",
	    (json_int_t)(saved->left_ns / NS_PER_S));
}

/* "01020304..." as bytes.  False: it is not that. */
static bool
read_client(struct lease_saved *saved, const char *text)
{
	size_t len = strlen(text);

	if (len % 2 != 0 || len / 2 > sizeof(saved->client) ||
	    strspn(text, "0123456789abcdef") != len)
		return false;
	for (size_t i = 0; i < len / 2; i++) {
		unsigned int byte = 0;

		sscanf(text + 2 * i, "%2x", &byte);
		saved->client[i] = (uint8_t)byte;
	}
	saved->client_bytes = (uint16_t)(len / 2);
	return true;
}

static bool
is_name(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f)
			return false;
	return len < sizeof(((struct lease_saved *)NULL)->hostname);
}

static bool
read_one(const json_t *json, uint64_t passed_s, const char **port,
    struct lease_saved *saved)
{
	const char *ip, *mac, *client, *hostname;
	json_int_t left;
	int declined;

	*saved = (struct lease_saved){ .port = NULL };
	if (json_unpack((json_t *)(uintptr_t)json,
		"{s:s, s:s, s:s, s:s, s:s, s:b, s:I}", "port", port, "ip", &ip,
		"mac", &mac, "client", &client, "hostname", &hostname,
		"declined", &declined, "left", &left) < 0)
		return false;
	if (!ip4_read(&saved->ip, ip) || !mac_read(&saved->mac, mac) ||
	    mac_is_group(&saved->mac) || !read_client(saved, client) ||
	    !is_name(hostname) || left < 0 || left > MAX_LEFT_S)
		return false;
	snprintf(saved->hostname, sizeof(saved->hostname), "%s", hostname);
	saved->declined = declined != 0;
	if ((uint64_t)left > passed_s)
		saved->left_ns = ((uint64_t)left - passed_s) * NS_PER_S;
	return true;
}

int
leases_parse(const char *text, size_t len, uint64_t wall_ns,
    void (*each)(void *arg, const char *port, const struct lease_saved *saved),
    void *arg)
{
	json_t *all = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *list, *one;
	json_int_t when = 0, now = (json_int_t)(wall_ns / NS_PER_S);
	struct lease_saved saved;
	const char *port;
	size_t i;
	int e = 0;

	if (all == NULL ||
	    json_unpack(all, "{s:I, s:o}", "saved", &when, "leases", &list) <
		0 ||
	    !json_is_array(list) || when < 0) {
		json_decref(all);
		return -EINVAL;
	}
	json_array_foreach(list, i, one)
	{
		if (!read_one(one, now > when ? (uint64_t)(now - when) : 0,
			&port, &saved)) {
			e = -EINVAL;
			break;
		}
		each(arg, port, &saved);
	}
	json_decref(all);
	return e;
}
