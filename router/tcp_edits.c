/*
 * Replacements are few and in order, so each question is one walk over them,
 * which adds up how far they have moved what follows.
 *
 *    sender     ....|old text|............      at, old_bytes
 *    receiver   ....|replacement|............   at + moved before, new_bytes
 */
#include "router/tcp_edits.h"

#include <string.h>

#define SETTLED_BYTES (1u << 24) /* no window of TCP lags so far behind */

/* How far is a behind b?  Negative: it is before it. */
static int32_t
behind(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static uint32_t
growth(const struct tcp_edit *edit)
{
	return (uint32_t)edit->new_bytes - edit->old_bytes;
}

static void
forget_first(struct tcp_edits *e)
{
	e->moved += growth(&e->edit[0]);
	e->n--;
	memmove(&e->edit[0], &e->edit[1], e->n * sizeof(e->edit[0]));
}

static uint32_t
end_of(const struct tcp_edit *edit)
{
	return edit->at + edit->old_bytes;
}

/* Without its text, the first one could not be sent again. */
bool
tcp_edits_have_room(const struct tcp_edits *e)
{
	return e->n < TCP_EDITS || behind(e->acked, end_of(&e->edit[0])) >= 0;
}

bool
tcp_edits_add(struct tcp_edits *e, const struct tcp_edit *edit)
{
	const struct tcp_edit *last = e->n > 0 ? &e->edit[e->n - 1] : NULL;

	if (!tcp_edits_have_room(e) || edit->old_bytes == 0 ||
	    edit->new_bytes > TCP_EDIT_BYTES ||
	    (last != NULL && behind(edit->at, end_of(last)) < 0))
		return false;
	if (e->n == TCP_EDITS)
		forget_first(e);
	e->edit[e->n++] = *edit;
	return true;
}

uint32_t
tcp_edits_out(const struct tcp_edits *e, uint32_t seq)
{
	uint32_t moved = e->moved;

	for (unsigned int i = 0; i < e->n; i++) {
		const struct tcp_edit *edit = &e->edit[i];

		if (behind(seq, edit->at) <= 0)
			break;
		if (behind(seq, end_of(edit)) < 0)
			return edit->at + moved;
		moved += growth(edit);
	}
	return seq + moved;
}

uint32_t
tcp_edits_back(const struct tcp_edits *e, uint32_t ack)
{
	uint32_t moved = e->moved;

	for (unsigned int i = 0; i < e->n; i++) {
		const struct tcp_edit *edit = &e->edit[i];
		uint32_t at = edit->at + moved;

		if (behind(ack, at) <= 0)
			break;
		if (behind(ack, at + edit->new_bytes) < 0)
			return edit->at;
		moved += growth(edit);
	}
	return ack - moved;
}

void
tcp_edits_settle(struct tcp_edits *e, uint32_t ack)
{
	if (behind(ack, e->acked) > 0)
		e->acked = ack;
	while (e->n > 0 && behind(ack, e->edit[0].at) > (int32_t)SETTLED_BYTES)
		forget_first(e);
}

bool
tcp_edits_touch(const struct tcp_edits *e, uint32_t seq, size_t n)
{
	for (unsigned int i = 0; i < e->n; i++) {
		const struct tcp_edit *edit = &e->edit[i];

		if (behind(end_of(edit), seq) > 0 &&
		    behind(edit->at, seq + (uint32_t)n) < 0)
			return true;
	}
	return false;
}

long
tcp_edits_apply(const struct tcp_edits *e, uint32_t seq, const uint8_t *data,
    size_t n, uint8_t *out, size_t room)
{
	size_t from = 0, len = 0;

	for (unsigned int i = 0; i < e->n && n > 0; i++) {
		const struct tcp_edit *edit = &e->edit[i];
		size_t at = 0, end;

		if (behind(end_of(edit), seq) <= 0)
			continue;
		if (behind(edit->at, seq + (uint32_t)n) >= 0)
			break;
		end = end_of(edit) - seq;
		if (behind(edit->at, seq) > 0)
			at = edit->at - seq;
		if (len + (at - from) + edit->new_bytes > room)
			return -1;
		memcpy(out + len, data + from, at - from);
		len += at - from;
		memcpy(out + len, edit->text, edit->new_bytes);
		len += edit->new_bytes;
		from = end < n ? end : n;
	}
	if (len + (n - from) > room)
		return -1;
	memcpy(out + len, data + from, n - from);
	return (long)(len + n - from);
}
