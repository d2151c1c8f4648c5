#include "config/base/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

DIR *dir_list(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = own < 0 ? NULL : fdopendir(own);
	int why = errno;

	if (!list && own >= 0)
		close(own);
	errno = why;
	return list;
}

const char *dir_next(DIR *list)
{
	for (struct dirent *d; (d = readdir(list));)
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			return d->d_name;
	return NULL;
}

void dir_cleanup(DIR **list)
{
	if (*list)
		closedir(*list);
	*list = NULL;
}
