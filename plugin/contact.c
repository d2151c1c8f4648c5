/* contact.c - holds the link, shared by the threads that are in a call. */
#include "plugin/contact.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/base/sha256.h"
#include "plugin/module.h"

#define MODULE_FILE_MAX ((size_t)64 << 20)

struct contact {
	atomic_uint refs;
	struct link *link;
	uint64_t number;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows; held briefly */
static struct contact *current;
static uint64_t last_number;

struct link *contact_link(const struct contact *contact)
{
	return contact->link;
}

uint64_t contact_number(const struct contact *contact)
{
	return contact->number;
}

struct contact *contact_get(void)
{
	pthread_mutex_lock(&lock);
	struct contact *contact = current;
	if (contact)
		atomic_fetch_add(&contact->refs, 1);
	pthread_mutex_unlock(&lock);
	return contact;
}

void contact_put(struct contact *contact)
{
	if (contact && atomic_fetch_sub(&contact->refs, 1) == 1) {
		link_close(contact->link);
		free(contact);
	}
}

void contact_cleanup(struct contact **contact)
{
	contact_put(*contact);
}

static void let_go(const struct contact *which)
{
	pthread_mutex_lock(&lock);
	struct contact *contact = current;
	if (contact && (!which || contact == which))
		current = NULL;
	else
		contact = NULL;
	pthread_mutex_unlock(&lock);
	contact_put(contact);
}

/* The threads that are still in a call on it keep it from being closed, but not its grants alive. */
void contact_lost(struct contact *contact)
{
	link_end(contact->link);
	let_go(contact);
}

void contact_close(void)
{
	let_go(NULL);
}

/* The threads in a call are the parent's: nobody in the child holds the link. */
void contact_forked(void)
{
	pthread_mutex_init(&lock, NULL);
	if (current)
		link_abandon(current->link);
	current = NULL;
}

static bool may_start(void)
{
	char path[PATH_MAX];

	if (module.config->mode != MODE_DEVELOPMENT)
		return false;
	int n = snprintf(path, sizeof path, "%s/initialised", module.config->state);
	return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* What the module says of itself; a claim, so a file that can't be read is no obstacle. */
static struct slice hash_self(uint8_t digest[SHA256_SIZE])
{
	CLEANUP(buf) struct buf file = BUF_INIT;

	if (io_read_file(module.self, MODULE_FILE_MAX, &file))
		return slice_of(NULL, 0);
	sha256_once(buf_slice(&file), digest);
	return slice_of(digest, SHA256_SIZE);
}

enum err contact_open(void)
{
	uint8_t digest[SHA256_SIZE];
	struct contact *fresh = contact_get();

	if (fresh) {
		contact_put(fresh);
		return OK;
	}
	fresh = calloc(1, sizeof *fresh);
	if (!fresh)
		return failed(ERR_MEMORY, "out of memory");
	enum err e =
		link_open(module.config, module.self, may_start(), hash_self(digest), &fresh->link);
	if (e) {
		free(fresh);
		return e;
	}
	atomic_init(&fresh->refs, 1);
	pthread_mutex_lock(&lock);
	fresh->number = ++last_number;
	if (!current)
		current = STEAL(fresh);
	pthread_mutex_unlock(&lock);
	contact_put(fresh); /* another thread was faster */
	return OK;
}

/* An answer that came leaves @in somewhere; without one the connection broke, or makes no sense. */
enum err contact_call(struct wire_message *request, struct wire_message *answer, struct slice *in)
{
	CLEANUP(contact) struct contact *contact = contact_get();

	*in = (struct slice){ 0 };
	if (!contact)
		return failed(ERR_GONE, "no daemon");
	enum err e = link_call(contact->link, request, answer, in);
	if (e && !in->p && e != ERR_MEMORY && e != ERR_RANGE && e != ERR_LIMIT) {
		contact_lost(contact);
		return failed(ERR_GONE, "the daemon has ended");
	}
	return e;
}
