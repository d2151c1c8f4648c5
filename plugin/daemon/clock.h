/* clock.h - the system clock, and what the kernel says of it. The order of times in the log is the
 * log's own affair (audit/times.h). Any thread.
 */
#ifndef PLUGIN_DAEMON_CLOCK_H
#define PLUGIN_DAEMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock_reading {
	int64_t time;      /* seconds since 1970 */
	uint64_t source;   /* 1: synchronised, by the kernel's own judgement (NTP, PTP); 0: not */
	uint64_t error_us; /* the kernel's bound of the error */
};
void clock_read(struct clock_reading *out);

/* The clock as it was when somebody last looked; zero before the first time. */
struct clock_watch {
	int64_t apart_us; /* from the time since boot */
	bool begun;
};
/* Whether it was set meanwhile, by more than a second: a leap second and NTP's slewing are no
 * settings. @by_us: forward, or back if negative. */
bool clock_was_set(struct clock_watch *watch, int64_t *by_us);

/* What can't be undone must not hang on one wrong step of the clock. */
#define CLOCK_STEADY_MS 3600000
struct clock_steadiness {
	struct clock_watch watch;
	uint64_t since_ms; /* of the monotonic clock: no step since */
};
/* Has the clock made no step in the last CLOCK_STEADY_MS of @now_ms (monotonic), and been watched as
 * long? Call it at least every few minutes. */
bool clock_is_steady(struct clock_steadiness *s, uint64_t now_ms);

#endif
