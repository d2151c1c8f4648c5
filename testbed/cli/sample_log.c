/* sample_log.c - a log of a day, for what reads logs: no HSM, no daemon, the same records each time
 * but for their ids.
 *
 *   sample_log DIRECTORY EXECUTIONS [live]
 *
 * makes DIRECTORY/log and DIRECTORY/ca.pem; the records end now and began 20 hours ago. With "live"
 * it then keeps the log open, and writes an execution for each line of stdin, with that as its
 * reason, and answers each with a line.
 */
#include "testbed/unit/signer.h"

#define HOURS 20
#define WAVE 256

enum { APPLIANCE, BANK_A, BANK_B, TREES };

static const struct {
	const char *origin, *serial, *label;
} places[TREES] = {
	[APPLIANCE] = { "assay.example/appliance", NULL, NULL },
	[BANK_A] = { "assay.example/bank-a/1", "0a0b0c0d", "bank-a" },
	[BANK_B] = { "assay.example/bank-b/1", "=1+1", "<b>bank-b</b>" },
};

static const struct {
	const char *id, *label, *version;
	int place, percent;
} apps[] = {
	{ "screen", "Payment screening", "1.0", BANK_A, 55 },
	{ "screen", "Payment screening", "1.1", BANK_A, 85 },
	{ "limits", "<script>document.title='owned'</script>&quot;\"'", "2.0", BANK_B, 97 },
	{ "=HYPERLINK(\"http://x\")", "@SUM(1,2);=1+1", "+1", BANK_B, 100 },
};

/* What is done now and then, and by whom. */
static const struct {
	enum leaf_type type;
	enum leaf_role role;
	int place;
	const char *reason;
} acts[] = {
	{ LEAF_OPEN, LEAF_ROLE_NONE, APPLIANCE, "daemon started, 0 partitions" },
	{ LEAF_TCB, LEAF_ROLE_NONE, APPLIANCE, "" },
	{ LEAF_MANAGEMENT, LEAF_ROLE_ADMIN, APPLIANCE, "partition bank-a enrolled, generation 1" },
	{ LEAF_MANAGEMENT, LEAF_ROLE_SO, BANK_A, "loaded" },
	{ LEAF_MANAGEMENT, LEAF_ROLE_SO, BANK_B, "loaded \x1b[2J\xe2\x80\xaegnidaol" },
	{ LEAF_CONFIGURATION, LEAF_ROLE_ADMIN, APPLIANCE, "policy of bank-a changed, version 2" },
	{ LEAF_AUTHORIZATION, LEAF_ROLE_USER, BANK_A, "login proved" },
	{ LEAF_ROLLOVER, LEAF_ROLE_ADMIN, APPLIANCE, "key 2 follows key 1" },
	{ LEAF_MANAGEMENT, LEAF_ROLE_SO, BANK_A, "version 1.0 of screen revoked" },
	{ LEAF_RECOVERY, LEAF_ROLE_NONE, APPLIANCE, "312 bytes of a torn batch cut off" },
};
#define ACTS (sizeof acts / sizeof *acts)

static const char *const refusals[] = {
	"no such application: <img src=x onerror=alert(1)>",
	"the role may not do this",
	"the input is larger than limits.input_bytes",
};

static struct audit_tree *trees[TREES];
static int64_t start;

/* Numbers that look random and are the same each time (splitmix64). */
static uint64_t next_number(void)
{
	static uint64_t state = 42;
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void begin(struct leaf *leaf, enum leaf_type type, int place, int64_t when,
		  const char *reason)
{
	signer_leaf(leaf, reason);
	leaf->type = type;
	leaf->time = when;
	leaf->issuer = slice_text(places[place].origin);
	leaf->subject = slice_text("");
	if (places[place].serial) {
		leaf->partition_serial = slice_text(places[place].serial);
		leaf->partition_label = slice_text(places[place].label);
	}
}

static void fill_caller(struct leaf *leaf, enum leaf_role role)
{
	leaf->has_caller = leaf->has_roleproof = true;
	leaf->role = role;
	leaf->roleproof = role == LEAF_ROLE_SO ? LEAF_PROOF_TRUSTED_OBJECT : LEAF_PROOF_ROLE_KEY;
}

static void fill_platform(struct leaf *leaf)
{
	static const char *const parts[] = { "assayd", "assay-launcher", "kernel" };

	for (leaf->components_n = 0; leaf->components_n < 3; leaf->components_n++) {
		struct leaf_component *c = &leaf->components[leaf->components_n];

		c->name = slice_text(parts[leaf->components_n]);
		c->version = slice_text("1");
		memset(c->sha256, 0xc0 + (int)leaf->components_n, SHA256_SIZE);
	}
}

/* Which executions name. */
static void fill_tcb(struct leaf *leaf)
{
	static struct leaf platform;

	fill_platform(&platform);
	MUST_DO(leaf_components_digest(&platform, leaf->tcb));
	leaf->has_tcb = true;
}

static size_t fill_app(struct leaf *leaf, size_t i)
{
	leaf->subject = slice_text(apps[i].id);
	leaf->swname = slice_text(apps[i].label);
	leaf->swversion = slice_text(apps[i].version);
	leaf->components_n = 2;
	leaf->components[0].name = slice_text("image");
	leaf->components[1].name = slice_text("profile");
	memset(leaf->components[0].sha256, 0x11 * (int)(i + 1), SHA256_SIZE);
	memset(leaf->components[1].sha256, 0x0a + (int)i, SHA256_SIZE);
	return i;
}

/* Busy by day, slow at noon, and now and then a failure. */
static void fill_run(struct leaf *leaf)
{
	bool slow = llabs(leaf->time - start - HOURS * 1800) < 5400;
	uint64_t us = 1500 + next_number() % 900 + (slow ? 4000 : 0);

	if (next_number() % 60 == 0)
		us *= 9;
	leaf->has_status = leaf->has_times = true;
	leaf->start_us = (uint64_t)leaf->time * 1000000 + next_number() % 500000;
	leaf->end_us = leaf->start_us + us;
	if (next_number() % 40 == 0) {
		leaf->status_kind = next_number() % LEAF_ENDED_POLICY;
		leaf->status_code = leaf->status_kind ? 0 : 3;
	}
}

static void put_execution(struct leaf *leaf, int64_t when, const char *reason)
{
	size_t app = 0;
	int percent = (int)(next_number() % 100);

	while (percent >= apps[app].percent)
		app++;
	begin(leaf, LEAF_EXECUTION, apps[app].place, when, reason);
	fill_app(leaf, app);
	fill_caller(leaf, LEAF_ROLE_USER);
	fill_run(leaf);
	fill_tcb(leaf);
}

static void put_act(struct leaf *leaf, size_t i, int64_t when)
{
	begin(leaf, acts[i].type, acts[i].place, when, acts[i].reason);
	if (acts[i].role)
		fill_caller(leaf, acts[i].role);
	if (acts[i].type == LEAF_TCB)
		fill_platform(leaf);
	if (acts[i].type == LEAF_MANAGEMENT && acts[i].role == LEAF_ROLE_SO)
		fill_app(leaf, acts[i].place == BANK_A ? 0 : 2);
}

static void put_refusal(struct leaf *leaf, int64_t when)
{
	size_t i = next_number() % (sizeof refusals / sizeof *refusals);

	begin(leaf, LEAF_REFUSAL, next_number() % 3 ? BANK_A : BANK_B, when, refusals[i]);
	fill_caller(leaf, i == 1 ? LEAF_ROLE_SO : LEAF_ROLE_USER);
}

/* More by the middle of the day than at its ends. */
static int64_t when_of(size_t i, size_t n)
{
	double x = ((double)i + 0.5) / (double)n, bent = x < 0.5 ? 2 * x : 2 * (1 - x);

	bent = bent * (2 - bent) / 2;
	return start + (int64_t)((x < 0.5 ? 0.5 - (0.5 - bent) : 1 - bent) * HOURS * 3600);
}

/* Queued together, so that a wave costs one commit. */
struct wave {
	struct audit_ticket *tickets[WAVE];
	size_t n;
};

static void end_wave(struct wave *wave)
{
	for (size_t i = 0; i < wave->n; i++) {
		CLEANUP(buf) struct buf receipt = BUF_INIT;

		MUST_DO(audit_finish(wave->tickets[i], &receipt));
		audit_ticket_free(wave->tickets[i]);
	}
	wave->n = 0;
}

static int place_of(const struct leaf *leaf)
{
	for (int i = 0; i < TREES; i++)
		if (slice_is(leaf->issuer, places[i].origin))
			return i;
	abort();
}

static void add(struct wave *wave, struct leaf *leaf)
{
	MUST_DO(audit_begin(trees[place_of(leaf)], leaf, &wave->tickets[wave->n++]));
	if (wave->n == WAVE)
		end_wave(wave);
}

static void write_day(size_t n, struct leaf *leaf)
{
	struct wave wave = { .n = 0 };

	for (size_t i = 0; i < n; i++) {
		if (i % (n / ACTS + 1) == 0) {
			put_act(leaf, i / (n / ACTS + 1), when_of(i, n));
			add(&wave, leaf);
		}
		put_execution(leaf, when_of(i, n), "executed");
		add(&wave, leaf);
		if (next_number() % 25 == 0) {
			put_refusal(leaf, when_of(i, n));
			add(&wave, leaf);
		}
	}
	end_wave(&wave);
}

static void write_lines(struct leaf *leaf)
{
	struct wave wave = { .n = 0 };
	char line[256];

	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		put_execution(leaf, time(NULL), line);
		add(&wave, leaf);
		end_wave(&wave);
		puts("written");
	}
}

static void open_trees(struct signer *signer, struct audit *audit, struct leaf *leaf)
{
	for (int i = 0; i < TREES; i++) {
		struct audit_key key = signer_key(signer, places[i].origin);

		begin(leaf, LEAF_OPEN, i, start, "the log begins");
		MUST_DO(audit_tree(audit, places[i].origin, &key, leaf, &trees[i]));
	}
}

static void save_ca(const struct signer *signer, const char *folder)
{
	CLEANUP(fd) int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(buf) struct buf pem = BUF_INIT;

	certificate_put_pem(buf_slice(&signer->ca), &pem);
	MUST_DO(io_replace_file(dir, "ca.pem", 0644, buf_slice(&pem)));
}

int main(int argc, char **argv)
{
	struct leaf *leaf = malloc(sizeof *leaf);
	struct audit_recovery recovery;
	struct signer signer;
	struct audit *audit;
	char path[200];

	if (argc < 3 || !leaf) {
		(void)fprintf(stderr, "usage: %s DIRECTORY EXECUTIONS [live]\n", argv[0]);
		return 2;
	}
	start = time(NULL) - HOURS * 3600;
	mkdir(argv[1], 0755);
	snprintf(path, sizeof path, "%s/keys", argv[1]);
	signer_start(&signer, path);
	save_ca(&signer, argv[1]);
	snprintf(path, sizeof path, "%s/log", argv[1]);
	MUST_DO(signer_open(&signer, path, 0, &recovery, &audit));
	open_trees(&signer, audit, leaf);
	write_day(strtoul(argv[2], NULL, 10), leaf);
	if (argc > 3)
		write_lines(leaf);
	audit_close(audit);
	signer_end(&signer);
	free(leaf);
	return 0;
}
