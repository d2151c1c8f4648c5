/* graph.h - the trust graph: graph.def as tables, and whether a directory of programs is as it says. */
#ifndef PLUGIN_CLI_GRAPH_H
#define PLUGIN_CLI_GRAPH_H

#include "config/base/bytes.h"

/* One thing that was looked at: told in the order of the list. */
typedef void graph_told(void *context, bool holds, const char *what, const char *words);

/* Libraries that each component asks for, and calls that its own code makes. ERR_MISMATCH: something
 * is not as declared; it has been told. */
MUST enum err graph_check(const char *directory, graph_told *told, void *context);
/* The name of every component's file; NULL after the last. */
const char *graph_file(size_t index);

#endif
