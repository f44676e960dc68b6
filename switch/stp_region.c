/*
 * Which bridges form a region: those with the same name, revision, and digest
 * of the table that gives each VLAN its instance (802.1Q-2018, 13.8).
 *
 * The digest is HMAC-MD5 (RFC 2104) with a key that the standard publishes: a
 * checksum, no secret.  MD5 is libmd's.
 */
#include "switch/stp_state.h"

#include <assert.h>
#include <md5.h>
#include <string.h>

#define BLOCK_BYTES 64

static const uint8_t key[16] = { 0x13, 0xac, 0x06, 0xa6, 0x2e, 0x47, 0xfd, 0x51,
	0xf9, 0x5d, 0x2b, 0xa2, 0x43, 0xcd, 0x03, 0x46 };

/* One of the two passes of HMAC: MD5 of the padded key and the data. */
static void
pass(uint8_t *digest, uint8_t pad, const void *data, size_t len)
{
	uint8_t block[BLOCK_BYTES];
	MD5_CTX md5;

	for (size_t i = 0; i < BLOCK_BYTES; i++)
		block[i] = (uint8_t)(pad ^ (i < sizeof(key) ? key[i] : 0));
	MD5Init(&md5);
	MD5Update(&md5, block, sizeof(block));
	MD5Update(&md5, data, len);
	MD5Final(digest, &md5);
}

void
stp_region_make(struct bpdu_region *region, const struct stp_options *options)
{
	uint8_t table[STP_VLANS * 2], inner[MD5_DIGEST_LENGTH];

	static_assert(sizeof(inner) == sizeof(region->digest), "MD5");
	for (size_t vlan = 0; vlan < STP_VLANS; vlan++) {
		uint8_t tree = options->tree[vlan];

		put_be16(&table[vlan * 2],
		    tree == 0 ? 0 : options->msti[tree - 1].id);
	}
	memset(region, 0, sizeof(*region));
	memcpy(region->name, options->region,
	    strnlen(options->region, sizeof(region->name)));
	region->revision = options->revision;
	pass(inner, 0x36, table, sizeof(table));
	pass(region->digest, 0x5c, inner, sizeof(inner));
}
