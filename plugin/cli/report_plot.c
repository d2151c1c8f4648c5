#include <math.h>
#include <string.h>
#include <time.h>

#include "plugin/cli/html.h"
#include "plugin/cli/report.h"

/* The picture's measures, in the units of its viewBox. */
#define WIDTH 960
#define HEIGHT 230
#define LEFT 58
#define RIGHT 8
#define TOP 10
#define BOTTOM 40
#define INNER_W (WIDTH - LEFT - RIGHT)
#define INNER_H (HEIGHT - TOP - BOTTOM)

#define BUCKETS_MAX 64
#define TICKS_MAX 9

/* Time in equal pieces. */
struct axis {
	int64_t start, width;
	size_t n;
};

/* What each piece adds up to. */
struct bucket {
	uint64_t good, bad, refused;
	uint64_t p50, p99; /* microseconds, of runs */
};

struct series {
	const char *name, *class;
	double values[BUCKETS_MAX]; /* NAN: none */
};

struct plot {
	const char *heading, *unit;
	bool lines; /* else bars, on top of each other */
	size_t n;
	const struct series *series;
};

static int64_t choose_width(int64_t span)
{
	static const int64_t nice[] = { 1,    5,    10,    30,    60,    300,   600,    900,   1800,
					3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800 };
	int64_t width = nice[0];

	for (size_t i = 0; i < sizeof nice / sizeof *nice; i++)
		if (span / (width = nice[i]) < BUCKETS_MAX - 2)
			return width;
	while (span / width >= BUCKETS_MAX - 2)
		width *= 2;
	return width;
}

static struct axis make_axis(int64_t first, int64_t last)
{
	struct axis axis = { .width = choose_width(last > first ? last - first : 0) };

	axis.start = first - first % axis.width;
	axis.n = (size_t)((last - axis.start) / axis.width) + 1;
	return axis;
}

static void fill_buckets(const struct report *report, const struct axis *axis,
			 struct bucket *buckets)
{
	const struct sample *s = report->samples, *end = s + report->samples_n;

	for (size_t i = 0; i < axis->n; i++) {
		struct bucket *b = &buckets[i];
		const struct sample *from = s;
		int64_t until = axis->start + (int64_t)(i + 1) * axis->width;

		for (; s < end && s->time < until; s++) {
			b->good += s->kind == SAMPLE_OK;
			b->bad += s->kind == SAMPLE_FAILED;
			b->refused += s->kind == SAMPLE_REFUSED;
		}
		b->p50 = report_percentile(from, (size_t)(s - from), 50);
		b->p99 = report_percentile(from, (size_t)(s - from), 99);
	}
}

/* ---- drawing ---- */

/* The least of 1, 2, 5, 10, 20 ... hundredths with which five steps reach @most. */
static double nice_step(double most)
{
	static const double times[] = { 2, 2.5, 2 };
	double step = 0.01;

	for (size_t i = 0; step * 5 < most; i++)
		step *= times[i % 3];
	return step;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static double x_of(const struct axis *axis, double i)
{
	return LEFT + INNER_W * i / (double)axis->n;
}

static double y_of(double value, double top)
{
	return TOP + INNER_H * (1 - value / top);
}

static double highest(const struct plot *plot, const struct axis *axis)
{
	double most = 0;

	for (size_t i = 0; i < axis->n; i++) {
		double sum = 0;

		for (size_t k = 0; k < plot->n; k++) {
			double v = plot->series[k].values[i];

			if (!isnan(v))
				sum = plot->lines ? larger(sum, v) : sum + v;
		}
		most = larger(most, sum);
	}
	return most;
}

static void put_grid(const struct plot *plot, double step, double top, struct buf *out)
{
	for (double v = 0; v <= top * 1.001; v += step) {
		double y = y_of(v, top);

		buf_printf(out,
			   "<line class=\"%s\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
			   "<text class=\"y\" x=\"%d\" y=\"%.1f\">%.*f%s</text>\n",
			   v > 0 ? "grid" : "base", LEFT, y, WIDTH - RIGHT, y, LEFT - 8, y + 4,
			   step < 0.1 ? 2
			   : step < 1 ? 1
				      : 0,
			   v, v > 0 ? plot->unit : "");
	}
}

/* A day has its date under the first of its ticks. */
static void put_tick(int64_t when, int64_t every, int64_t *day, double x, struct buf *out)
{
	char clock[16], date[32];
	time_t t = (time_t)when;
	bool times = every < 86400;
	struct tm tm;

	if (!gmtime_r(&t, &tm) ||
	    !strftime(clock, sizeof clock, every < 60 ? "%H:%M:%S" : "%H:%M", &tm) ||
	    !strftime(date, sizeof date, "%e %b %Y", &tm))
		return;
	buf_printf(out, "<line class=\"tick\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>", x,
		   HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 4);
	if (times)
		buf_printf(out, "<text class=\"x\" x=\"%.1f\" y=\"%d\">%s</text>", x,
			   HEIGHT - BOTTOM + 17, clock);
	if (*day != when / 86400)
		buf_printf(out, "<text class=\"x day\" x=\"%.1f\" y=\"%d\">%s</text>", x,
			   HEIGHT - BOTTOM + (times ? 32 : 17), date);
	*day = when / 86400;
	buf_put_text(out, "\n");
}

/* Ticks at round times: every so many pieces. */
static void put_time_axis(const struct axis *axis, struct buf *out)
{
	static const int64_t rounds[] = { 1,    2,    5,    10,    30,    60,    300,  600,
					  1800, 3600, 7200, 10800, 21600, 43200, 86400 };
	int64_t span = (int64_t)axis->n * axis->width, every = axis->width, day = -1;

	for (size_t i = 0; i < sizeof rounds / sizeof *rounds && span / every >= TICKS_MAX; i++)
		if (rounds[i] % axis->width == 0)
			every = rounds[i];
	while (span / every >= TICKS_MAX)
		every *= 2;
	int64_t first = axis->start + (every - axis->start % every) % every;
	for (int64_t t = first; t < axis->start + span; t += every)
		put_tick(t, every, &day,
			 x_of(axis, (double)(t - axis->start) / (double)axis->width), out);
}

static void put_title(const struct plot *plot, const struct axis *axis, size_t i,
		      const struct series *s, struct buf *out)
{
	buf_put_text(out, "<title>");
	html_put_minute(out, axis->start + (int64_t)i * axis->width);
	if (plot->lines) {
		buf_printf(out, ": %s ", s->name);
		html_put_span(out, (uint64_t)(s->values[i] * 1000 + 0.5));
	} else {
		buf_printf(out, ": %.0f %s", s->values[i], s->name);
	}
	buf_put_text(out, "</title>");
}

static void put_bars(const struct plot *plot, const struct axis *axis, double top, struct buf *out)
{
	double gap = axis->n > 40 ? 1 : 2;

	for (size_t i = 0; i < axis->n; i++) {
		double under = 0;

		for (size_t k = 0; k < plot->n; k++) {
			const struct series *s = &plot->series[k];
			double y = y_of(under + s->values[i], top);

			if (s->values[i] <= 0)
				continue;
			buf_printf(out,
				   "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
				   "height=\"%.1f\">",
				   s->class, x_of(axis, (double)i) + gap / 2, y,
				   larger(INNER_W / (double)axis->n - gap, 1),
				   y_of(under, top) - y);
			put_title(plot, axis, i, s, out);
			buf_put_text(out, "</rect>\n");
			under += s->values[i];
		}
	}
}

/* Pieces without runs leave a gap. */
static void put_line(const struct plot *plot, const struct axis *axis, const struct series *s,
		     double top, struct buf *out)
{
	bool down = false;

	buf_printf(out, "<path class=\"line %s\" d=\"", s->class);
	for (size_t i = 0; i < axis->n; i++) {
		if (!isnan(s->values[i]))
			buf_printf(out, "%c%.1f %.1f", down ? 'L' : 'M',
				   x_of(axis, (double)i + 0.5), y_of(s->values[i], top));
		down = !isnan(s->values[i]);
	}
	buf_put_text(out, "\"/>\n");
	for (size_t i = 0; i < axis->n; i++) {
		if (isnan(s->values[i]))
			continue;
		buf_printf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\">", s->class,
			   x_of(axis, (double)i + 0.5), y_of(s->values[i], top));
		put_title(plot, axis, i, s, out);
		buf_put_text(out, "</circle>\n");
	}
}

static void put_legend(const struct plot *plot, struct buf *out)
{
	buf_put_text(out, "<figcaption>");
	buf_printf(out, "<b>%s</b>", plot->heading);
	for (size_t k = 0; k < plot->n; k++)
		buf_printf(out, "<span class=\"key\"><i class=\"%s\"></i>%s</span>",
			   plot->series[k].class, plot->series[k].name);
	buf_put_text(out, "</figcaption>\n");
}

static void put_plot(const struct plot *plot, const struct axis *axis, struct buf *out)
{
	double most = highest(plot, axis), step = nice_step(most), top;

	if (!plot->lines && step < 1)
		step = 1;
	for (top = step; top < most; top += step)
		;
	buf_put_text(out, "<figure>\n");
	put_legend(plot, out);
	buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s over time\">\n",
		   WIDTH, HEIGHT, plot->heading);
	put_grid(plot, step, top, out);
	put_time_axis(axis, out);
	if (!plot->lines)
		put_bars(plot, axis, top, out);
	for (size_t k = 0; plot->lines && k < plot->n; k++)
		put_line(plot, axis, &plot->series[k], top, out);
	buf_put_text(out, "</svg>\n</figure>\n");
}

void report_put_plots(const struct report *report, struct buf *out)
{
	struct axis axis = make_axis(report->first, report->last);
	struct bucket buckets[BUCKETS_MAX] = { 0 };
	struct series good = { "succeeded", "good", { 0 } }, bad = { "failed", "bad", { 0 } };
	struct series refused = { "refused", "refused", { 0 } };
	struct series p50 = { "p50", "p50", { 0 } }, p99 = { "p99", "p99", { 0 } };

	if (axis.n > BUCKETS_MAX)
		return;
	fill_buckets(report, &axis, buckets);
	for (size_t i = 0; i < axis.n; i++) {
		const struct bucket *b = &buckets[i];
		bool ran = b->good + b->bad > 0;

		good.values[i] = (double)b->good;
		bad.values[i] = (double)b->bad;
		refused.values[i] = (double)b->refused;
		p50.values[i] = ran ? (double)b->p50 / 1000 : NAN;
		p99.values[i] = ran ? (double)b->p99 / 1000 : NAN;
	}
	const struct series runs[] = { good, bad }, spans[] = { p50, p99 };
	put_plot(&(struct plot){ "Executions", "", false, 2, runs }, &axis, out);
	put_plot(&(struct plot){ "Refusals", "", false, 1, &refused }, &axis, out);
	put_plot(&(struct plot){ "Duration of executions", " ms", true, 2, spans }, &axis, out);
}
