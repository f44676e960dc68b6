#include "vmm/guest/random.h"

static inline uint64_t
rotate(uint64_t v, unsigned int by)
{
	return v << by | v >> (64 - by);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void
sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t
random_hash(const struct random *random, uint64_t a, uint64_t b)
{
	uint64_t v[4] = {
		random->key[0] ^ UINT64_C(0x736f6d6570736575),
		random->key[1] ^ UINT64_C(0x646f72616e646f6d),
		random->key[0] ^ UINT64_C(0x6c7967656e657261),
		random->key[1] ^ UINT64_C(0x7465646279746573),
	};

	sip_word(v, a);
	sip_word(v, b);
	sip_word(v, UINT64_C(16) << 56); /* 16 bytes were hashed */
	v[2] ^= 0xff;
	for (unsigned int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void
random_seed(struct random *random, uint64_t a, uint64_t b)
{
	*random = (struct random){ .key = { a, b } };
}

uint32_t
random_u32(struct random *random)
{
	return (uint32_t)random_hash(random, random->counter++, 0);
}

uint32_t
random_below(struct random *random, uint32_t below)
{
	return (uint32_t)((uint64_t)random_u32(random) * below >> 32);
}
