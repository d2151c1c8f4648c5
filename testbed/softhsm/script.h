/* script.h - a long script of PKCS#11 calls that writes down everything a client can see of them.
 *
 * Run over an HSM's module and over Assay in front of it, on copies of one store, the two records
 * must be equal. What is random by nature is written down as a length.
 */
#ifndef TESTBED_SOFTHSM_SCRIPT_H
#define TESTBED_SOFTHSM_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkcs11/cryptoki.h"

/* What the store holds beforehand: two tokens with the harness's PINs, and on the first these. */
#define SCRIPT_TOKEN "script"
#define SCRIPT_SPARE "spare"
#define SCRIPT_RSA "rsa"
#define SCRIPT_EC "ec"

struct chapter {
	const char *name;
	void (*run)(void);
};
extern const struct chapter script_chapters[];
extern const size_t script_chapters_n;

/* Puts the keys on the token, once, in the golden store; @serial: the spare token's. */
void script_prepare(const char *module, char serial[17]);
/* Runs one chapter over a module and writes the record to stdout; 0, or 2 for an unknown one. */
int script_run(const char *module, const char *chapter);

/* For the chapters. */
extern CK_FUNCTION_LIST *p11;

/* Calls, and writes down the call with its arguments as written, and the result. */
#define CALL(name, ...) script_said("C_" #name "(" #__VA_ARGS__ ")", p11->C_##name(__VA_ARGS__))
CK_RV script_said(const char *call, CK_RV rv);
void script_number(const char *what, unsigned long value);
void script_bytes(const char *what, const void *p, size_t n);
#define SHOW(variable) script_bytes(#variable, &(variable), sizeof(variable))

/* An output with its room, filled with a pattern before: what a call did not write stays as it was.
 * The record has all of the room, or, when the output is random, what lies behind it. */
#define OUT_ROOM 600
#define OUT_PATTERN 0xee
struct out {
	CK_ULONG n;
	uint8_t bytes[OUT_ROOM];
};
void out_reset(struct out *out, size_t room);
void out_show(const struct out *out);
void out_show_random(const struct out *out);
/* The four ways to ask for an output: no length, no buffer, too small a buffer, room enough. */
#define OUTPUT(name, show, small, ...)                                \
	do {                                                          \
		struct out got_;                                      \
		out_reset(&got_, OUT_ROOM);                           \
		CALL(name, __VA_ARGS__, NULL, &got_.n);               \
		script_number("n", got_.n);                           \
		if ((small) > 0) {                                    \
			out_reset(&got_, (small));                    \
			CALL(name, __VA_ARGS__, got_.bytes, &got_.n); \
			out_show(&got_);                              \
		}                                                     \
		out_reset(&got_, OUT_ROOM);                           \
		CALL(name, __VA_ARGS__, got_.bytes, &got_.n);         \
		show(&got_);                                          \
	} while (0)

void script_initialise(void);
CK_RV script_login(CK_SESSION_HANDLE s, CK_USER_TYPE user, const char *pin);
CK_SLOT_ID script_slot(const char *label);
/* Initialises, opens a read-write session on the first token and logs the user in. */
CK_SESSION_HANDLE script_user(void);
CK_SESSION_HANDLE script_session(CK_SLOT_ID slot, CK_FLAGS flags);
CK_OBJECT_HANDLE script_find(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, const char *label);
CK_OBJECT_HANDLE script_secret(CK_SESSION_HANDLE s, CK_KEY_TYPE type, const char *value, size_t n);

#define ATTRIBUTE(type, value)                  \
	{                                       \
		(type), &(value), sizeof(value) \
	}
#define ATTRIBUTE_TEXT(type, text)                       \
	{                                                \
		(type), (void *)(text), sizeof(text) - 1 \
	}
#define COUNT(array) (sizeof(array) / sizeof *(array))

void chapter_slots(void);
void chapter_mechanisms(void);
void chapter_sessions(void);
void chapter_pins(void);
void chapter_init_token(void);
void chapter_objects(void);
void chapter_bad_templates(void);
void chapter_search(void);
void chapter_digest(void);
void chapter_sign(void);
void chapter_sign_errors(void);
void chapter_verify(void);
void chapter_encrypt(void);
void chapter_decrypt(void);
void chapter_keys(void);
void chapter_wrap(void);
void chapter_random(void);
void chapter_states(void);
void chapter_vendor(void);

#endif
