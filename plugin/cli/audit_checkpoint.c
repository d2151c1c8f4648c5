#include <string.h>

#include "plugin/cli/audit.h"

/* All of them, or those in whose origin @tree occurs, with empty lines between them. */
static size_t print(const struct published *list, const char *tree, struct buf *out)
{
	size_t printed = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct published_checkpoint *found = &list->items[i];

		if (!found->note.len || (tree && !strstr(found->origin, tree)))
			continue;
		buf_put_text(out, printed++ ? "\n" : "");
		buf_put_slice(out, buf_slice(&found->note));
	}
	return printed;
}

int cmd_audit_checkpoint(struct cli *cli)
{
	CLEANUP(trail) struct trail trail = { 0 };
	CLEANUP(published) struct published list = { 0 };
	const char *directory = NULL;
	const struct cli_option options[] = {
		TRAIL_LOG(&directory),
		TRAIL_OPTIONS(&trail),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if ((e = trail_find(cli, directory, &trail)) || (e = trail_published(&trail, &list)))
		return cli_failed(cli, e);
	if ((e = trail_signed(&trail, &list)))
		return trail_refuse(cli, &trail, e);
	if (!print(&list, cli->args_n ? cli->args[0] : NULL, &cli->out))
		return cli_failed(cli, failed(ERR_NOT_FOUND, "no checkpoint is published yet%s%s",
					      cli->args_n ? " of a tree like " : "",
					      cli->args_n ? cli->args[0] : ""));
	return EXIT_HOLDS;
}
