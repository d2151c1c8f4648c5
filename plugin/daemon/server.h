/* server.h - the listening socket, and a thread for each connection. */
#ifndef PLUGIN_DAEMON_SERVER_H
#define PLUGIN_DAEMON_SERVER_H

#include "plugin/daemon/daemon.h"

/* Serves until daemon_stop(), a signal readable on @signals, the launcher's end, or, in development
 * mode, the idle time; then lets what runs come to its end, and says in @why what ended it. ERR_GONE
 * when the launcher was lost. Unless @all_gone threads are left that use the daemon: then it can
 * only be abandoned. */
MUST enum err server_run(struct daemon *daemon, int signals, const char **why, bool *all_gone);

#endif
