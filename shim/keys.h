/*
 * keys.h
 *		--refresh-keys: the public keys of OAuth issuers, renewed by a timer.
 */
#ifndef KEYS_H
#define KEYS_H

#include "config.h"

/* Exit code: 0 when every issuer's keys were renewed. */
extern int	keys_refresh(const Config *cf);

/*
 * A key set as an issuer publishes it: an object whose "keys" is a list of
 * objects, and nothing private in it.  For the fuzzer too.
 */
extern bool keys_check(const char *text, size_t len, const char **problem);

#endif							/* KEYS_H */
