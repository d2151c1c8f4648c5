/* `assay trust`: what a deployment consists of, drawn, and held against the files. */
#include "plugin/cli/graph.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/base/io.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "sandbox/elf.h"

#define PROGRAM_MAX ((size_t)64 << 20)

enum kind { STATIC, PROGRAM, MODULE };

/* Components and capabilities by their place in the list. */
enum component_id {
#define COMPONENT(name, file, kind, user, words) ID_##name,
#include "plugin/graph.def"
	COMPONENTS_N
};
enum capability_id {
#define CAPABILITY(name, words, calls) CAN_##name,
#include "plugin/graph.def"
	CAPABILITIES_N
};

static const struct component {
	const char *name, *file;
	enum kind kind;
	const char *user, *words;
} components[] = {
#define COMPONENT(name, file, kind, user, words) { #name, file, kind, user, words },
#include "plugin/graph.def"
};

static const struct {
	const char *words, *calls;
} capabilities[] = {
#define CAPABILITY(name, words, calls) { words, calls },
#include "plugin/graph.def"
};

static const struct {
	enum component_id who;
	const char *library;
} links[] = {
#define LINKS(component, library) { ID_##component, library },
#include "plugin/graph.def"
};

static const bool may[COMPONENTS_N][CAPABILITIES_N] = {
#define MAY(component, capability) [ID_##component][CAN_##capability] = true,
#include "plugin/graph.def"
};

static const struct {
	enum component_id who;
	const char *what, *how;
} opens[] = {
#define OPENS(component, what, how) { ID_##component, what, how },
#include "plugin/graph.def"
};

static const struct {
	enum component_id who, to;
	const char *over;
} talks[] = {
#define TALKS(component, to, over) { ID_##component, ID_##to, over },
#include "plugin/graph.def"
};

#define N(list) (sizeof(list) / sizeof *(list))

const char *graph_file(size_t index)
{
	return index < COMPONENTS_N ? components[index].file : NULL;
}

/* ---- held against the files ---- */

struct check {
	enum component_id who;
	struct elf elf;
	struct elf_dynamic dynamic;
	bool is_dynamic;
	graph_told *told;
	void *context;
	size_t faults;
};

static void fault(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct check *c, const char *format, ...)
{
	char words[512];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	c->told(c->context, false, components[c->who].file, words);
	c->faults++;
}

/* Every program stands on the C library and its loader. */
static bool is_declared(enum component_id who, struct slice library)
{
	static const char *const all[] = { "libc.so.", "ld-linux" };

	for (size_t i = 0; i < N(all); i++)
		if (slice_starts(library, all[i]))
			return true;
	for (size_t i = 0; i < N(links); i++)
		if (links[i].who == who && slice_starts(library, links[i].library))
			return true;
	return false;
}

static bool asks_for(const struct check *c, const char *library)
{
	struct elf_dynamic dynamic = c->dynamic;
	struct slice name;

	while (elf_dynamic_next(&dynamic, DT_NEEDED, &name))
		if (slice_starts(name, library))
			return true;
	return false;
}

static void check_libraries(struct check *c)
{
	struct elf_dynamic dynamic = c->dynamic;
	struct slice name;

	while (c->is_dynamic && elf_dynamic_next(&dynamic, DT_NEEDED, &name))
		if (!is_declared(c->who, name))
			fault(c, "links to %.*s, which is not declared", (int)name.left,
			      (const char *)name.p);
	for (size_t i = 0; i < N(links); i++)
		if (links[i].who == c->who && !(c->is_dynamic && asks_for(c, links[i].library)))
			fault(c, "does not link to %s, as declared", links[i].library);
}

/* Names of calls stand in the string table, each ended by 0; a longer name's end may be shared. */
static bool calls(struct slice strings, const char *call, size_t n)
{
	for (size_t at = 0; at + n < strings.left; at++)
		if (!strings.p[at + n] && !memcmp(strings.p + at, call, n) &&
		    (at == 0 || !strings.p[at - 1]))
			return true;
	return false;
}

static void check_capability(struct check *c, enum capability_id capability)
{
	const char *rest = capabilities[capability].calls;

	while (*rest) {
		size_t n = strcspn(rest, " ");

		if (calls(c->dynamic.strings, rest, n))
			fault(c, "calls %.*s, and is not declared to be one that %s", (int)n, rest,
			      capabilities[capability].words);
		rest += n + (rest[n] == ' ');
	}
}

static void check_component(struct check *c)
{
	const struct component *component = &components[c->who];

	if (component->kind == STATIC && (c->is_dynamic || elf_interpreter(&c->elf).left))
		fault(c, "is linked to libraries, and must stand alone");
	if (elf_executable_stack(&c->elf))
		fault(c, "asks for an executable stack");
	check_libraries(c);
	for (size_t i = 0; c->is_dynamic && i < CAPABILITIES_N; i++)
		if (!may[c->who][i])
			check_capability(c, i);
}

static enum err check_file(struct check *c, const char *directory)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	char path[PATH_MAX];
	enum err e;

	snprintf(path, sizeof path, "%s/%s", directory, components[c->who].file);
	if ((e = io_read_file(path, PROGRAM_MAX, &raw))) {
		fault(c, "%s", err_reason());
		return e == ERR_MEMORY ? e : OK;
	}
	if (!elf_open(buf_slice(&raw), &c->elf)) {
		fault(c, "is no program");
		return OK;
	}
	size_t before = c->faults;
	c->is_dynamic = elf_dynamic(&c->elf, &c->dynamic);
	check_component(c);
	if (c->faults == before)
		c->told(c->context, true, components[c->who].file,
			"links to what is declared, and calls nothing else");
	return OK;
}

enum err graph_check(const char *directory, graph_told *told, void *context)
{
	struct check c = { .told = told, .context = context };
	enum err e;

	for (size_t i = 0; i < COMPONENTS_N; i++) {
		c.who = i;
		if ((e = check_file(&c, directory)))
			return e;
	}
	return c.faults ? failed(ERR_MISMATCH, "%zu things are not as declared", c.faults) : OK;
}

/* ---- drawn ---- */

static void draw_plain(struct buf *out)
{
	for (size_t i = 0; i < COMPONENTS_N; i++) {
		buf_printf(out, "%s (user: %s)\n    %s\n", components[i].file, components[i].user,
			   components[i].words);
		if (components[i].kind == STATIC)
			buf_put_text(out, "    links to nothing\n");
		for (size_t k = 0; k < N(links); k++)
			if (links[k].who == i)
				buf_printf(out, "    links to %s\n", links[k].library);
		for (size_t k = 0; k < CAPABILITIES_N; k++)
			if (may[i][k])
				buf_printf(out, "    %s\n", capabilities[k].words);
		for (size_t k = 0; k < N(opens); k++)
			if (opens[k].who == i)
				buf_printf(out, "    %s %s\n", opens[k].how, opens[k].what);
		for (size_t k = 0; k < N(talks); k++)
			if (talks[k].who == i)
				buf_printf(out, "    asks %s: %s\n", components[talks[k].to].file,
					   talks[k].over);
	}
}

/* For Graphviz. */
static void draw_dot(struct buf *out)
{
	buf_put_text(out, "digraph assay {\n\tnode [shape=box];\n");
	for (size_t i = 0; i < COMPONENTS_N; i++)
		buf_printf(out, "\t%s [label=\"%s\\n%s\\n%s\"];\n", components[i].name,
			   components[i].file, components[i].user, components[i].words);
	for (size_t i = 0; i < N(talks); i++)
		buf_printf(out, "\t%s -> %s [label=\"%s\"];\n", components[talks[i].who].name,
			   components[talks[i].to].name, talks[i].over);
	for (size_t i = 0; i < N(opens); i++)
		buf_printf(
			out,
			"\topens%zu [shape=note, label=\"%s\"];\n\t%s -> opens%zu [style=dashed, "
			"label=\"%s\"];\n",
			i, opens[i].what, components[opens[i].who].name, i, opens[i].how);
	buf_put_text(out, "}\n");
}

int cmd_trust_show(struct cli *cli)
{
	bool dot = false;
	const struct cli_option options[] = {
		CLI_FLAG("dot", &dot, "as a graph, for Graphviz"),
	};
	enum cli_exit code = cli_options(cli, options, N(options));

	if (code)
		return code;
	(dot ? draw_dot : draw_plain)(&cli->out);
	return EXIT_HOLDS;
}

static void print(void *context, bool holds, const char *what, const char *words)
{
	buf_printf(context, "%-8s %s: ", holds ? "ok" : "NOT", what);
	plain_put_text(context, slice_text(words));
	buf_put_text(context, "\n");
}

int cmd_trust_check(struct cli *cli)
{
	enum cli_exit code = cli_options(cli, NULL, 0);
	char own[PATH_MAX];

	if (code)
		return code;
	snprintf(own, sizeof own, "%s", cli->self);
	*strrchr(own, '/') = 0;
	enum err e = graph_check(cli->args_n ? cli->args[0] : own, print, &cli->out);
	return !e ? EXIT_HOLDS : e == ERR_MISMATCH ? EXIT_REFUSED : cli_failed(cli, e);
}
