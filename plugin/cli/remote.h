/* remote.h - talking to the daemon, as the commands do. */
#ifndef PLUGIN_CLI_REMOTE_H
#define PLUGIN_CLI_REMOTE_H

#include "plugin/cli/cli.h"
#include "plugin/link.h"

/* Zeroed, then opened. */
struct remote {
	struct config *config;
	struct link *link;
	struct wire_message request, answer;
	bool ready; /* the messages are initialised */
};

/* The configuration, from a file: a daemon takes no other. */
MUST enum err remote_config(struct cli *cli, struct config **out);
/* Connects to the daemon that runs; starts none. */
MUST enum err remote_open(struct cli *cli, struct remote *remote);
void remote_cleanup(struct remote *remote);

/* Starts a request with so many arguments, to be put into remote->request. */
void remote_request(struct remote *remote, enum wire_request request, size_t arguments);
/* Sends it; @in is at the first result, and valid until the next request. */
MUST enum err remote_call(struct remote *remote, struct slice *in);

/* A command without options of its own that asks the daemon: parses, connects, calls @ask, and gives
 * the exit code. What @ask had written is dropped when it fails. */
int remote_command(struct cli *cli, enum err (*ask)(struct cli *cli, struct remote *remote));

/* Has the daemon end, and waits until nobody answers: its log is closed then. */
MUST enum err remote_stop(struct cli *cli, struct remote *remote);

/* Calls @visit for each enrolled partition until it fails. It may ask the daemon in turn. */
typedef enum err remote_visit(void *context, const struct wire_partition *p);
MUST enum err remote_partitions(struct remote *remote, remote_visit *visit, void *context);
/* The serial of the one partition of this label, or of this serial. ERR_NOT_FOUND; ERR_EXISTS: several
 * have the label. */
MUST enum err remote_find(struct remote *remote, const char *name,
			  char serial[WIRE_SERIAL_MAX + 1]);

#endif
