#include "testbed/bench/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"
#include "testbed/bench/measure.h"
#include "testbed/bench/costs.h"

#define THREADS_MAX 16
#define ROUNDS 7
#define ROUND_NS 250000000u
#define LATENCIES_MAX 65536 /* of all rounds; more are not kept */
#define MEMORY_GROUP "be7c0003"
#define IDLE 48

/* Shared with the processes that stand in for threads. */
struct shared {
	enum program program;
	enum way way;
	uint64_t end, period; /* from the start of one run to the next; 0: at once */
	atomic_ulong done, parked;
	double ns[LATENCIES_MAX];
};

static struct shared *now;

static void rest_until(uint64_t ns)
{
	const struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	if (ns > now_ns())
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void *work(void *unused)
{
	uint64_t start;

	while ((start = now_ns()) < now->end) {
		if (way_run(now->program, now->way))
			atomic_fetch_add(&now->parked, 1);
		double took = (double)(now_ns() - start);
		unsigned long i = atomic_fetch_add(&now->done, 1);
		if (i < LATENCIES_MAX)
			now->ns[i] = took;
		rest_until(start + now->period);
	}
	return unused;
}

static void run_threads(unsigned n)
{
	pthread_t t[THREADS_MAX];

	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&t[i], NULL, work, NULL))
			die("no thread");
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

/* Threads that spawn get into each other's way, so bare processes have parents of their own. */
static void run_processes(unsigned n)
{
	pid_t pids[THREADS_MAX];
	int status;

	for (unsigned i = 0; i < n; i++) {
		if ((pids[i] = fork()) < 0)
			die("no process");
		if (pids[i] == 0) {
			work(NULL);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < n; i++)
		if (waitpid(pids[i], &status, 0) != pids[i] || status)
			die("a process that spawns failed");
}

/* Runs a second. */
static double round_of(enum program program, enum way way, unsigned threads, struct load *load)
{
	unsigned long before = atomic_load(&now->done);

	now->program = program;
	now->way = way;
	double cpu = costs_cpu_us();
	uint64_t start = now_ns();
	now->end = start + ROUND_NS;
	if (way == WAY_SPAWN)
		run_processes(threads);
	else
		run_threads(threads);
	uint64_t took = now_ns() - start;
	unsigned long done = atomic_load(&now->done) - before;
	load->cpu_ns += (costs_cpu_us() - cpu) * 1e3;
	load->runs += done;
	return (double)done * 1e9 / (double)took;
}

static struct shared *shared_new(uint64_t period)
{
	struct shared *s =
		mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		die("no memory");
	s->period = period;
	return s;
}

static void load_finish(struct load *load, struct shared *s, double *rates)
{
	size_t n = load->runs < LATENCIES_MAX ? load->runs : LATENCIES_MAX;

	load->rate = median(rates, ROUNDS);
	load->cpu_ns /= (double)load->runs;
	load->parked = atomic_load(&s->parked);
	load->tenth = tenth(s->ns, n);
	load->median = median(s->ns, n);
	munmap(s, sizeof *s);
}

/* How long one run takes when one follows the other. */
static uint64_t run_ns(enum program program, enum way way, unsigned threads)
{
	struct load warm = { 0 };

	now = shared_new(0);
	round_of(program, way, threads, &warm);
	munmap(now, sizeof *now);
	return (uint64_t)ROUND_NS * threads / warm.runs;
}

void load_compare(enum program program, unsigned threads, unsigned pace, enum way way,
		  struct load *load, enum way other_way, struct load *other)
{
	double rates[ROUNDS], other_rates[ROUNDS];

	ways_enter(program);
	*load = *other = (struct load){ 0 };
	run_ns(program, way, threads);
	uint64_t period = pace * run_ns(program, other_way, threads);
	struct shared *ours = shared_new(period), *others = shared_new(period);
	for (int i = 0; i < ROUNDS; i++) {
		now = ours;
		rates[i] = round_of(program, way, threads, load);
		now = others;
		other_rates[i] = round_of(program, other_way, threads, other);
	}
	load_finish(load, ours, rates);
	load_finish(other, others, other_rates);
}

/* Cells of different limits are never the same, so that each run leaves one more behind. */
void memory_measure(struct memory *memory)
{
	struct sandbox *box = ways_sandbox(MEMORY_GROUP, IDLE);
	struct limits limits;
	struct sandbox_image *image = ways_image(box, PROGRAM_STATIC, PARK_OFF, &limits);

	double n, others_n, others = costs_inits(&others_n);
	for (uint32_t i = 0; i < IDLE; i++) {
		CLEANUP(run) struct run run = { 0 };

		limits.memory_bytes -= 4096;
		if (sandbox_run(image, ways_input(), &limits, &run))
			die("%s", err_reason());
	}
	double all = costs_inits(&n);
	n -= others_n;
	memory->cells = (unsigned)n;
	memory->user = (all - others) / n;
	memory->kernel = costs_group(MEMORY_GROUP) / n;
	sandbox_close(box);
}
