/* confined.h - for a program that confines itself, in its file with main(): what AddressSanitizer's
 * runtime must not try there, and the memory that it needs. Empty in any other build.
 */
#ifndef CONFIG_BASE_CONFINED_H
#define CONFIG_BASE_CONFINED_H

#ifdef __SANITIZE_ADDRESS__
/* A look for leaks at the end needs files and ptrace. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#define CONFINED_DATA_MAX RLIM_INFINITY /* its shadow is counted */
#else
#define CONFINED_DATA_MAX (256 << 20)
#endif

#endif
