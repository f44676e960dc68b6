#include "lab/request.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lab/nearest.h"

enum kind { TEXT, FLAG, TEXTS, PAIRS };

struct field {
	const char *name;
	enum kind kind;
	size_t into;
	bool optional;
};

#define FIELD(n, k, m)                                                        \
	{                                                                     \
		.name = (n), .kind = (k), .into = offsetof(struct request, m) \
	}
#define OPTIONAL(n, k, m)                                                      \
	{                                                                      \
		.name = (n), .kind = (k), .into = offsetof(struct request, m), \
		.optional = true                                               \
	}
#define FIELDS_MAX 9

static const struct {
	const char *name;
	enum request_call call;
	struct field fields[FIELDS_MAX + 1];
} calls[] = {
	{ "info", REQUEST_INFO, { { .name = NULL } } },
	{ "show", REQUEST_SHOW, { FIELD("what", TEXT, what) } },
	{ "exec", REQUEST_EXEC,
	    { FIELD("node", TEXT, node), FIELD("run", TEXT, run) } },
	{ "set", REQUEST_SET,
	    { FIELD("port", TEXT, port), OPTIONAL("down", FLAG, down),
		OPTIONAL("plain", FLAG, plain), OPTIONAL("both", PAIRS, both),
		OPTIONAL("out", PAIRS, out), OPTIONAL("in", PAIRS, in),
		OPTIONAL("stp", PAIRS, stp), OPTIONAL("nat", PAIRS, nat),
		OPTIONAL("switch", PAIRS, rules) } },
	{ "vm", REQUEST_VM, { FIELD("node", TEXT, node) } },
	{ "restore", REQUEST_RESTORE,
	    { FIELD("node", TEXT, node),
		FIELD("checkpoint", TEXT, checkpoint) } },
	{ "capture", REQUEST_CAPTURE,
	    { FIELD("at", TEXTS, at), FIELD("file", TEXT, file),
		OPTIONAL("filter", TEXT, filter) } },
	{ "explain", REQUEST_EXPLAIN,
	    { FIELD("port", TEXT, port), FIELD("frame", TEXT, frame) } },
	{ "measure", REQUEST_MEASURE,
	    { FIELD("from", TEXT, from), FIELD("to", TEXT, to),
		OPTIONAL("with", PAIRS, with) } },
	{ "stop", REQUEST_STOP, { { .name = NULL } } },
};

#define NCALLS (sizeof(calls) / sizeof(calls[0]))

static int
read_texts(
    struct request *r, const char *name, const json_t *value, struct err *err)
{
	size_t n = json_array_size(value);

	if (!json_is_array(value) || n == 0 || n > REQUEST_MAX_PORTS)
		return err_set(err, -EINVAL,
		    "\"%s\" must be a list of 1 to %d names", name,
		    REQUEST_MAX_PORTS);
	for (size_t i = 0; i < n; i++) {
		r->at[i] = json_string_value(json_array_get(value, i));
		if (r->at[i] == NULL)
			return err_set(err, -EINVAL,
			    "\"%s\" must be a list of names", name);
	}
	r->nports = (unsigned int)n;
	return 0;
}

/* {"delay": "20ms"}: which keys there are is not looked at here. */
static int
read_pairs(const char *name, json_t *value, struct err *err)
{
	const char *key;
	json_t *text;

	if (!json_is_object(value))
		return err_set(
		    err, -EINVAL, "\"%s\" must be {KEY: VALUE}", name);
	json_object_foreach(value, key, text) if (!json_is_string(text))
	{
		return err_set(err, -EINVAL,
		    "\"%s\": the value of \"%.40s\" must be text", name, key);
	}
	return 0;
}

static int
read_field(struct request *r, const struct field *field, struct err *err)
{
	json_t *value = json_object_get(r->json, field->name);
	unsigned char *to = (unsigned char *)r + field->into;
	const char *text;
	bool flag;

	if (value == NULL && field->optional)
		return 0;
	if (value == NULL)
		return err_set(
		    err, -EINVAL, "the call lacks \"%s\"", field->name);
	switch (field->kind) {
	case TEXT:
		text = json_string_value(value);
		if (text == NULL)
			return err_set(
			    err, -EINVAL, "\"%s\" must be text", field->name);
		memcpy(to, &text, sizeof(text));
		return 0;
	case FLAG:
		if (!json_is_boolean(value))
			return err_set(err, -EINVAL,
			    "\"%s\" must be true or false", field->name);
		flag = json_is_true(value);
		memcpy(to, &flag, sizeof(flag));
		return 0;
	case TEXTS: return read_texts(r, field->name, value, err);
	case PAIRS:
		memcpy(to, &value, sizeof(value));
		return read_pairs(field->name, value, err);
	}
	return 0;
}

static int
check_keys(const struct request *r, const struct field *fields, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(r->json, key, value)
	{
		bool known = strcmp(key, "call") == 0;

		for (const struct field *f = fields; f->name != NULL; f++)
			known |= strcmp(f->name, key) == 0;
		if (!known)
			return err_set(err, -EINVAL,
			    "\"%.40s\" is not known in this call", key);
	}
	return 0;
}

static int
read_call(struct request *r, struct err *err)
{
	const char *name = json_string_value(json_object_get(r->json, "call"));
	struct nearest near;
	int e;

	if (name == NULL)
		return err_set(
		    err, -EINVAL, "a request is an object with \"call\": NAME");
	nearest_init(&near, name);
	for (size_t i = 0; i < NCALLS; i++) {
		nearest_try(&near, calls[i].name);
		if (strcmp(calls[i].name, name) != 0)
			continue;
		r->call = calls[i].call;
		e = check_keys(r, calls[i].fields, err);
		r->link = json_object_get(r->json, "down");
		for (const struct field *f = calls[i].fields;
		     f->name != NULL && e == 0; f++)
			e = read_field(r, f, err);
		return e;
	}
	return err_set(err, -EINVAL, "call \"%.40s\" is not known; %s%s%s",
	    name, near.best != NULL ? "did you mean \"" : "see lanyard(1)",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

int
request_read(struct request *r, const char *line, size_t len, struct err *err)
{
	json_error_t why;
	int e;

	*r = (struct request){ 0 };
	r->json = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	if (r->json == NULL)
		return err_set(err, -EINVAL, "not JSON: %s at column %d",
		    why.text, why.column);
	e = read_call(r, err);
	if (e < 0)
		request_free(r);
	return e;
}

void
request_free(struct request *r)
{
	json_decref(r->json);
	r->json = NULL;
}
