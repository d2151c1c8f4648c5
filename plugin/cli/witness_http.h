/* witness_http.h - a witness's side of HTTP/1.1, so much as C2SP tlog-witness needs: POST
 * /add-checkpoint and GET /<origin hash>/checkpoint, with keep-alive, plain. TLS is for a proxy in
 * front. What comes in is bounded in bytes, time and connections.
 */
#ifndef PLUGIN_CLI_WITNESS_HTTP_H
#define PLUGIN_CLI_WITNESS_HTTP_H

#include <stdatomic.h>

#include "plugin/cli/witness_state.h"

/* One request as it was read. */
struct http_request {
	enum { HTTP_GET, HTTP_POST, HTTP_OTHER } method;
	char target[256];
	size_t body_n; /* Content-Length */
	bool keep;     /* the connection may go on */
	bool waits;    /* Expect: 100-continue */
};
/* Reads the head, up to and with its empty line. What it returns is an HTTP status: 200, or with
 * what the request is refused. */
int http_read_head(struct slice head, struct http_request *out);

/* Serves one connection until it ends. The descriptor is closed. While @full, others wait for a place:
 * whoever has one and no whole request within a second loses it. */
void http_serve(struct witness *witness, int fd, const atomic_bool *full);

#endif
