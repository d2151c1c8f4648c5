/* dir.h - the names in a directory, in no order. One thread for each list. */
#ifndef CONFIG_BASE_DIR_H
#define CONFIG_BASE_DIR_H

#include <dirent.h>

/* Lists an open directory, through a descriptor of the list's own: that of the caller keeps its place.
 * NULL with errno. */
DIR *dir_list(int fd);
/* The next name, which stays until the one after it, but never "." or ".."; NULL: no more. */
const char *dir_next(DIR *list);
void dir_cleanup(DIR **list);

#endif
