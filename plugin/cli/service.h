/* service.h - talking to the daemon, as the commands do. */
#ifndef PLUGIN_CLI_SERVICE_H
#define PLUGIN_CLI_SERVICE_H

#include "plugin/cli/cli.h"
#include "plugin/link.h"

/* Zeroed, then opened. */
struct service {
	struct config *config;
	struct link *link;
	struct wire_message request, answer;
	bool ready; /* the messages are initialised */
};

/* The configuration, from a file: a daemon takes no other. */
MUST enum err service_config(struct cli *cli, struct config **out);
/* Connects to the daemon that runs; starts none. */
MUST enum err service_open(struct cli *cli, struct service *service);
void service_cleanup(struct service *service);

/* Starts a request with so many arguments, to be put into service->request. */
void service_request(struct service *service, enum wire_request request, size_t arguments);
/* Sends it; @in is at the first result, and valid until the next request. */
MUST enum err service_call(struct service *service, struct slice *in);

/* Has the daemon end, and waits until nobody answers: its log is closed then. */
MUST enum err service_stop(struct cli *cli, struct service *service);

/* One enrolled partition, as PARTITIONS answers. */
struct service_partition {
	struct slice serial, label, key_id, origin;
	uint64_t generation;
	bool active;
};
#define SERVICE_PARTITIONS_MAX 256
MUST enum err service_take_partition(struct slice *in, struct service_partition *out);

#endif
