/* assay-feeder - one HTTP POST on behalf of the daemon.
 *
 *   assay-feeder URL TYPE MILLISECONDS [CA-FILE]
 *
 * Posts its standard input, as TYPE, and prints the answer: a line with the HTTP status, then the
 * body. A process of its own, because HTTP and TLS parse what strangers send, and the daemon holds
 * keys: this one may read certificates, and what names of hosts are looked up with, and nothing else
 * of the machine's files. http and https only, TLS is checked, nothing is followed, no proxy, no
 * cookie; bounded in time and size. Exit status: 0 when there was an answer, whatever it says.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config/base/confined.h"
#include "config/base/io.h"
#include "config/base/landlock.h"

enum { FAILED = 1, USAGE = 2 };

#define REQUEST_MAX ((size_t)1 << 20)
#define ANSWER_MAX ((size_t)64 << 10)
#define MS_MAX 600000
#define CONNECT_MS 5000

static int say(const char *words, const char *more)
{
	fprintf(stderr, "assay-feeder: %s%s%s\n", words, *more ? ": " : "", more);
	return FAILED;
}

/* ---- confinement ---- */

/* Resolving names loads libraries and reads these; so does TLS. */
static bool confine_files(const char *ca)
{
	const struct landlock_path paths[] = {
		{ "/etc/ssl", false },
		{ "/etc/hosts", false },
		{ "/etc/host.conf", false },
		{ "/etc/resolv.conf", false },
		{ "/etc/nsswitch.conf", false },
		{ "/etc/gai.conf", false },
		{ "/etc/services", false },
		{ "/etc/ld.so.cache", false },
		{ "/etc/localtime", false },
		{ "/run/systemd/resolve", false },
		{ "/usr/lib", false },
		{ "/usr/share/ca-certificates", false },
		{ "/usr/local/share/ca-certificates", false },
		{ "/lib", false },
		{ "/lib64", false },
		{ "/dev/urandom", false },
		{ ca, false },
	};

	return !landlock_files(paths, sizeof paths / sizeof *paths - !ca);
}

static bool confine(const char *ca)
{
	static const struct {
		int what;
		rlim_t most;
	} limits[] = { { RLIMIT_CORE, 0 },
		       { RLIMIT_NOFILE, 64 },
		       { RLIMIT_CPU, 30 },
		       { RLIMIT_DATA, CONFINED_DATA_MAX } };

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		const struct rlimit limit = { limits[i].most, limits[i].most };

		if (setrlimit(limits[i].what, &limit))
			return false;
	}
	return !prctl(PR_SET_DUMPABLE, 0) && confine_files(ca);
}

/* ---- the request ---- */

static size_t take(char *data, size_t size, size_t n, void *context)
{
	struct buf *answer = context;

	buf_put(answer, data, size * n);
	return answer->failed ? 0 : size * n;
}

/* Both are the answer's bounds: curl ends the transfer when a header or the body goes beyond. */
static bool set_up(CURL *curl, const char *url, const char *ca, long ms, struct curl_slist *headers,
		   const struct buf *request, struct buf *answer)
{
	return !curl_easy_setopt(curl, CURLOPT_URL, url) &&
	       !curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       !curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(curl, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
	       !curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) &&
	       !curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) &&
	       !curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       (!ca || (!curl_easy_setopt(curl, CURLOPT_CAINFO, ca) &&
			!curl_easy_setopt(curl, CURLOPT_CAPATH, NULL))) &&
	       !curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ms) &&
	       !curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
				 ms < CONNECT_MS ? ms : (long)CONNECT_MS) &&
	       !curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)ANSWER_MAX) &&
	       !curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       !curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) &&
	       !curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->len) &&
	       !curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
				 request->len ? (const char *)request->data : "") &&
	       !curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) &&
	       !curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
}

static int print(long status, const struct buf *answer)
{
	CLEANUP(buf) struct buf out = BUF_INIT;

	buf_printf(&out, "%ld\n", status);
	buf_put_slice(&out, buf_slice(answer));
	return buf_check(&out) || io_write_all(STDOUT_FILENO, buf_slice(&out)) ? FAILED : 0;
}

static int post(CURL *curl, const char *url, const char *ca, long ms, struct curl_slist *headers)
{
	CLEANUP(buf) struct buf request = BUF_INIT;
	CLEANUP(buf) struct buf answer = { .max = ANSWER_MAX };
	char reason[CURL_ERROR_SIZE] = "";
	long status = 0;

	if (io_read_all(STDIN_FILENO, REQUEST_MAX, &request))
		return say("standard input", err_reason());
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	if (!set_up(curl, url, ca, ms, headers, &request, &answer))
		return say("this libcurl lacks something", reason);
	CURLcode r = curl_easy_perform(curl);
	if (r != CURLE_OK)
		return say(url, *reason ? reason : curl_easy_strerror(r));
	if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status))
		return say(url, "no status");
	return print(status, &answer);
}

/* A header of one line, whatever is asked for; and no wait for "100 Continue". */
static int with_headers(CURL *curl, const char *url, const char *type, const char *ca, long ms)
{
	char line[128];

	if (strlen(type) > 100 || strpbrk(type, "\r\n"))
		return USAGE;
	snprintf(line, sizeof line, "Content-Type: %s", type);
	struct curl_slist *first = curl_slist_append(NULL, line);
	struct curl_slist *headers = first ? curl_slist_append(first, "Expect:") : NULL;
	int r = headers ? post(curl, url, ca, ms, headers) : say("no memory", "");
	curl_slist_free_all(first);
	return r;
}

int main(int argc, char **argv)
{
	char *end = NULL;
	long ms = argc > 3 ? strtol(argv[3], &end, 10) : 0;
	const char *ca = argc > 4 ? argv[4] : NULL;

	if (argc < 4 || argc > 5 || *end || ms < 1 || ms > MS_MAX) {
		fprintf(stderr, "usage: assay-feeder URL TYPE MILLISECONDS [CA-FILE]\n");
		return USAGE;
	}
	if (!confine(ca))
		return say("it can't be confined", strerror(errno));
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return say("no libcurl", "");
	CURL *curl = curl_easy_init();
	int r = curl ? with_headers(curl, argv[1], argv[2], ca, ms) : say("no memory", "");
	curl_easy_cleanup(curl);
	curl_global_cleanup();
	return r;
}
