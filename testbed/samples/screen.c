/* screen - screens an ISO 20022 credit transfer initiation (pain.001) before a bank releases it.
 *
 *   screen [DIRECTORY] < payment.xml > decision
 *
 * For each transfer: amount against the limit of its currency (limits, lines of "EUR 50000.00"),
 * names of creditor and ultimate creditor against a list (sanctions, one name a line), and the check
 * digits of the creditor's IBAN. The lists are in DIRECTORY, /etc/screen by default. Exit status
 * 0 when it was screened, whatever the decisions; 65 when the input is no pain.001 that could be
 * screened; 70 when its own lists can't be read. screen.awk is the same in awk.
 *
 * It takes the plain XML that payment systems write, and refuses all else: declarations, comments,
 * CDATA, character references and attributes where pain.001 has none.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)128 << 20)
#define PATH_MAX_BYTES 512
#define DEPTH_MAX 16
#define CURRENCIES_MAX 64
#define NAMES_MAX 100000
#define NAME_MAX_BYTES 140
#define SUM_MAX 9000000000000000ULL

#define ROOT "Document/CstmrCdtTrfInitn"
#define TRANSFER ROOT "/PmtInf/CdtTrfTxInf"
#define NAMESPACE "xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.001.001."

struct limit {
	char currency[4];
	uint64_t cents;
};

struct transfer {
	char id[36];
	char currency[4];
	uint64_t cents;
	char name[NAME_MAX_BYTES + 3];
	char ultimate[NAME_MAX_BYTES + 3];
	char iban[35];
};

static struct limit limits[CURRENCIES_MAX];
static size_t limits_n;
static char **sanctions;
static size_t sanctions_n;

static char message_id[36];
static uint64_t announced, control_sum, accepted, rejected, sum;
static bool has_control_sum;
static struct transfer now;
static FILE *decisions;

static _Noreturn void quit(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static _Noreturn void quit(int status, const char *format, ...)
{
	va_list args;

	fputs(status == 65 ? "screen: refused: " : "screen: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

#define refuse(...) quit(65, __VA_ARGS__)

/* " UPPER CASE WORDS ": single blanks, one in front and one behind, so that whole words match. */
static void normalise(const char *text, size_t n, char *out)
{
	size_t len = 0;

	out[len++] = ' ';
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (c == '\t' || c == '\n' || c == '\r')
			c = ' ';
		if (c != ' ' || out[len - 1] != ' ')
			out[len++] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
	}
	if (out[len - 1] != ' ')
		out[len++] = ' ';
	out[len] = 0;
}

/* "1250.5" is 125050; false unless it is digits with at most two decimals. */
static bool take_amount(const char *text, size_t n, uint64_t *cents)
{
	uint64_t value = 0;
	size_t whole = 0, decimals = 0, i = 0;

	for (; i < n && isdigit((unsigned char)text[i]); i++, whole++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	if (whole < 1 || whole > 11)
		return false;
	if (i < n && text[i] == '.') {
		for (i++; i < n && isdigit((unsigned char)text[i]) && decimals < 2; i++, decimals++)
			value = value * 10 + (uint64_t)(text[i] - '0');
		if (!decimals)
			return false;
	}
	for (; decimals < 2; decimals++)
		value *= 10;
	*cents = value;
	return i == n;
}

static FILE *open_list(const char *directory, const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *f = fopen(path, "re");
	if (!f)
		quit(70, "%s can't be read", path);
	return f;
}

static void read_limits(const char *directory)
{
	char line[64], amount[24];
	FILE *f = open_list(directory, "limits");

	while (fgets(line, sizeof line, f)) {
		struct limit *l = &limits[limits_n];
		if (limits_n == CURRENCIES_MAX ||
		    sscanf(line, "%3s %23s", l->currency, amount) != 2 ||
		    !take_amount(amount, strlen(amount), &l->cents))
			quit(70, "limits: bad line");
		limits_n++;
	}
	fclose(f);
}

static void read_sanctions(const char *directory)
{
	char line[NAME_MAX_BYTES + 2], name[NAME_MAX_BYTES + 5];
	FILE *f = open_list(directory, "sanctions");

	sanctions = calloc(NAMES_MAX, sizeof *sanctions);
	while (sanctions && fgets(line, sizeof line, f)) {
		normalise(line, strlen(line), name);
		if (!strcmp(name, " ") || line[0] == '#')
			continue;
		if (sanctions_n == NAMES_MAX || !(sanctions[sanctions_n++] = strdup(name)))
			quit(70, "sanctions: too long");
	}
	if (!sanctions)
		quit(70, "out of memory");
	fclose(f);
}

static char *grow(char *old, size_t room)
{
	char *all = realloc(old, room);

	if (!all)
		free(old);
	return all;
}

static char *read_input(size_t *n)
{
	size_t room = 1 << 16, got;
	char *all = malloc(room);

	*n = 0;
	while (all && (got = fread(all + *n, 1, room - *n, stdin)) > 0) {
		*n += got;
		if (*n > INPUT_MAX)
			refuse("over %zu bytes", INPUT_MAX);
		if (*n == room)
			all = grow(all, room *= 2);
	}
	if (!all)
		quit(70, "out of memory");
	if (ferror(stdin))
		quit(70, "the input can't be read");
	return all;
}

/* ISO 7064: the first four characters go to the end, letters count from A = 10, modulo 97 is 1. */
static bool iban_is_valid(const char *iban)
{
	size_t n = strlen(iban);
	unsigned rest = 0;

	if (n < 15 || n > 34 || !isupper((unsigned char)iban[0]) ||
	    !isupper((unsigned char)iban[1]) || !isdigit((unsigned char)iban[2]) ||
	    !isdigit((unsigned char)iban[3]))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)iban[(i + 4) % n];
		if (isdigit(c))
			rest = (rest * 10 + (c - '0')) % 97;
		else if (isupper(c))
			rest = (rest * 100 + (c - 'A' + 10u)) % 97;
		else
			return false;
	}
	return rest == 1;
}

static const char *on_the_list(const char *name)
{
	for (size_t i = 0; *name && i < sanctions_n; i++)
		if (strstr(name, sanctions[i]))
			return sanctions[i];
	return NULL;
}

static const struct limit *limit_of(const char *currency)
{
	for (size_t i = 0; i < limits_n; i++)
		if (!strcmp(limits[i].currency, currency))
			return &limits[i];
	return NULL;
}

/* Writes the reason against a transfer; an empty one lets it pass. */
static void judge(const struct transfer *t, char *reason, size_t n)
{
	const struct limit *limit = limit_of(t->currency);
	const char *listed = on_the_list(t->name);

	if (!listed)
		listed = on_the_list(t->ultimate);
	reason[0] = 0;
	if (!limit)
		snprintf(reason, n, "no limit is set for %s", t->currency);
	else if (t->cents > limit->cents)
		snprintf(reason, n, "over the limit of %llu.%02llu %s",
			 (unsigned long long)limit->cents / 100,
			 (unsigned long long)limit->cents % 100, t->currency);
	else if (listed)
		snprintf(reason, n, "name on the sanctions list:%.*s", (int)strlen(listed) - 1,
			 listed);
	else if (!iban_is_valid(t->iban))
		snprintf(reason, n, "creditor's IBAN is missing or its check digits are wrong");
}

static void decide(const struct transfer *t)
{
	char reason[256];

	if (!t->id[0])
		refuse("transfer %llu has no EndToEndId",
		       (unsigned long long)(accepted + rejected + 1));
	if (!t->cents)
		refuse("transfer %s has no amount", t->id);
	if (!t->name[0])
		refuse("transfer %s has no creditor name", t->id);
	sum += t->cents;
	if (sum > SUM_MAX)
		refuse("the sum is too large");
	judge(t, reason, sizeof reason);
	reason[0] ? rejected++ : accepted++;
	fprintf(decisions, "%s %s %llu.%02llu %s%s%s\n", reason[0] ? "REJECT" : "ACCEPT", t->id,
		(unsigned long long)t->cents / 100, (unsigned long long)t->cents % 100, t->currency,
		reason[0] ? " " : "", reason);
}

/* Up to 35 bytes; whatever could be mistaken for something else in the decision becomes "_". */
static void take_id(const char *text, size_t n, char *out)
{
	if (!n || n > 35)
		refuse("an identifier is empty or over 35 bytes");
	for (size_t i = 0; i < n; i++)
		out[i] = isalnum((unsigned char)text[i]) || strchr("/-?:().,'+", text[i]) ? text[i]
											  : '_';
	out[n] = 0;
}

static void take_name(const char *text, size_t n, char *out)
{
	static const struct {
		const char *entity;
		char c;
	} entities[] = { { "&amp;", '&' },
			 { "&lt;", '<' },
			 { "&gt;", '>' },
			 { "&quot;", '"' },
			 { "&apos;", '\'' } };
	char plain[NAME_MAX_BYTES];
	size_t len = 0;

	for (size_t i = 0; i < n; len++) {
		size_t e = 0, skip = 1;
		if (len == NAME_MAX_BYTES)
			refuse("a name is over %d bytes", NAME_MAX_BYTES);
		plain[len] = text[i];
		if (text[i] == '&') {
			while (e < 5 &&
			       (n - i < strlen(entities[e].entity) ||
				strncmp(text + i, entities[e].entity, strlen(entities[e].entity))))
				e++;
			if (e == 5)
				refuse("a name has a character reference");
			plain[len] = entities[e].c;
			skip = strlen(entities[e].entity);
		}
		i += skip;
	}
	normalise(plain, len, out);
}

static void take_count(const char *text, size_t n, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++)
		*out = isdigit((unsigned char)text[i]) ? *out * 10 + (uint64_t)(text[i] - '0') : 0;
	if (!*out || n > 15)
		refuse("NbOfTxs is no number of transfers");
}

/* One element's own text; children's don't count. */
static void on_leaf(const char *path, const char *text, size_t n)
{
	if (!strcmp(path, ROOT "/GrpHdr/MsgId"))
		take_id(text, n, message_id);
	else if (!strcmp(path, ROOT "/GrpHdr/NbOfTxs"))
		take_count(text, n, &announced);
	else if (!strcmp(path, ROOT "/GrpHdr/CtrlSum")) {
		if (!take_amount(text, n, &control_sum))
			refuse("CtrlSum is no amount");
		has_control_sum = true;
	} else if (!strcmp(path, TRANSFER "/PmtId/EndToEndId"))
		take_id(text, n, now.id);
	else if (!strcmp(path, TRANSFER "/Amt/InstdAmt")) {
		if (!take_amount(text, n, &now.cents))
			refuse("InstdAmt is no amount");
	} else if (!strcmp(path, TRANSFER "/Cdtr/Nm"))
		take_name(text, n, now.name);
	else if (!strcmp(path, TRANSFER "/UltmtCdtr/Nm"))
		take_name(text, n, now.ultimate);
	else if (!strcmp(path, TRANSFER "/CdtrAcct/Id/IBAN"))
		snprintf(now.iban, sizeof now.iban, "%.*s", n > 34 ? 0 : (int)n, text);
}

static void on_start(const char *path, const char *attributes, size_t n)
{
	if (!strcmp(path, TRANSFER))
		memset(&now, 0, sizeof now);
	if (!strcmp(path, TRANSFER "/Amt/InstdAmt")) {
		if (n != 9 || strncmp(attributes, "Ccy=\"", 5) || attributes[8] != '"' ||
		    !isupper((unsigned char)attributes[5]) ||
		    !isupper((unsigned char)attributes[6]) ||
		    !isupper((unsigned char)attributes[7]))
			refuse("InstdAmt has no currency");
		memcpy(now.currency, attributes + 5, 3);
	} else if (!strcmp(path, "Document")) {
		char *copy = strndup(attributes, n);
		if (!copy || !strstr(copy, NAMESPACE))
			refuse("Document is not of pain.001");
		free(copy);
	} else if (n)
		refuse("an element has attributes that pain.001 doesn't know");
}

static void on_end(const char *path)
{
	if (!strcmp(path, TRANSFER))
		decide(&now);
}

static bool is_blank(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr(" \t\r\n", text[i]) || !text[i])
			return false;
	return true;
}

static bool is_name(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]))
			return false;
	return n > 0 && n <= 35;
}

struct walk {
	char path[PATH_MAX_BYTES];
	size_t starts[DEPTH_MAX]; /* where each open element's name begins in path */
	size_t depth;
	bool leaf; /* the last tag opened an element: what follows is its text */
	bool done; /* Document is closed */
	const char *text;
	size_t text_n;
};

static void open_element(struct walk *w, const char *tag, size_t n)
{
	size_t name = 0, end = strlen(w->path);
	while (name < n && !strchr(" \t\r\n", tag[name]))
		name++;
	size_t attributes = name;
	while (attributes < n && strchr(" \t\r\n", tag[attributes]))
		attributes++;
	while (n > attributes && strchr(" \t\r\n", tag[n - 1]))
		n--;

	if (!is_name(tag, name))
		refuse("an element has a strange name");
	if (w->done || w->depth == DEPTH_MAX || end + name + 2 > PATH_MAX_BYTES)
		refuse("elements where pain.001 has none");
	if (w->depth)
		w->path[end++] = '/';
	w->starts[w->depth++] = end;
	memcpy(w->path + end, tag, name);
	w->path[end + name] = 0;
	on_start(w->path, tag + attributes, n - attributes);
	w->leaf = true;
}

static void close_element(struct walk *w, const char *tag, size_t n)
{
	while (n && strchr(" \t\r\n", tag[n - 1]))
		n--;
	if (!w->depth)
		refuse("an element ends that never began");
	size_t start = w->starts[w->depth - 1];
	if (strlen(w->path + start) != n || memcmp(w->path + start, tag, n))
		refuse("an element ends before its parts do");
	if (w->leaf)
		on_leaf(w->path, w->text, w->text_n);
	else if (!is_blank(w->text, w->text_n))
		refuse("text beside elements");
	on_end(w->path);
	w->path[start ? start - 1 : 0] = 0;
	w->leaf = false;
	w->done = --w->depth == 0;
}

/* One tag, without its brackets, and the text behind it. */
static void on_tag(struct walk *w, const char *tag, size_t n, const char *text, size_t text_n,
		   bool first)
{
	if (!n || tag[0] == '!' ||
	    (tag[0] == '?' && !(first && n > 5 && !strncmp(tag, "?xml ", 5) && tag[n - 1] == '?')))
		refuse("declarations, comments and CDATA are not taken");
	if (tag[0] == '/')
		close_element(w, tag + 1, n - 1);
	else if (tag[0] != '?') {
		if (!is_blank(w->text, w->text_n))
			refuse("text beside elements");
		bool empty = tag[n - 1] == '/';
		open_element(w, tag, empty ? n - 1 : n);
		if (empty) {
			w->text_n = 0;
			close_element(w, w->path + w->starts[w->depth - 1],
				      strlen(w->path + w->starts[w->depth - 1]));
		}
	}
	w->text = text;
	w->text_n = text_n;
}

static void walk(const char *p, size_t n)
{
	struct walk w = { .text = p };
	const char *end = p + n, *open = memchr(p, '<', n);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < ' ' && !strchr("\t\r\n", p[i] ? p[i] : ' '))
			refuse("control characters");
	if (!open)
		refuse("not XML");
	w.text_n = (size_t)(open - p);
	for (bool first = open == p; open; first = false) {
		const char *tag = open + 1, *next = memchr(tag, '<', (size_t)(end - tag));
		const char *stop = next ? next : end,
			   *close = memchr(tag, '>', (size_t)(stop - tag));
		if (!close)
			refuse("a tag doesn't end");
		on_tag(&w, tag, (size_t)(close - tag), close + 1, (size_t)(stop - close - 1),
		       first);
		open = next;
	}
	if (!w.done || !is_blank(w.text, w.text_n))
		refuse("Document doesn't end");
}

int main(int argc, char **argv)
{
	const char *directory = argc > 1 ? argv[1] : "/etc/screen";
	char *lines = NULL;
	size_t lines_n = 0, n;
	char *input = read_input(&n);

	read_limits(directory);
	read_sanctions(directory);
	decisions = open_memstream(&lines, &lines_n);
	if (!decisions)
		quit(70, "out of memory");
	walk(input, n);
	if (!message_id[0])
		refuse("no MsgId");
	if (announced != accepted + rejected)
		refuse("NbOfTxs says %llu, there are %llu", (unsigned long long)announced,
		       (unsigned long long)(accepted + rejected));
	if (has_control_sum && control_sum != sum)
		refuse("CtrlSum is not the sum of the transfers");
	if (fclose(decisions))
		quit(70, "out of memory");
	printf("SCREENED %s\n", message_id);
	fwrite(lines, 1, lines_n, stdout);
	printf("TOTAL %llu ACCEPT %llu REJECT %llu\n", (unsigned long long)announced,
	       (unsigned long long)accepted, (unsigned long long)rejected);
	fprintf(stderr, "screen: %llu transfers, %llu rejected\n", (unsigned long long)announced,
		(unsigned long long)rejected);
	return fclose(stdout) ? 70 : 0;
}
