/* shim_inner.h - the inside of the shim, shared by shim.c (what is watched, planned and recorded) and
 * shim_calls.c (the calls). All but shim_spares() and shim_off() under shim_lock.
 */
#ifndef TESTBED_CRASH_SHIM_INNER_H
#define TESTBED_CRASH_SHIM_INNER_H

#include <pthread.h>
#include <sys/stat.h>

#include "testbed/crash/shim.h"

#define SHIM_NONE SIZE_MAX

extern pthread_mutex_t shim_lock;

/* The node of a file of the system, SHIM_NONE when it is not watched. */
size_t shim_node(const struct stat *st);
size_t shim_node_of(int fd);
/* The directory that a path ends in, and the last name. */
size_t shim_parent(int dir, const char *path, char name[DISK_NAME]);
/* What has that name now; SHIM_NONE: nothing. */
size_t shim_named(size_t dir, const char *name);

/* What becomes of this call. */
struct blow {
	int error;
	bool half, last;
};
struct blow shim_blow(enum shim_call call);
struct blow shim_blow_write(size_t n);
bool shim_ignores(enum shim_call call);
/* After the call: the end of the process, where that was planned. */
void shim_fall(struct blow blow);

/* How many operations there are; one more, unless nothing is watched any more. */
size_t shim_recorded(void);
void shim_record(struct op op);
/* A file or directory that was just made. */
void shim_record_new(int dir, const char *path, size_t parent, const char *name);
void shim_record_write(size_t node, uint64_t at, const void *p, size_t n, uint64_t size);

bool shim_spares(void);
int64_t shim_off(void);

#endif
