/* log.h - what a service tells its operator, on stderr, one line each; any thread.
 *
 * Programs only (daemon, launcher, command line): the module never writes into its host's stderr.
 * Control characters are replaced, so hostile input can't forge a line. Never a secret, never
 * payload.
 */
#ifndef CONFIG_BASE_LOG_H
#define CONFIG_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above @level are dropped; the default is LOG_LEVEL_INFO. @program starts each line. */
void log_start(const char *program, enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
