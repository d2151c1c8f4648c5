#include "plugin/daemon/ring_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base/cbor.h"
#include "config/base/io.h"
#include "plugin/daemon/aead.h"

#define KEY_NAME 64
#define SEALED_MAX 256

void ring_keys_cleanup(struct ring_keys *keys)
{
	if (keys->p)
		secret_wipe(keys->p, keys->n * RING_ENTRY);
	free(keys->p);
	*keys = (struct ring_keys){ 0 };
}

enum err ring_keys_new(struct ring_keys *keys, size_t n)
{
	keys->n = n;
	keys->p = calloc(n + 1, RING_ENTRY);
	return keys->p ? OK : failed(ERR_MEMORY, "keys of sealed payloads");
}

void ring_entry_period(const uint8_t *entry, struct ring_period *period)
{
	period->day = get_u32(entry);
	period->days = get_u32(entry + 4);
	memcpy(period->id, entry + 8, RING_ID);
}

void ring_entry_set(uint8_t *entry, const struct ring_period *period, const uint8_t *key)
{
	set_u32(entry, period->day);
	set_u32(entry + 4, period->days);
	memcpy(entry + 8, period->id, RING_ID);
	memcpy(entry + 8 + RING_ID, key, RING_KEY);
}

/* ---- the token's key: two names, which take turns ---- */

static void key_name(const struct ring *ring, uint64_t number, char name[KEY_NAME])
{
	snprintf(name, KEY_NAME, "assay-seal %s %u", ring->name, (unsigned)(number & 1));
}

enum err ring_token_find(const struct ring *ring, uint64_t number, CK_OBJECT_HANDLE *key)
{
	char name[KEY_NAME];

	key_name(ring, number, name);
	return token_find(attest_device(ring->attest), CKO_SECRET_KEY, slice_text(name), key);
}

enum err ring_token_destroy(const struct ring *ring, uint64_t number)
{
	CK_OBJECT_HANDLE key;
	enum err e = ring_token_find(ring, number, &key);

	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	return token_destroy(attest_device(ring->attest), key);
}

enum err ring_token_make(const struct ring *ring, uint64_t number, CK_OBJECT_HANDLE *key)
{
	char name[KEY_NAME];
	enum err e = ring_token_destroy(ring, number);

	key_name(ring, number, name);
	return e ? e : token_make_aes(attest_device(ring->attest), name, slice_text(name), key);
}

/* ---- the record: [1, number, key sealed by the token, iv || entries || tag, [note...]] ---- */

static enum err put_entries(const struct ring_keys *keys, const uint8_t *key, struct buf *out)
{
	CLEANUP(aead) struct aead *aead = NULL;
	size_t n = keys->n * RING_ENTRY;
	uint8_t *to = buf_add(out, AEAD_IV + n + AEAD_TAG);
	enum err e;

	if (!to)
		return buf_check(out);
	if ((e = io_random(to, AEAD_IV)) ||
	    (e = aead_begin(true, key, to, slice_text("assay-ring-1"), &aead)) ||
	    (e = aead_put(aead, slice_of(keys->p, n), to + AEAD_IV)))
		return e;
	return aead_tag(aead, to + AEAD_IV + n);
}

enum err ring_record_write(const struct ring *ring, uint64_t number, CK_OBJECT_HANDLE handle,
			   const struct ring_keys *keys, const struct buf *notes, size_t notes_n)
{
	CLEANUP(buf) struct buf sealed = BUF_INIT, entries = BUF_INIT, record = BUF_INIT;
	CLEANUP(secret) struct secret key = { 0 };
	enum err e;

	if ((e = secret_new(&key, RING_KEY)) || (e = io_random(key.p, key.len)) ||
	    (e = token_seal(attest_device(ring->attest), handle, slice_of(key.p, key.len),
			    &sealed)) ||
	    (e = put_entries(keys, key.p, &entries)))
		return e;
	cbor_put_array(&record, 5);
	cbor_put_uint(&record, 1);
	cbor_put_uint(&record, number);
	cbor_put_bytes(&record, buf_slice(&sealed));
	cbor_put_bytes(&record, buf_slice(&entries));
	cbor_put_array(&record, notes_n);
	buf_put_slice(&record, buf_slice(notes));
	if ((e = buf_check(&record)))
		return e;
	return state_put(ring->state, STATE_SEALING, ring->name, buf_slice(&record));
}

static enum err take_record(struct slice in, struct ring_record *record)
{
	uint64_t version;
	size_t n;
	enum err e;

	if ((e = cbor_take_array(&in, 5, &n)) || (e = cbor_take_uint(&in, &version)) ||
	    (e = cbor_take_uint(&in, &record->number)) ||
	    (e = cbor_take_bytes(&in, SEALED_MAX, &record->sealed)) ||
	    (e = cbor_take_bytes(&in, STATE_RECORD_MAX, &record->entries)) ||
	    (e = cbor_take_array(&in, RING_NOTES_MAX, &record->notes_n)))
		return e;
	record->notes = in;
	n = record->entries.left;
	if (version != 1 || n < AEAD_IV + AEAD_TAG || (n - AEAD_IV - AEAD_TAG) % RING_ENTRY)
		return failed(ERR_FORMAT, "keys of sealed payloads of version %llu",
			      (unsigned long long)version);
	return OK;
}

static enum err open_entries(const struct ring *ring, const struct ring_record *record,
			     struct ring_keys *keys)
{
	CLEANUP(secret) struct secret key = { 0 };
	CLEANUP(aead) struct aead *aead = NULL;
	const uint8_t *p = record->entries.p;
	size_t n = record->entries.left - AEAD_IV - AEAD_TAG;
	CK_OBJECT_HANDLE handle;
	enum err e;

	if ((e = secret_new(&key, RING_KEY)) || (e = ring_keys_new(keys, n / RING_ENTRY)) ||
	    (e = ring_token_find(ring, record->number, &handle)) ||
	    (e = token_unseal(attest_device(ring->attest), handle, record->sealed, key.p,
			      key.len)) ||
	    (e = aead_begin(false, key.p, p, slice_text("assay-ring-1"), &aead)) ||
	    (e = aead_put(aead, slice_of(p + AEAD_IV, n), keys->p)))
		return e;
	return aead_check(aead, p + AEAD_IV + n);
}

enum err ring_record_read(const struct ring *ring, struct buf *raw, struct ring_record *record,
			  struct ring_keys *keys)
{
	enum err e = state_get(ring->state, STATE_SEALING, ring->name, raw);
	CK_OBJECT_HANDLE key;

	if (e == ERR_NOT_FOUND) {
		if (ring_token_find(ring, 0, &key) == ERR_NOT_FOUND &&
		    ring_token_find(ring, 1, &key) == ERR_NOT_FOUND)
			return e;
		return failed(ERR_STATE,
			      "the keys of this partition's sealed payloads were removed; "
			      "shred all of them to begin anew");
	}
	if (e || (e = take_record(buf_slice(raw), record)))
		return e;
	e = open_entries(ring, record, keys);
	if (e == ERR_NOT_FOUND || e == ERR_CRYPTO)
		return failed(ERR_STATE,
			      "the keys of this partition's sealed payloads are not those "
			      "that the token knows: they were put back to an earlier "
			      "state; shred all of them to begin anew");
	return e;
}
