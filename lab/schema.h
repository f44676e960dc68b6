/*
 * schema.h - the lab file's keys in one table.
 *
 * The table types every value when a file is read, and is the source of the
 * JSON schema and of the manual's table.  "*" in a path is a name the user
 * chooses, "[]" an element of a list.
 */
#ifndef LAB_SCHEMA_H
#define LAB_SCHEMA_H

#include <jansson.h>
#include <stdio.h>

#include "lab/model.h"

enum schema_type {
	SCHEMA_MAP,      /* fixed keys, a struct in its parent's */
	SCHEMA_ENTRIES,  /* names the user chooses, an array of structs */
	SCHEMA_ITEMS,    /* a list of mappings, an array of structs */
	SCHEMA_NAME,     /* [a-z0-9-] */
	SCHEMA_TEXT,     /* any text */
	SCHEMA_TEXTS,    /* a text, or a list of them */
	SCHEMA_CHOICE,   /* one of a few words */
	SCHEMA_BOOL,     /* true, false */
	SCHEMA_COUNT,    /* 300 */
	SCHEMA_DURATION, /* 20ms */
	SCHEMA_SIZE,     /* 256M */
	SCHEMA_IP,       /* 10.0.0.1 */
	SCHEMA_NET,      /* 10.0.0.1/24 */
	SCHEMA_NET_DHCP, /* the same, or "dhcp": zero */
	SCHEMA_ANY_IP,   /* 10.0.0.1 or 2001:db8::1: struct any_ip */
	SCHEMA_ANY_NET,  /* either with /prefix: struct any_net */
	SCHEMA_NETS6,    /* 2001:db8::1/64, or a list: struct nets6 */
	SCHEMA_GUEST6,   /* the same, or auto, or none */
	SCHEMA_IPS6,     /* 2001:db8::1, or a list: struct ips6 */
	SCHEMA_PREFIX64, /* 64:ff9b::/96: struct ip64_prefix */
	SCHEMA_RANGE,    /* 10.0.0.100-10.0.0.199 */
	SCHEMA_MAC,      /* 52:54:00:12:34:56 */
	SCHEMA_COMPARE,  /* ">=3" */
	SCHEMA_PERCENT,  /* 0.5% */
	SCHEMA_RATE,     /* 10Mbit/s */
	SCHEMA_COUNTS,   /* 5,9 or [5, 9]: struct cable_lose */
	SCHEMA_SPELLS,   /* 1%/10%/100%/0%: struct cable_spells */
	SCHEMA_VLANS,    /* 10,20-30 or [10, 20-30] or all: struct vlan_set */
	SCHEMA_STATICS,  /* MAC[/VLAN], ... or a list: struct rules_statics */
	SCHEMA_KEYSET,   /* the keys of a keyset.h, a struct of theirs */
	SCHEMA_KEYS,   /* at "+NAME": the same, beside the parent's own keys */
	SCHEMA_ABSENT, /* known, but not in this version */
	SCHEMA_NTYPES,
};

struct schema_key {
	const char *path; /* "routers.*.ports.*.mtu" */
	enum schema_type type;
	bool required;
	bool ranges;       /* SCHEMA_ENTRIES: "vm[1-9]" makes nine */
	bool plain;        /* SCHEMA_ENTRIES: or a name, or a list of them */
	size_t into;       /* offset of the value in the parent's struct */
	size_t count_into; /* of the number of array elements */
	size_t element;    /* bytes of an array element */
	uint64_t min, max; /* of numbers; max of ENTRIES */
	const char *const *choices;
	const struct keyset *keys; /* of KEYSET and KEYS */
	const char *preset;        /* what a missing key means, as text */
	const char *help;          /* one sentence */
};

extern const struct schema_key schema_keys[];
extern const unsigned int schema_nkeys;

/* Fills in lab from the file's tree. */
void schema_read(
    struct lab *lab, const struct yaml *root, struct problems *problems);

/* Reads text as the value of a row of set into values, which go on to use it.
 * 0, or -EINVAL with *err. */
int schema_read_value(const struct keyset *set, void *values,
    const struct schema_key *row, const char *text, struct err *err);

/* Reads text as the value of key below path ("switches.*.stp"), which is one
 * that has a single value, into the struct of path, which goes on to use it.  0,
 * or -EINVAL with *err. */
int schema_read_text(const char *path, const char *key, const char *text,
    void *object, struct err *err);

/* The JSON schema (draft 2020-12), the caller's to json_decref(). */
json_t *schema_json(void);

/* The table of keys for the manual page, in mdoc(7). */
void schema_manual(FILE *out);

/* Is this a name as nodes, ports and labs have it? */
bool schema_is_name(const char *text);

#endif
