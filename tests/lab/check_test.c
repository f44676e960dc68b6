#include "lab/model.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lab/load.h"

#define BROKEN     "tests/lab/broken"
#define TOPOLOGIES "topologies"

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the lab files in dir, ended by NULL. */
static char **
lab_files(const char *dir, size_t *n)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	char **names = calloc(256, sizeof(names[0]));

	*n = 0;
	assert_non_null(d);
	while ((entry = readdir(d)) != NULL && *n < 255)
		if (strstr(entry->d_name, ".yaml") != NULL)
			names[(*n)++] = strdup(entry->d_name);
	closedir(d);
	qsort(names, *n, sizeof(names[0]), by_name);
	return names;
}

static void
free_names(char **names)
{
	for (size_t i = 0; names[i] != NULL; i++)
		free(names[i]);
	free(names);
}

static void
every_broken_file_is_told_in_full(void **state)
{
	size_t n;
	char **names = lab_files(BROKEN, &n);
	unsigned int wrong = 0;

	(void)state;
	assert_true(n >= 30);
	for (size_t i = 0; i < n; i++) {
		char path[300], *says, *expected;
		struct loaded l;
		size_t len;

		snprintf(path, sizeof(path), "%s/%s", BROKEN, names[i]);
		assert_true(load_file(&l, names[i], path));
		assert_null(l.lab);
		says = load_problems(&l);
		strcpy(strstr(path, ".yaml"), ".expect");
		expected = load_bytes(path, &len);
		assert_non_null(expected);
		if (strcmp(says, expected) != 0) {
			print_error("%s says:\n%swhere was expected:\n%s",
			    names[i], says, expected);
			wrong++;
		}
		free(expected);
		free(says);
		load_free(&l);
	}
	free_names(names);
	assert_int_equal(wrong, 0);
}

static void
every_topology_is_right(void **state)
{
	size_t n;
	char **names = lab_files(TOPOLOGIES, &n);

	(void)state;
	assert_true(n >= 5);
	for (size_t i = 0; i < n; i++) {
		char path[300];
		struct loaded l;

		snprintf(path, sizeof(path), "%s/%s", TOPOLOGIES, names[i]);
		assert_true(load_file(&l, names[i], path));
		assert_non_null(l.lab);
		assert_int_equal(l.problems.warnings, 0);
		assert_true(l.lab->nexpects > 0);
		load_free(&l);
	}
	free_names(names);
}

static void
load(struct loaded *l, const char *text)
{
	load_text(l, "t.yaml", text, strlen(text));
}

static void
two_homes_may_use_the_same_addresses(void **state)
{
	struct loaded l;

	(void)state;
	load(&l,
	    "lab: t\n"
	    "switches: {a: , b: , net: }\n"
	    "routers:\n"
	    "  ra: {ports: {in: {switch: a, address: 10.0.0.1/24},\n"
	    "    out: {switch: net, address: 192.0.2.1/24}}}\n"
	    "  rb: {ports: {in: {switch: b, address: 10.0.0.1/24},\n"
	    "    out: {switch: net, address: 192.0.2.2/24}}}\n");
	assert_non_null(l.lab);
	load_free(&l);
}

static void
switches_with_an_uplink_share_addresses(void **state)
{
	struct loaded l;

	(void)state;
	load(&l,
	    "lab: t\n"
	    "switches: {a: , b: {uplinks: c}, c: {uplinks: a}}\n"
	    "hosts:\n"
	    "  h: {switch: a, address: 10.0.0.1/24}\n"
	    "  i: {switch: b, address: 10.0.0.1/24}\n");
	assert_null(l.lab);
	assert_int_equal(l.problems.errors, 1);
	assert_non_null(strstr(l.problems.list[0].text,
	    "address 10.0.0.1 is that of \"h.eth0\" already"));
	load_free(&l);
}

static void
a_range_makes_many_and_is_told_once(void **state)
{
	struct loaded l;

	(void)state;
	load(&l,
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "vms: {\"v[08-11]x\": {ports: {eth0: {switch: lan, address: "
	    "10.0.0.1/24, mtu: 5}}}}\n");
	assert_null(l.lab);
	assert_int_equal(l.problems.errors, 2); /* the mtu, and the address */
	load_free(&l);
	load(&l,
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "routers: {gw: {ports: {a: {switch: lan, address: 10.0.0.1/24, "
	    "dhcp: 10.0.0.2-10.0.0.9}}}}\n"
	    "vms: {\"v[08-11]x\": {ports: {eth0: {switch: lan}}}}\n"
	    "expect: [{within: 1s, vm: \"v[08-11]x\", run: ip}]\n");
	assert_non_null(l.lab);
	assert_int_equal(l.lab->nvms, 4);
	assert_string_equal(l.lab->vms[0].item.name, "v08x");
	assert_string_equal(l.lab->vms[3].item.name, "v11x");
	assert_int_equal(l.lab->nexpects, 4);
	assert_string_equal(l.lab->expects[3].vm, "v11x");
	assert_non_null(lab_port(l.lab, "v09x.eth0"));
	load_free(&l);
}

static void
presets_are_what_the_schema_says(void **state)
{
	struct loaded l;

	(void)state;
	load(&l,
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "routers:\n"
	    "  gw:\n"
	    "    ports:\n"
	    "      a: {switch: lan, address: 10.0.0.1/24,\n"
	    "        dhcp: 10.0.0.2-10.0.0.9}\n"
	    "    nat: {outside: a}\n"
	    "vms: {v: {ports: {eth0: {switch: lan}}},\n"
	    "  w: {guest: linux, cmdline: debug, ports: {eth0: {switch: "
	    "lan}}}}\n");
	assert_non_null(l.lab);
	assert_true(l.lab->switches[0].ageing_ns == 300000000000);
	assert_int_equal(l.lab->switches[0].macs, 100000);
	assert_int_equal(l.lab->routers[0].nat.limit, 65536);
	assert_true(l.lab->routers[0].nat.rules.given == 0);
	assert_ptr_equal(
	    l.lab->routers[0].nat.out, &l.lab->routers[0].ports[0]);
	assert_int_equal(l.lab->vms[0].memory_bytes, 16 << 20);
	assert_int_equal(l.lab->vms[0].guest, GUEST_TINY);
	assert_int_equal(l.lab->vms[0].engine, ENGINE_AUTO);
	assert_int_equal(l.lab->vms[1].memory_bytes, 128 << 20);
	assert_int_equal(l.lab->vms[1].guest, GUEST_LINUX);
	assert_int_equal(l.lab->vms[0].vcpus, 1);
	load_free(&l);
}

static void
macs_follow_from_names_and_differ(void **state)
{
	struct loaded a, b;
	static const char text[] =
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "hosts: {\"h[1-99]\": {cable: x.eth0, address: 10.0.0.1/24}}\n";

	(void)state;
	load(&a, text);
	load(&b, text);
	/* A cable to nowhere, told once. */
	assert_null(a.lab);
	assert_int_equal(a.problems.errors, 1);
	load_free(&a);
	load_free(&b);
	load(&a,
	    "lab: t\n"
	    "hosts:\n"
	    "  a: {cable: b.eth0, address: 10.0.0.1/24}\n"
	    "  b: {address: 10.0.0.2/24}\n");
	assert_non_null(a.lab);
	assert_false(mac_equal(&a.lab->ports[0]->mac, &a.lab->ports[1]->mac));
	assert_ptr_equal(a.lab->ports[0]->peer, a.lab->ports[1]);
	assert_ptr_equal(a.lab->ports[1]->peer, a.lab->ports[0]);
	load_free(&a);
}

static void
filters_look_no_names_up(void **state)
{
	static const struct {
		const char *filter;
		bool good;
	} cases[] = {
		{ "icmp and src host 203.0.113.1", true },
		{ "not (arp or ether host 02:00:00:00:00:01)", true },
		{ "tcp port http or udp port domain", true },
		{ "icmp[icmptype] == icmp-echo", true },
		{ "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", true },
		{ "ether proto 0x0800 and greater 100", true },
		{ "vlan 10 and ip6 net 2001:db8::/32", true },
		{ "host alice", false },
		{ "src alice", false },
		{ "net example.org", false },
		{ "host 10.0.0.1 and", false },
		{ "gibberish", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[400];
		struct loaded l;

		snprintf(text, sizeof(text),
		    "lab: t\n"
		    "switches: {lan: }\n"
		    "hosts: {h: {switch: lan, address: 10.0.0.1/24}}\n"
		    "captures: [{at: h.eth0, file: a, filter: \"%s\"}]\n",
		    cases[i].filter);
		load(&l, text);
		if ((l.lab != NULL) != cases[i].good)
			print_error("%s\n", cases[i].filter);
		assert_true((l.lab != NULL) == cases[i].good);
		load_free(&l);
	}
}

static void
problems_beyond_the_limit_are_counted(void **state)
{
	struct loaded l;
	char *text = calloc(1, 1 << 16), *p = text, *says;

	(void)state;
	p += sprintf(p, "lab: t\nswitches:\n");
	for (int i = 0; i < PROBLEMS_MAX + 100; i++)
		p += sprintf(p, "  s%d: {what%d: 1}\n", i % 100, i);
	load(&l, text);
	assert_null(l.lab);
	assert_int_equal(l.problems.n, PROBLEMS_MAX);
	assert_true(l.problems.errors > PROBLEMS_MAX);
	says = load_problems(&l);
	assert_non_null(strstr(says, "more problems are not shown\n"));
	free(says);
	load_free(&l);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_broken_file_is_told_in_full),
		cmocka_unit_test(every_topology_is_right),
		cmocka_unit_test(two_homes_may_use_the_same_addresses),
		cmocka_unit_test(switches_with_an_uplink_share_addresses),
		cmocka_unit_test(a_range_makes_many_and_is_told_once),
		cmocka_unit_test(presets_are_what_the_schema_says),
		cmocka_unit_test(macs_follow_from_names_and_differ),
		cmocka_unit_test(filters_look_no_names_up),
		cmocka_unit_test(problems_beyond_the_limit_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
