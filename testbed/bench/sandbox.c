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

enum kind { LATENCY, RATE, MEMORY };

static struct row {
	char name[NAME_MAX_];
	enum kind kind;
	enum program program;
	enum way way, baseline;
	unsigned threads;
} rows[ROWS_MAX];
static size_t rows_n;

/* One program run one way. */
static struct result {
	bool wanted;
	const char *lacks;
	double ns[SAMPLES_MAX];
	size_t n;
	double median, tenth;
	struct load load[THREADS];
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

static void add_program(enum program p)
{
	const char *name = program_name[p];

	for (enum way w = WAY_SPAWN + 1; w < WAYS; w++) {
		bool ours = w < WAY_BUBBLEWRAP;
		char middle[NAME_MAX_];
		/* Other sandboxes are named after the tool; with the first program, that alone. */
		snprintf(middle, sizeof middle, "%s%s", ours ? "" : "vs_", way_kind[w].name);
		if (ours)
			add((struct row){ .program = p, .way = w, .baseline = WAY_SPAWN }, middle,
			    name);
		else
			add((struct row){ .program = p, .way = WAY_DEMAND, .baseline = w }, middle,
			    p ? name : "");
	}
	for (unsigned threads = 1; threads <= THREADS; threads++) {
		char end[NAME_MAX_];
		snprintf(end, sizeof end, "%s%s", name, threads == 1 ? "_1" : "");
		add((struct row){ "", RATE, p, WAY_DEMAND, WAY_SPAWN, threads }, "throughput", end);
	}
}

static void add_rows(void)
{
	for (enum program p = 0; p < PROGRAMS; p++)
		add_program(p);
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

			if (why && w < WAY_BUBBLEWRAP)
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

static void measure_rates(void)
{
	for (size_t i = 0; i < rows_n; i++) {
		const struct row *r = &rows[i];
		const unsigned t = r->threads;

		if (r->kind == RATE)
			load_compare(r->program, t, r->way,
				     &results[r->program][r->way].load[t - 1], r->baseline,
				     &results[r->program][r->baseline].load[t - 1]);
	}
}

static void print_latency(const struct row *r)
{
	const struct result *ours = &results[r->program][r->way];
	const struct result *theirs = &results[r->program][r->baseline];
	const struct way_kind *kind = &way_kind[r->baseline];

	if (theirs->lacks) {
		printf("%s|-|ns|%s: %s\n", r->name, kind->name, theirs->lacks);
		return;
	}
	printf("%s|%.0f|ns|%.0f|%zu|", r->name, ours->median, theirs->median, ours->n);
	printf("\"p10\": %.0f, \"baseline_p10\": %.0f, \"baseline_runs\": %zu|", ours->tenth,
	       theirs->tenth, theirs->n);
	printf("%s; 10th percentiles %.0f, %.0f\n", kind->what, ours->tenth, theirs->tenth);
}

static void print_rate(const struct row *r)
{
	const struct load *ours = &results[r->program][r->way].load[r->threads - 1];
	const struct load *theirs = &results[r->program][r->baseline].load[r->threads - 1];

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
	measure_rates();
	for (size_t i = 0; i < rows_n; i++)
		if (rows[i].kind == LATENCY)
			print_latency(&rows[i]);
		else if (rows[i].kind == RATE)
			print_rate(&rows[i]);
		else
			print_memory(&rows[i]);
	ways_close();
	return 0;
}
