/* moments.h - where an assayd for tests ends, as by kill -9, while it deals with a request.
 *
 * That assayd (crash.mk) is the product's, linked with the linker option --wrap for the few calls
 * that moments.c names. It ends at the moment whose number is in the file MOMENT_FILE beside its
 * configuration, once: the file is removed first.
 */
#ifndef TESTBED_CRASH_MOMENTS_H
#define TESTBED_CRASH_MOMENTS_H

#define MOMENT_FILE "moment"

enum moment {
	MOMENT_BEFORE_THE_RUN,
	MOMENT_AFTER_THE_RUN,
	MOMENT_BEFORE_THE_RECORD, /* what the run gave is on disk */
	MOMENT_AFTER_THE_RECORD,
	MOMENT_BEFORE_THE_ANSWER, /* and so is the proof */
	MOMENT_AFTER_THE_ANSWER,
	MOMENTS, /* so many of a request */
	MOMENT_BEFORE_THE_LIST =
		MOMENTS,             /* the record of an acceptance is there, its list is not */
	MOMENT_AFTER_THE_LIST,       /* and the token doesn't know it yet */
	MOMENT_AFTER_THE_ACCEPTANCE, /* it does, and nobody was answered */
};

#endif
