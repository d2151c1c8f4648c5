/* rolling.h - certificates of keys that changed. */
#ifndef PLUGIN_DAEMON_ROLLING_H
#define PLUGIN_DAEMON_ROLLING_H

#include "plugin/daemon/daemon.h"

/* At start: a record when the CA's certificate is another one than at the last start. */
MUST enum err rolling_note_renewal(struct daemon *daemon);

#endif
