#include "plugin/daemon/clock.h"

#include <sys/timex.h>
#include <time.h>

#include "config/base/io.h"

#define SYNCHRONISED 1
#define SET_US 1500000

void clock_read(struct clock_reading *out)
{
	struct timex kernel = { 0 };
	int state = adjtimex(&kernel);
	bool good = state >= 0 && state != TIME_ERROR && !(kernel.status & STA_UNSYNC);

	out->time = (int64_t)(io_realtime_us() / 1000000);
	out->source = good ? SYNCHRONISED : 0;
	out->error_us = state >= 0 && kernel.maxerror > 0 ? (uint64_t)kernel.maxerror : 0;
}

bool clock_was_set(struct clock_watch *watch, int64_t *by_us)
{
	struct timespec up;

	if (clock_gettime(CLOCK_BOOTTIME, &up))
		return false;
	int64_t up_us = (int64_t)up.tv_sec * 1000000 + up.tv_nsec / 1000;
	int64_t apart_us = (int64_t)io_realtime_us() - up_us;
	*by_us = watch->begun ? apart_us - watch->apart_us : 0;
	*watch = (struct clock_watch){ apart_us, true };
	return *by_us > SET_US || *by_us < -SET_US;
}

bool clock_is_steady(struct clock_steadiness *s, uint64_t now_ms)
{
	bool first = !s->watch.begun;
	int64_t by_us;

	if (clock_was_set(&s->watch, &by_us) || first)
		s->since_ms = now_ms;
	return now_ms - s->since_ms >= CLOCK_STEADY_MS;
}
