/*
 * The pcp command, against a router that answers as it is told to.
 */
#include "tests/guest/wire.h"

#include "net/natpmp.h"
#include "net/pcp.h"

#define ALICE 0x0a000001u
#define BOB   0x0a000002u

struct bench {
	struct wire *wire;
	struct wire_shell shell;
	struct udpsock *router;
	enum pcp_result result; /* what bob answers; PCP_SILENCE: nothing */
	bool another_nonce;
	unsigned int asked;
	struct pcp pcp; /* what he was asked last */
	struct natpmp natpmp;
};

static void
answer_natpmp(struct bench *b, struct writer *w)
{
	struct natpmp m = b->natpmp;

	m.result = (uint16_t)b->result;
	natpmp_write_response(w, &m);
}

static void
answer(void *arg, struct stack *stack, const struct udp_from *from,
    const uint8_t *data)
{
	const struct udp_to to = { .dst = from->src, .dport = from->sport };
	struct bench *b = arg;
	uint8_t bytes[PCP_MAX_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));

	b->asked++;
	if (data[0] == NATPMP_VERSION) {
		assert_int_equal(
		    natpmp_parse_request(&b->natpmp, data, from->data_bytes),
		    NATPMP_SUCCESS);
		answer_natpmp(b, &w);
	} else {
		struct pcp m;

		assert_int_equal(
		    pcp_parse_request(&b->pcp, data, from->data_bytes, NULL),
		    PCP_SUCCESS);
		m = b->pcp;
		m.out_ip = ip6_of_ip4(0xcb007101);
		m.nonce[0] ^= b->another_nonce;
		if (b->result == PCP_SUCCESS)
			pcp_write_response(&w, &m);
		else
			pcp_write_error(
			    &w, data, from->data_bytes, b->result, 30, 1);
	}
	if (b->result != PCP_SILENCE)
		udpsock_send(
		    stack, b->router, &to, bytes, (size_t)(w.at - bytes));
}

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->wire = wire_new(7);
	wire_station(b->wire, 0, "10.0.0.1/24,gw=10.0.0.2");
	wire_station(b->wire, 1, "10.0.0.2/24");
	wire_shell_init(&b->shell, b->wire, 0);
	b->router = udpsock_new(&b->wire->station[1]->stack, PCP_PORT, NULL);
	assert_non_null(b->router);
	b->router->call = answer;
	b->router->arg = b;
	wire_pass(b->wire, 10 * US_PER_MS);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	wire_free(b->wire);
	free(b);
	return 0;
}

static void
it_maps_and_says_where(void **state)
{
	struct bench *b = *state;
	uint8_t nonce[PCP_NONCE_BYTES];
	uint32_t client;

	assert_int_equal(
	    wire_shell_run(&b->shell, "pcp -t -o 40000 -l 600 5000"), 0);
	assert_string_equal(
	    b->shell.text, "port 5000 is 203.0.113.1:40000 for 600 s\n");
	assert_int_equal(b->pcp.op, PCP_MAP);
	assert_int_equal(b->pcp.protocol, IP_TCP);
	assert_int_equal(b->pcp.in_port, 5000);
	assert_int_equal(b->pcp.out_port, 40000);
	assert_int_equal(b->pcp.lifetime_s, 600);
	assert_false(b->pcp.prefer_failure);
	assert_true(ip6_to_ip4(&client, &b->pcp.client) && client == ALICE);
	/* Another command knows the nonce, but for another port it is another.
	 */
	memcpy(nonce, b->pcp.nonce, sizeof(nonce));
	assert_int_equal(wire_shell_run(&b->shell, "pcp -d -t 5000"), 0);
	assert_string_equal(b->shell.text, "port 5000 is not mapped\n");
	assert_memory_equal(nonce, b->pcp.nonce, sizeof(nonce));
	assert_int_equal(b->pcp.lifetime_s, 0);
	assert_int_equal(
	    wire_shell_run(&b->shell, "pcp -f -o 7 -r 10.0.0.2 5000"), 0);
	assert_memory_not_equal(nonce, b->pcp.nonce, sizeof(nonce));
	assert_int_equal(b->pcp.protocol, IP_UDP);
	assert_true(b->pcp.prefer_failure);
}

static void
it_says_why_not(void **state)
{
	struct bench *b = *state;

	b->result = PCP_CANNOT_PROVIDE_EXTERNAL;
	assert_int_equal(wire_shell_run(&b->shell, "pcp -f -o 40000 5000"), 1);
	assert_string_equal(b->shell.text, "pcp: cannot provide external\n");
	b->result = PCP_SILENCE;
	b->asked = 0;
	assert_int_equal(wire_shell_run(&b->shell, "pcp 5000"), 1);
	assert_string_equal(b->shell.text, "pcp: no answer\n");
	assert_int_equal(b->asked, 5);
	/* What answers another question is no answer. */
	b->result = PCP_SUCCESS;
	b->another_nonce = true;
	assert_int_equal(wire_shell_run(&b->shell, "pcp 5000"), 1);
	assert_string_equal(b->shell.text, "pcp: no answer\n");
	udpsock_free(b->router);
	assert_int_equal(wire_shell_run(&b->shell, "pcp 5000"), 1);
	assert_string_equal(
	    b->shell.text, "pcp: the router does not speak it\n");
}

static void
nat_pmp_is_spoken_too(void **state)
{
	struct bench *b = *state;

	assert_int_equal(
	    wire_shell_run(&b->shell, "pcp -n -o 40000 -l 600 5000"), 0);
	assert_string_equal(b->shell.text, "port 5000 is 40000 for 600 s\n");
	assert_int_equal(b->natpmp.op, NATPMP_MAP_UDP);
	assert_int_equal(b->natpmp.in_port, 5000);
	b->result = (enum pcp_result)NATPMP_NO_RESOURCES;
	assert_int_equal(wire_shell_run(&b->shell, "pcp -n 5000"), 1);
	assert_string_equal(b->shell.text, "pcp: no resources\n");
}

static void
what_cannot_be_is_a_usage(void **state)
{
	static const char *const lines[] = { "pcp", "pcp 0", "pcp 65536",
		"pcp -f 5000", "pcp -n -f -o 1 5000", "pcp -l 0 5000",
		"pcp -x 5000", "pcp 1 2" };
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(wire_shell_run(&b->shell, lines[i]), 2);
	assert_int_equal(b->asked, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    it_maps_and_says_where, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    it_says_why_not, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    nat_pmp_is_spoken_too, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_cannot_be_is_a_usage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
