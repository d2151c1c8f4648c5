/* error.h - results of calls, and the reason in words.
 *
 * A call returns OK or one of errors.def. Whoever knows the reason says it once, with failed();
 * callers hand the result up, and the outermost one prints err_reason(). Reasons are kept per
 * thread, are at most ERR_REASON_MAX bytes and never hold a secret.
 */
#ifndef CONFIG_BASE_ERROR_H
#define CONFIG_BASE_ERROR_H

/* A result that must be looked at: prototypes of functions start with it. */
#define MUST __attribute__((warn_unused_result))

/* Runs name_cleanup(&variable) when the variable leaves its scope. */
#define CLEANUP(name) __attribute__((cleanup(name##_cleanup)))

/* Takes a pointer out of a variable that is cleaned up, and leaves NULL there. */
#define STEAL(pointer)                                  \
	({                                              \
		__typeof__(pointer) steal_ = (pointer); \
		(pointer) = NULL;                       \
		steal_;                                 \
	})

#define ERR_REASON_MAX 512

enum err {
	OK = 0,
#define ERROR(name, words) name,
#include "config/base/errors.def"
#undef ERROR
	ERR_COUNT
};

/* Notes the reason (printf form; %m is errno) for this thread; its value is @e, which a macro lets
 * the compiler see. errno is left as it was. */
#define failed(e, ...) (err_note(__VA_ARGS__), (e))
void err_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The reason noted last in this thread, or "" - valid until the next failed() in it. */
const char *err_reason(void);

/* The name ("ERR_IO") and the words ("input/output error") of a result; "OK" for OK. */
const char *err_name(enum err e);
const char *err_words(enum err e);

#endif
