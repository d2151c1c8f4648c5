#include "plugin/daemon/auth.h"

#include <string.h>

void auth_init(struct auth *auth)
{
	memset(auth, 0, sizeof *auth);
	pthread_mutex_init(&auth->lock, NULL);
}

static bool same_role(const struct auth_role *a, const struct auth_role *b)
{
	return a->role == b->role && a->generation == b->generation &&
	       !strcmp(a->serial, b->serial);
}

static struct auth_place *find_locked(struct auth *auth, const struct auth_role *who)
{
	for (size_t i = 0; i < AUTH_PLACES; i++)
		if (auth->places[i].used && same_role(&auth->places[i].who, who))
			return &auth->places[i];
	return NULL;
}

/* When all places are taken the one that was not used for longest goes: a link that deals with
 * more partitions at a time proves its roles again. */
static struct auth_place *place_locked(struct auth *auth, const struct auth_role *who)
{
	struct auth_place *place = find_locked(auth, who), *oldest = &auth->places[0];

	if (place)
		return place;
	for (size_t i = 0; i < AUTH_PLACES; i++) {
		place = &auth->places[i];
		if (!place->used || (oldest->used && place->touched_ms < oldest->touched_ms))
			oldest = place;
	}
	*oldest = (struct auth_place){ .used = true, .who = *who };
	return oldest;
}

void auth_challenge(struct auth *auth, const struct auth_role *who, const uint8_t digest[32],
		    uint64_t now_ms)
{
	pthread_mutex_lock(&auth->lock);
	struct auth_place *place = place_locked(auth, who);
	memcpy(place->digest, digest, sizeof place->digest);
	place->challenged = true;
	place->challenged_ms = place->touched_ms = now_ms;
	pthread_mutex_unlock(&auth->lock);
}

enum err auth_spend(struct auth *auth, const struct auth_role *who, uint64_t now_ms,
		    uint8_t digest[32], uint64_t *ticket)
{
	enum err e = OK;

	pthread_mutex_lock(&auth->lock);
	struct auth_place *place = find_locked(auth, who);
	if (!place || !place->challenged) {
		e = failed(ERR_STATE, "no challenge is open for this role, or it was used");
	} else {
		place->challenged = false;
		if (now_ms - place->challenged_ms > AUTH_CHALLENGE_MS)
			e = failed(ERR_TIMEOUT, "the challenge is older than %d seconds",
				   AUTH_CHALLENGE_MS / 1000);
		memcpy(digest, place->digest, sizeof place->digest);
		*ticket = auth->revocations;
	}
	pthread_mutex_unlock(&auth->lock);
	return e;
}

enum err auth_grant(struct auth *auth, const struct auth_role *who, enum leaf_roleproof proof,
		    uint64_t ticket, uint64_t now_ms)
{
	enum err e = OK;

	pthread_mutex_lock(&auth->lock);
	if (ticket != auth->revocations) {
		e = failed(ERR_STATE, "a role was revoked while the proof was being checked");
	} else {
		struct auth_place *place = place_locked(auth, who);

		if (!place->granted)
			place->grant = ++auth->grants;
		place->granted = true;
		place->proof = proof;
		place->granted_ms = place->touched_ms = now_ms;
	}
	pthread_mutex_unlock(&auth->lock);
	return e;
}

static bool live(const struct auth_place *place, uint64_t now_ms)
{
	return place->used && place->granted && now_ms - place->granted_ms <= AUTH_GRANT_MS;
}

bool auth_allows(struct auth *auth, const struct auth_role *who, uint64_t now_ms,
		 enum leaf_roleproof *proof)
{
	pthread_mutex_lock(&auth->lock);
	struct auth_place *place = find_locked(auth, who);
	bool allowed = place && live(place, now_ms);
	if (allowed) {
		place->touched_ms = now_ms;
		if (proof)
			*proof = place->proof;
	}
	pthread_mutex_unlock(&auth->lock);
	return allowed;
}

uint64_t auth_grant_number(struct auth *auth, const struct auth_role *who, uint64_t now_ms)
{
	pthread_mutex_lock(&auth->lock);
	struct auth_place *place = find_locked(auth, who);
	uint64_t grant = place && live(place, now_ms) ? place->grant : 0;
	pthread_mutex_unlock(&auth->lock);
	return grant;
}

bool auth_stands(struct auth *auth, const struct auth_role *who, uint64_t grant, uint64_t now_ms)
{
	pthread_mutex_lock(&auth->lock);
	struct auth_place *place = find_locked(auth, who);
	bool stands = place && place->granted && place->grant == grant;
	if (stands)
		place->touched_ms = now_ms;
	pthread_mutex_unlock(&auth->lock);
	return stands;
}

void auth_revoke(struct auth *auth, const char *serial, unsigned role)
{
	pthread_mutex_lock(&auth->lock);
	auth->revocations++;
	for (size_t i = 0; i < AUTH_PLACES; i++) {
		struct auth_place *place = &auth->places[i];

		if (place->used && !strcmp(place->who.serial, serial) &&
		    (role == 0 || role == place->who.role))
			*place = (struct auth_place){ 0 };
	}
	pthread_mutex_unlock(&auth->lock);
}

bool auth_any(struct auth *auth, uint64_t now_ms, struct auth_role *out)
{
	bool found = false;

	pthread_mutex_lock(&auth->lock);
	for (size_t i = 0; i < AUTH_PLACES && !found; i++)
		if ((found = live(&auth->places[i], now_ms)))
			*out = auth->places[i].who;
	pthread_mutex_unlock(&auth->lock);
	return found;
}
