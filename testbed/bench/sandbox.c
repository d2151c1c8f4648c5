/* sandbox - the sandbox's table: what a run costs bare, in our cells, and under other sandboxes.
 *
 *   sandbox PROGRAMS_DIRECTORY WORK_DIRECTORY [ROW...]
 *
 * One process does it all, in rounds in which every way takes its turn, so that whatever else the
 * machine does meets them all. Without names, all rows. A row that was measured is printed as
 *   name|value|unit|baseline|runs|more, as JSON members|what the baseline is
 * and one that can't be measured here as
 *   name|-|unit|why
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testbed/bench/load.h"
#include "testbed/bench/measure.h"
#include "testbed/bench/ways.h"

#define ROUNDS 160
#define SAMPLES_MAX (ROUNDS * 5)
#define NAME_MAX_ 64
#define ROWS_MAX 96
#define THREADS 2
#define PACE 2 /* a sustained rate: half of what bare processes could do */

enum kind { LATENCY, SUSTAINED, RATE, MEMORY };

static struct row {
	char name[NAME_MAX_];
	enum kind kind;
	enum program program;
	enum way way, baseline;
	unsigned threads;
	struct load load, base_load; /* SUSTAINED and RATE */
} rows[ROWS_MAX];
static size_t rows_n;

/* One program run one way. */
static struct result {
	bool wanted;
	const char *lacks;
	double ns[SAMPLES_MAX];
	size_t n;
	double median, tenth;
} results[PROGRAMS][WAYS];

static int names_n;
static char **names;

static bool wanted(const char *name)
{
	for (int i = 0; i < names_n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return names_n == 0;
}

static void add(struct row row, const char *middle, const char *end)
{
	const char *apart = *middle ? "_" : "";

	snprintf(row.name, sizeof row.name, "sandbox%s%s%s%s", apart, middle, *end ? "_" : "", end);
	if (wanted(row.name))
		rows[rows_n++] = row;
}

static void add_ours(enum program p, enum way w)
{
	const struct row row = { .kind = w == WAY_PARKED ? SUSTAINED : LATENCY,
				 .program = p,
				 .way = w,
				 .baseline = WAY_SPAWN,
				 .threads = 1 };

	add(row, way_kind[w].name, program_name[p]);
}

/* Named after the tool; with the first program, that alone. */
static void add_tool(enum program p, enum way w)
{
	const struct row row = { .program = p, .way = WAY_DEMAND, .baseline = w };
	char name[NAME_MAX_];

	snprintf(name, sizeof name, "vs_%s", way_kind[w].name);
	add(row, name, p ? program_name[p] : "");
}

static void add_rate(enum program p, unsigned threads)
{
	const struct row row = { .kind = RATE,
				 .program = p,
				 .way = WAY_DEMAND,
				 .baseline = WAY_SPAWN,
				 .threads = threads };
	char name[NAME_MAX_];

	snprintf(name, sizeof name, "%s%s", program_name[p], threads == 1 ? "_1" : "");
	add(row, "throughput", name);
}

static void add_rows(void)
{
	for (enum program p = 0; p < PROGRAMS; p++) {
		for (enum way w = WAY_SPAWN + 1; w <= WAY_PARKED; w++)
			add_ours(p, w);
		for (enum way w = WAY_PARKED + 1; w < WAYS; w++)
			add_tool(p, w);
		for (unsigned threads = 1; threads <= THREADS; threads++)
			add_rate(p, threads);
	}
	add((struct row){ .kind = MEMORY }, "memory", "");
	if (rows_n == 0)
		die("no such row");
	for (size_t i = 0; i < rows_n; i++)
		if (rows[i].kind != MEMORY)
			results[rows[i].program][rows[i].way].wanted =
				results[rows[i].program][rows[i].baseline].wanted = true;
}

static void try_all(void)
{
	for (enum program p = 0; p < PROGRAMS; p++)
		for (enum way w = 0; w < WAYS; w++) {
			const char *why = results[p][w].wanted ? way_lacks(p, w) : NULL;

			if (why && w < WAY_PARKED)
				die("%s, %s: %s", program_name[p], way_kind[w].what, why);
			if (why)
				results[p][w].lacks = strdup(why);
		}
}

static void sample(enum program p, enum way w)
{
	for (unsigned i = 0; i < way_kind[w].runs; i++) {
		uint64_t start = now_ns();
		way_run(p, w);
		results[p][w].ns[results[p][w].n++] = (double)(now_ns() - start);
	}
}

static void measure_latency(void)
{
	bool asked[PROGRAMS][WAYS] = { 0 };

	for (size_t i = 0; i < rows_n; i++)
		if (rows[i].kind == LATENCY)
			asked[rows[i].program][rows[i].way] =
				asked[rows[i].program][rows[i].baseline] = true;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (enum program p = 0; p < PROGRAMS; p++) {
			ways_enter(p);
			/* Each way comes after each other one for once. */
			for (unsigned i = 0; i < WAYS; i++) {
				enum way w = (i + round) % WAYS;
				/* A slow way leaves caches cold for the next: out of step. */
				if (asked[p][w] && !results[p][w].lacks &&
				    (round + w) % way_kind[w].every == 0)
					sample(p, w);
			}
		}
	for (enum program p = 0; p < PROGRAMS; p++)
		for (enum way w = 0; w < WAYS; w++)
			if (results[p][w].n) {
				results[p][w].tenth = tenth(results[p][w].ns, results[p][w].n);
				results[p][w].median = median(results[p][w].ns, results[p][w].n);
			}
}

static const char *lacks(const struct row *r)
{
	const char *way = results[r->program][r->way].lacks;

	return way ? way : results[r->program][r->baseline].lacks;
}

static void measure_loads(void)
{
	for (struct row *r = rows; r < rows + rows_n; r++) {
		if ((r->kind != RATE && r->kind != SUSTAINED) || lacks(r))
			continue;
		if (r->way == WAY_PARKED)
			ways_park(r->program);
		load_compare(r->program, r->threads, r->kind == SUSTAINED ? PACE : 0, r->way,
			     &r->load, r->baseline, &r->base_load);
		if (r->way == WAY_PARKED)
			ways_unpark();
	}
}

static void print_latency(const struct row *r)
{
	const struct result *ours = &results[r->program][r->way];
	const struct result *theirs = &results[r->program][r->baseline];

	printf("%s|%.0f|ns|%.0f|%zu|", r->name, ours->median, theirs->median, ours->n);
	printf("\"p10\": %.0f, \"baseline_p10\": %.0f, \"baseline_runs\": %zu|", ours->tenth,
	       theirs->tenth, theirs->n);
	printf("%s; 10th percentiles %.0f, %.0f\n", way_kind[r->baseline].what, ours->tenth,
	       theirs->tenth);
}

/* Latency at a steady rate, so that what is done ahead takes its time and its processor too. */
static void print_sustained(const struct row *r)
{
	const struct load *ours = &r->load, *theirs = &r->base_load;

	printf("%s|%.0f|ns|%.0f|%lu|", r->name, ours->median, theirs->median, ours->runs);
	printf("\"p10\": %.0f, \"baseline_p10\": %.0f, \"rate\": %.0f, \"baseline_rate\": %.0f, ",
	       ours->tenth, theirs->tenth, ours->rate, theirs->rate);
	printf("\"parked\": %.3f, \"cpu_ns\": %.0f, \"baseline_cpu_ns\": %.0f|",
	       (double)ours->parked / (double)ours->runs, ours->cpu_ns, theirs->cpu_ns);
	printf("%s, both at a steady %.0f a second; %.0f %% parked; CPU %.0f, %.0f ns each\n",
	       way_kind[r->baseline].what, ours->rate,
	       100 * (double)ours->parked / (double)ours->runs, ours->cpu_ns, theirs->cpu_ns);
}

static void print_rate(const struct row *r)
{
	const struct load *ours = &r->load, *theirs = &r->base_load;

	printf("%s|%.0f|1/s|%.0f|%lu|", r->name, ours->rate, theirs->rate, ours->runs);
	printf("\"cpu_ns\": %.0f, \"baseline_cpu_ns\": %.0f|", ours->cpu_ns, theirs->cpu_ns);
	printf("%s, %u at once; CPU %.0f, %.0f ns each\n", way_kind[r->baseline].what, r->threads,
	       ours->cpu_ns, theirs->cpu_ns);
}

static void print_memory(const struct row *r)
{
	struct memory m;

	memory_measure(&m);
	if (m.kernel > 0)
		printf("%s|%.0f|bytes|0|%u|\"user\": %.0f, \"kernel\": %.0f|nothing; init %.0f, "
		       "kernel %.0f\n",
		       r->name, m.user + m.kernel, m.cells, m.user, m.kernel, m.user, m.kernel);
	else
		printf("%s|-|bytes|the kernel doesn't tell what it holds for a cell\n", r->name);
}

static void print(const struct row *r)
{
	static void (*const kinds[])(const struct row *) = { [LATENCY] = print_latency,
							     [SUSTAINED] = print_sustained,
							     [RATE] = print_rate,
							     [MEMORY] = print_memory };

	if (r->kind != MEMORY && lacks(r))
		printf("%s|-|%s|%s: %s\n", r->name, r->kind == RATE ? "1/s" : "ns",
		       way_kind[r->way == WAY_DEMAND ? r->baseline : r->way].name, lacks(r));
	else
		kinds[r->kind](r);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		die("usage: sandbox PROGRAMS_DIRECTORY WORK_DIRECTORY [ROW...]");
	signal(SIGPIPE, SIG_IGN);
	names = argv + 3;
	names_n = argc - 3;
	add_rows();
	ways_open(argv[1], argv[2]);
	try_all();
	measure_latency();
	measure_loads();
	for (size_t i = 0; i < rows_n; i++)
		print(&rows[i]);
	ways_close();
	return 0;
}
