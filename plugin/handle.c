/* handle.c - the table of aliases. */
#include "plugin/handle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Far more than an HSM that numbers at random would ever need. */
#define ALIASES_MAX 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards aliases */
static CK_OBJECT_HANDLE *aliases; /* alias HANDLE_ALIAS + i stands for aliases[i] */
static size_t aliases_n, aliases_room;
static _Atomic CK_ULONG last_ours;

CK_OBJECT_HANDLE handle_new(void)
{
	return HANDLE_OURS + atomic_fetch_add(&last_ours, 1) + 1;
}

static bool make_room_locked(void)
{
	if (aliases_n < aliases_room)
		return true;
	size_t room = aliases_room ? aliases_room * 2 : 64;
	CK_OBJECT_HANDLE *more =
		room > ALIASES_MAX ? NULL : realloc(aliases, room * sizeof *aliases);
	if (!more)
		return false;
	aliases = more;
	aliases_room = room;
	return true;
}

static bool alias_locked(CK_OBJECT_HANDLE *h)
{
	size_t i = 0;

	while (i < aliases_n && aliases[i] != *h)
		i++;
	if (i == aliases_n) {
		if (!make_room_locked())
			return false;
		aliases[aliases_n++] = *h;
	}
	*h = HANDLE_ALIAS + i;
	return true;
}

bool handle_to_client(CK_OBJECT_HANDLE *h)
{
	if (!handle_is_reserved(*h))
		return true;
	pthread_mutex_lock(&lock);
	bool ok = alias_locked(h);
	pthread_mutex_unlock(&lock);
	return ok;
}

bool handle_to_hsm(CK_OBJECT_HANDLE *h)
{
	if (!handle_is_reserved(*h))
		return true;
	if (handle_is_ours(*h))
		return false;
	pthread_mutex_lock(&lock);
	size_t i = *h - HANDLE_ALIAS;
	bool known = i < aliases_n;
	if (known)
		*h = aliases[i];
	pthread_mutex_unlock(&lock);
	return known;
}

/* Aliases stay good in a child that goes on with what it inherited, unless they were being changed
 * just then, and that can't be told. */
void handle_forked(void)
{
	pthread_mutex_init(&lock, NULL);
	aliases = NULL;
	aliases_n = aliases_room = 0;
}
