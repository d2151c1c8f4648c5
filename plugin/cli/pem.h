/* pem.h - certificates as people pass them on: PEM, or DER as it is. */
#ifndef PLUGIN_CLI_PEM_H
#define PLUGIN_CLI_PEM_H

#include "config/base/bytes.h"

/* The first certificate of a file, as DER. ERR_FORMAT: there is none. */
MUST enum err pem_read_certificate(const char *path, struct buf *der);
/* One certificate as PEM. */
MUST enum err pem_write_certificate(struct slice der, struct buf *pem);

#endif
