/* link.h - a client's connection to the daemon: one link per process, and lanes for its threads.
 *
 * Used by the module and by the command line. Starts no thread. Every call may block until the
 * daemon answers; no lock is held meanwhile but that of the lane in use. After a fork the child
 * must not use it (link_abandon closes its descriptors).
 */
#ifndef PLUGIN_LINK_H
#define PLUGIN_LINK_H

#include "config/config.h"
#include "plugin/wire.h"

struct link;

/* Connects to config->socket. The peer must be the configured daemon's user, root, or, in
 * development mode, the caller's own (ERR_DENIED). With @start, in development mode, starts launcher
 * and daemon when nobody answers, and waits for it. ERR_GONE: no daemon. */
MUST enum err link_open(const struct config *config, const char *self, bool start,
			struct slice frontend, struct link **out);
void link_close(struct link *link);
/* Ends it while other threads may be in a call on it: they get ERR_GONE, and the daemon ends its
 * grants. It is still to be closed. */
void link_end(struct link *link);
void link_abandon(struct link *link);
/* Whether the daemon still holds its end. */
bool link_alive(const struct link *link);

const uint8_t *link_boot_id(const struct link *link);       /* 16 bytes */
const uint8_t *link_connection_id(const struct link *link); /* 16 bytes */
enum config_mode link_mode(const struct link *link);
const char *link_token_serial(const struct link *link); /* the daemon's own token */

/* Sends @request, receives @answer, and takes its result and reason: returns the daemon's err, with
 * err_reason() the daemon's words; @in is left at the first result, and is not touched when no
 * answer came. Both messages were started with wire_init. ERR_GONE: the daemon ended. ERR_TIMEOUT: no
 * answer in 10 seconds to a request that needs neither an application nor a token. ERR_LIMIT: no
 * lane was free in 2 seconds, for EXECUTE and LOAD in a minute; others never wait for these two. */
MUST enum err link_call(struct link *link, struct wire_message *request,
			struct wire_message *answer, struct slice *in);
/* Starts a request: array head of 1 + @arguments items, and the number. */
void link_request(struct wire_message *m, enum wire_request request, size_t arguments);

/* Starts launcher and daemon from @config (posix_spawn, empty environment, setsid, no inherited
 * descriptors) and waits until the socket answers or @wait_ms is over. Both modes. In development
 * mode what they say is appended to LINK_LOG in the state directory, else to standard error. */
#define LINK_LOG "assayd.log"
MUST enum err link_start_daemon(const struct config *config, const char *self, unsigned wait_ms);

/* How the launcher ended, by its wait status, in words: "exit status 1", "signal 9". */
#define LINK_STATUS_MAX 32
void link_status_words(int status, char words[LINK_STATUS_MAX]);

#endif
