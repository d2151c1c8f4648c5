/* sandbox.h - run one measured application on one input, in isolation.
 *
 * A sandbox is the client's end of one launcher process. Safe to use from several threads; a call
 * that finds no free cell waits its turn. It never signs, logs or authorizes: that is its user's part.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "sandbox/package.h"

struct sandbox;
struct sandbox_image;

/* How a run ended: claim -70006, "status". */
enum run_kind {
	RUN_EXIT = 0,    /* code: exit status */
	RUN_SIGNAL = 1,  /* code: signal number */
	RUN_TIMEOUT = 2, /* code: 0 wall, 1 CPU, 2 cancelled */
	RUN_MEMORY = 3,
	RUN_OUTPUT = 4,   /* code: 1 stdout, 2 stderr */
	RUN_POLICY = 5,   /* never ran */
	RUN_PROCESSES = 6 /* it failed after a process or thread was refused: more than its limit */
};

/* Claim -70016: how the cell came to this run. RUN_PARKED: the program had been started ahead and
 * waited for its input. */
enum run_start { RUN_FRESH = 0, RUN_REUSED = 1, RUN_PARKED = 2 };

struct run {
	enum run_kind kind;
	uint32_t code;
	enum run_start start;
	struct buf output,
		messages;          /* stdout, stderr: what came before the end, also of a failure */
	uint64_t start_us, end_us; /* CLOCK_REALTIME */
	uint64_t launched_us;      /* when the process was started: start_us unless parked */
};

struct sandbox_options {
	const char *launcher;      /* absolute path; used by sandbox_start only */
	const char *init;          /* absolute path of the cells' init */
	uint32_t uid_base;         /* first of UID_COUNT host ids for cells; ignored unprivileged */
	const char *name;          /* of the parent cgroup: hex of a hash of the state directory */
	const char *allow_missing; /* space-separated controllers that may lack: "memory pids" */
	uint32_t cells_max;        /* 1 to 64 */
};

/* What the launcher says of itself and of this machine. */
struct sandbox_facts {
	bool privileged;  /* root outside; false: user namespace only, development */
	char absent[512]; /* space-separated names of steps.def that this kernel lacks */
	uint8_t launcher[SHA256_SIZE], init[SHA256_SIZE]; /* of the binaries that run */
};

/* Takes over a socket (SOCK_SEQPACKET) to a launcher that runs already. */
MUST enum err sandbox_attach(int launcher_fd, struct sandbox **out);
/* Starts a launcher of its own, which ends with the sandbox. */
MUST enum err sandbox_start(const struct sandbox_options *options, struct sandbox **out);
const struct sandbox_facts *sandbox_facts(const struct sandbox *box);
/* Ends all cells and, if started here, the launcher. */
void sandbox_close(struct sandbox *box);

/* Unpacks a package (a sealed memory file) into a measured, read-only image of the launcher's own.
 * The launcher measures again; @measurement must be the same. Cells of an image are never shared
 * with another image, so use one image per partition. */
MUST enum err sandbox_image_add(struct sandbox *box, int package_fd,
				const uint8_t measurement[SHA256_SIZE], struct sandbox_image **out);
/* Those who wait for a cell are served in turn, group by group, however many one group sends: at
 * most SANDBOX_QUEUE wait of one, more are ERR_LIMIT. The last of two or more cells is for a group
 * that has none at the moment: so a single group runs one less at once than there are cells, and a
 * second one starts without waiting for it. With more groups than that, one that has none is served
 * when the next run ends, at the latest when its time is over. NULL, at first, is a group too. Before
 * the image's first run. */
#define SANDBOX_QUEUE 64
void sandbox_image_group(struct sandbox_image *image, const void *group);
/* Ends its cells and frees it; runs that go on are killed. */
void sandbox_image_drop(struct sandbox_image *image);

/* Ends what was started ahead of its request in cells of this image (manifest.park): no program that
 * was started before this call gets an input after it. For a change of policy. */
void sandbox_image_drain(struct sandbox_image *image);

/* Runs the image's program once on @input and fills @run (free with run_free); blocks. OK: it ran
 * and its output is complete, or it failed: see run->kind and code. Anything else: nothing ran, or
 * how it went can't be known (ERR_GONE: launcher lost). @limits may only narrow the manifest's;
 * NULL takes them as they are. */
MUST enum err sandbox_run(struct sandbox_image *image, struct slice input,
			  const struct limits *limits, struct run *run);
/* Asked now and then what a run goes on for: while it waits for a cell, once it has one
 * (@running false), and while the program runs. Anything but OK ends it. No lock is held. */
struct sandbox_watch {
	enum err (*check)(void *context, bool running);
	void *context;
};
#define SANDBOX_WATCH_MS 50
/* The same, given up when @watch says so: its error when nothing ran yet, else OK with the run
 * ended as cancelled, RUN_TIMEOUT with code 2. */
MUST enum err sandbox_run_watched(struct sandbox_image *image, struct slice input,
				  const struct limits *limits, const struct sandbox_watch *watch,
				  struct run *run);
void run_free(struct run *run);
void run_cleanup(struct run *run);

#endif
