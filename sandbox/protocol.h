/* protocol.h - the socket between a sandbox (the daemon's end) and its launcher: requests.def. */
#ifndef SANDBOX_PROTOCOL_H
#define SANDBOX_PROTOCOL_H

#include "sandbox/usage.h"

#define LAUNCHER_MESSAGE_MAX 4096
#define CELLS_MAX 64 /* of one launcher; the setting sandbox.cells goes as far */

/* What comes with a new cell. */
enum { CELL_CONTROL, CELL_USAGE, CELL_FDS = CELL_USAGE + USAGE_FILES };

enum launcher_request {
#define REQUEST(name, handler, bytes, fds) LAUNCHER_##name,
#include "sandbox/requests.def"
#undef REQUEST
	LAUNCHER_REQUESTS
};

#endif
