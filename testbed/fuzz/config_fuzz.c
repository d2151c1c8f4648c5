/* The YAML reader: what it accepts, it can show, and reads again to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(config) struct config *config = NULL, *again = NULL;
	CLEANUP(buf) struct buf shown = BUF_INIT, second = BUF_INIT;

	if (config_parse(slice_of(data, n), "fuzz", &config))
		return 0;
	config_show(config, false, &shown);
	if (config_parse(buf_slice(&shown), "shown", &again))
		abort();
	config_show(again, false, &second);
	if (!slice_equal(buf_slice(&shown), buf_slice(&second)))
		abort();
	return 0;
}
