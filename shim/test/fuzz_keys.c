/* fuzz_keys.c: any bytes as what an issuer publishes */
#include "keys.h"

#include <stdint.h>
#include <stdlib.h>

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *problem;
	bool		ok = keys_check((const char *) data, size, &problem);

	if (ok != (problem == NULL))
		abort();
	return 0;
}
