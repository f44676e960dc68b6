/*
 * A message is led by its length (RFC 1035 4.2.2).  Callbacks are deferred, so
 * that none comes before dns_stream_ask() has returned.
 *
 * The time is that of the whole exchange: bufferevent's own begins anew with
 * each byte, of which a server might send one a second.
 */
#include "router/dns_stream.h"

#include <ctype.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "net/cursor.h"
#include "net/dns.h"

#define HEADER_BYTES 12
#define TYPE_CLASS   4 /* behind the name of a question */

struct dns_stream {
	struct bufferevent *bev;
	struct loop_timer end;
	void (*done)(void *arg, const uint8_t *answer, size_t bytes);
	void *arg;
	size_t bytes; /* of the question's message */
	uint8_t message[DNS_STREAM_BYTES];
};

void
dns_stream_cancel(struct dns_stream *stream)
{
	loop_timer_unset(&stream->end);
	bufferevent_free(stream->bev);
	free(stream);
}

static void
finish(struct dns_stream *stream, const uint8_t *answer, size_t bytes)
{
	stream->done(stream->arg, answer, bytes);
	dns_stream_cancel(stream);
}

/* How long the only question of a message is; 0: it has none. */
static size_t
question_bytes(const uint8_t *message, size_t bytes)
{
	size_t at = HEADER_BYTES;

	while (at < bytes && message[at] != 0)
		at += 1u + message[at];
	at += 1 + TYPE_CLASS;
	return at <= bytes ? at - HEADER_BYTES : 0;
}

/* Is it the answer?  Letters may have become small. */
static bool
answers(const struct dns_stream *stream, const uint8_t *answer, size_t bytes)
{
	const uint8_t *asked = stream->message;
	size_t n = question_bytes(asked, stream->bytes);

	if (n == 0 || bytes < HEADER_BYTES + n ||
	    get_be16(answer) != get_be16(asked) ||
	    !(get_be16(answer + 2) & DNS_FLAG_RESPONSE) ||
	    get_be16(answer + 4) != 1)
		return false;
	for (size_t i = HEADER_BYTES; i < HEADER_BYTES + n; i++)
		if (tolower(answer[i]) != tolower(asked[i]))
			return false;
	return true;
}

static void
readable(struct bufferevent *bev, void *arg)
{
	struct dns_stream *stream = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t have = evbuffer_get_length(in), bytes;
	const uint8_t *at;

	if (have < 2)
		return;
	bytes = get_be16(evbuffer_pullup(in, 2));
	if (have < 2 + bytes)
		return;
	at = evbuffer_pullup(in, (ssize_t)(2 + bytes));
	if (at != NULL && answers(stream, at + 2, bytes))
		finish(stream, at + 2, bytes);
	else
		finish(stream, NULL, 0);
}

static void
too_late(void *arg)
{
	finish(arg, NULL, 0);
}

static void
happened(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (!(what & BEV_EVENT_CONNECTED))
		finish(arg, NULL, 0);
}

struct dns_stream *
dns_stream_ask(struct loop *loop, uint32_t addr, uint16_t port,
    const uint8_t *message, size_t bytes,
    void (*done)(void *arg, const uint8_t *answer, size_t bytes), void *arg)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(addr) };
	struct dns_stream *stream;
	uint8_t length[2];

	if (bytes > DNS_STREAM_BYTES)
		return NULL;
	stream = calloc(1, sizeof(*stream));
	if (stream == NULL)
		return NULL;
	stream->done = done;
	stream->arg = arg;
	stream->bytes = bytes;
	memcpy(stream->message, message, bytes);
	stream->bev = bufferevent_socket_new(loop_event_base(loop), -1,
	    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (stream->bev == NULL) {
		free(stream);
		return NULL;
	}
	bufferevent_setcb(stream->bev, readable, NULL, happened, stream);
	bufferevent_setwatermark(stream->bev, EV_READ, 2, 2 + UINT16_MAX);
	loop_timer_init(&stream->end, loop, too_late, stream);
	loop_timer_set(
	    &stream->end, loop_now_ns(loop) + DNS_STREAM_S * NS_PER_S);
	put_be16(length, (uint16_t)bytes);
	if (bufferevent_write(stream->bev, length, 2) < 0 ||
	    bufferevent_write(stream->bev, message, bytes) < 0 ||
	    bufferevent_socket_connect(
		stream->bev, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    bufferevent_enable(stream->bev, EV_READ | EV_WRITE) < 0) {
		dns_stream_cancel(stream);
		return NULL;
	}
	return stream;
}
