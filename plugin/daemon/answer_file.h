/* answer_file.h - the files and folders of answers.h, for its own parts. */
#ifndef PLUGIN_DAEMON_ANSWER_FILE_H
#define PLUGIN_DAEMON_ANSWER_FILE_H

#include "plugin/daemon/answers.h"

#define ANSWER_HEADER 80
#define ANSWER_FILE_MAX \
	(((size_t)512 << 20) + ((size_t)8 << 20)) /* output, messages, and the rest */
#define ANSWER_FOLDER_NAME (2 * WIRE_SERIAL_MAX + 24)
#define ANSWER_FILE_NAME (2 * ANSWER_NAME + 8) /* with ".proof" */

enum answer_kind { ANSWER_RUN = 1, ANSWER_PROOF = 2 };

void answer_folder_name(const struct partition *partition, char name[ANSWER_FOLDER_NAME]);
void answer_file_name(const struct answer_claim *claim, enum answer_kind kind,
		      char name[ANSWER_FILE_NAME]);
MUST enum err answer_open_top(const struct answers *answers, int *out);
/* ERR_NOT_FOUND, unless @make. */
MUST enum err answer_open_folder(const struct answers *answers, const struct partition *partition,
				 bool make, int *out);
/* What a file of so many bytes takes. */
uint64_t answer_on_disk(uint64_t bytes);

/* Writes a file durably: the text from ANSWER_HEADER on, which is encrypted where it lies. */
MUST enum err answer_put_file(struct answers *answers, const struct answer_claim *claim,
			      enum answer_kind kind, uint32_t days, struct buf *file);
/* Reads one; @text points into @file. ERR_NOT_FOUND says that there is none, and nothing else does. */
MUST enum err answer_get_file(struct answers *answers, const struct answer_claim *claim,
			      enum answer_kind kind, struct buf *file, struct slice *text);
/* Seconds since 1970 when a file that was read was made. */
uint64_t answer_made(const struct buf *file);

bool answer_claimed_locked(const struct answers *answers, const uint8_t name[ANSWER_NAME]);

#endif
