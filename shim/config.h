/*
 * config.h
 *		Settings of the shim: one table, read from file, environment and argv.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ConfigList
{
	char	  **items;
	size_t		count;
} ConfigList;

/* Every field belongs to one line of the table in config.c. */
typedef struct Config
{
	ConfigList	allowed_hosts;
	ConfigList	allowed_origins;
	ConfigList	authorization_servers;
	ConfigList	databases;
	char	   *ca_file;
	char	   *config;
	char	   *default_token_file;
	char	   *dsn;
	char	   *http;
	char	   *log_format;
	char	   *log_level;
	char	   *notify_dsn;
	char	   *on_behalf_of;
	char	   *public_url;
	char	   *read_dsn;
	char	   *review_url;
	char	   *tls_cert;
	char	   *tls_key;
	char	   *token;
	char	   *token_file;
	long		auth_failures;
	long		call_timeout;
	long		calls_at_once;
	long		cancel_timeout;
	long		connect_timeout;
	long		drain_timeout;
	long		header_memory;
	long		idle_timeout;
	long		max_body;
	long		max_connections;
	long		max_queue;
	long		max_result;
	long		max_sessions;
	long		poll_interval;
	long		pool;
	long		session_idle;
	bool		help;
	bool		refresh_keys;
	bool		stdio;
	bool		version;
} Config;

/*
 * Defaults, then the file (--config), then WARDEN_* variables, then argv.
 * False with a sentence in *error when anything is wrong.
 */
extern bool config_load(Config *cf, char *const *argv, char *const *envp,
						Buf *error);
extern void config_free(Config *cf);

/* One settings file, for a reload and for the fuzzer. */
extern bool config_parse_file(Config *cf, const char *text, size_t len,
							  Buf *error);

/* Puts the defaults in place; config_free afterwards in any case. */
extern bool config_init(Config *cf);

extern void config_help(Buf *out);

/* Reads a one-line secret; the caller wipes and frees it.  NULL on error. */
extern char *config_read_secret(const char *path, Buf *error);

#endif							/* CONFIG_H */
