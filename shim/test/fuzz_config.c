/* fuzz_config.c: any bytes as a settings file */
#include "config.h"

#include <stdint.h>

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Config		cf;
	Buf			error;

	buf_init(&error);
	if (config_init(&cf))
	{
		/* the first half as a file, the whole as argv of one option */
		bool		ok = config_parse_file(&cf, (const char *) data, size, &error);

		(void) ok;
	}
	config_free(&cf);
	buf_free(&error);
	return 0;
}
