/*
 * config.c
 *		The settings table and its three readers.
 *
 * A line of the table gives a setting its option (--max-body), its key in the
 * file (max_body), its variable (WARDEN_MAX_BODY), type, default and help.
 * Nothing else in the shim reads argv, the environment or the file.
 */
#include "config.h"

#include "json_util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* of variables */
#define PREFIX "WARDEN_"

/* Largest settings or secret file that is read. */
#define CONFIG_MAX_FILE 65536

typedef enum SettingType
{
	SETTING_STRING,
	SETTING_LIST,
	SETTING_INT,
	SETTING_FLAG
} SettingType;

/* where a setting may come from */
#define FROM_ARGV 1
#define FROM_ENV 2
#define FROM_FILE 4
#define ANYWHERE (FROM_ARGV | FROM_ENV | FROM_FILE)

typedef struct Setting
{
	const char *name;			/* with underscores */
	SettingType type;
	int			sources;
	size_t		offset;
	const char *fallback;		/* default as text, NULL: unset */
	long		min;
	long		max;
	const char *help;
} Setting;

#define AT(field) offsetof(Config, field)
#define KIB 1024L
#define MIB (1024L * 1024)

/* alphabetical */
static const Setting settings[] = {
	{"allowed_host", SETTING_LIST, ANYWHERE, AT(allowed_hosts), NULL, 0, 0,
	"Host header to accept besides loopback names (repeatable)"},
	{"allowed_origin", SETTING_LIST, ANYWHERE, AT(allowed_origins), NULL, 0, 0,
	"Origin to accept besides loopback ones (repeatable)"},
	{"auth_failures", SETTING_INT, ANYWHERE, AT(auth_failures), "10", 0, 1000000,
	"refused credentials of one address per minute until it has to wait; 0: any"},
	{"authorization_server", SETTING_LIST, ANYWHERE, AT(authorization_servers),
	NULL, 0, 0, "issuer named in the protected-resource metadata (repeatable)"},
	{"ca_file", SETTING_STRING, ANYWHERE, AT(ca_file), NULL, 0, 0,
	"certificate authorities (PEM) for --refresh-keys instead of the system's"},
	{"call_timeout", SETTING_INT, ANYWHERE, AT(call_timeout), "300", 1, 86400,
	"seconds after which a call is cancelled"},
	{"calls_at_once", SETTING_INT, ANYWHERE, AT(calls_at_once), "64", 0, 1000000,
	"calls and streams of one credential at once, further ones have to wait; 0: any"},
	{"cancel_timeout", SETTING_INT, ANYWHERE, AT(cancel_timeout), "5", 1, 600,
	"seconds that a cancelled statement gets before its connection is closed"},
	{"config", SETTING_STRING, FROM_ARGV | FROM_ENV, AT(config), NULL, 0, 0,
	"settings file (JSON)"},
	{"connect_timeout", SETTING_INT, ANYWHERE, AT(connect_timeout), "10", 2, 600,
	"seconds to wait for a connection to PostgreSQL"},
	{"database", SETTING_LIST, ANYWHERE, AT(databases), NULL, 0, 0,
	"further database as name=conninfo, chosen by the argument \"database\" (repeatable)"},
	{"default_token_file", SETTING_STRING, ANYWHERE, AT(default_token_file),
		NULL, 0, 0,
	"token of requests without an Authorization header (loopback only)"},
	{"drain_timeout", SETTING_INT, ANYWHERE, AT(drain_timeout), "10", 0, 3600,
	"seconds that running calls get at shutdown"},
	{"dsn", SETTING_STRING, ANYWHERE, AT(dsn), "", 0, 0,
	"libpq conninfo or URI; a service or password file keeps secrets out of it"},
	{"header_memory", SETTING_INT, ANYWHERE, AT(header_memory), "16384", 4096,
	1048576, "bytes for the headers of one HTTP connection"},
	{"help", SETTING_FLAG, FROM_ARGV, AT(help), NULL, 0, 0, "print this help"},
	{"http", SETTING_STRING, ANYWHERE, AT(http), NULL, 0, 0,
	"serve Streamable HTTP on ADDRESS:PORT"},
	{"idle_timeout", SETTING_INT, ANYWHERE, AT(idle_timeout), "120", 1, 86400,
	"seconds after which an idle HTTP connection is closed"},
	{"log_format", SETTING_STRING, ANYWHERE, AT(log_format), "logfmt", 0, 0,
	"logfmt or json"},
	{"log_level", SETTING_STRING, ANYWHERE, AT(log_level), "info", 0, 0,
	"debug, info, warn or error"},
	{"max_body", SETTING_INT, ANYWHERE, AT(max_body), "1048576", 1024,
	256 * MIB, "largest message in bytes"},
	{"max_connections", SETTING_INT, ANYWHERE, AT(max_connections), "2048", 1,
	1000000, "HTTP connections at once"},
	{"max_queue", SETTING_INT, ANYWHERE, AT(max_queue), "1024", 1, 1000000,
	"calls that may wait for a connection to PostgreSQL"},
	{"max_result", SETTING_INT, ANYWHERE, AT(max_result), "16777216", 64 * KIB,
	256 * MIB, "bytes of one result; larger ones are cut or refused"},
	{"max_sessions", SETTING_INT, ANYWHERE, AT(max_sessions), "10000", 1,
	1000000, "sessions of initialize-based clients that are remembered"},
	{"notify_dsn", SETTING_STRING, ANYWHERE, AT(notify_dsn), NULL, 0, 0,
	"direct connection to learn of changes by LISTEN, where dsn leads to a pooler"},
	{"on_behalf_of", SETTING_STRING, ANYWHERE, AT(on_behalf_of), NULL, 0, 0,
	"person that calls act for where neither token nor request names one"},
	{"poll_interval", SETTING_INT, ANYWHERE, AT(poll_interval), "5", 0, 86400,
	"seconds between looks at watched changes, with notify_dsn at those of further databases; 0: never"},
	{"pool", SETTING_INT, ANYWHERE, AT(pool), "8", 1, 1000,
	"connections to PostgreSQL, one call at a time on each"},
	{"public_url", SETTING_STRING, ANYWHERE, AT(public_url), NULL, 0, 0,
	"URL of this server as its clients see it, without /mcp"},
	{"read_dsn", SETTING_STRING, ANYWHERE, AT(read_dsn), NULL, 0, 0,
	"replica that query tries first; writes go on to dsn"},
	{"refresh_keys", SETTING_FLAG, FROM_ARGV, AT(refresh_keys), NULL, 0, 0,
	"renew the public keys of OAuth issuers over https, then end"},
	{"review_url", SETTING_STRING, ANYWHERE, AT(review_url), NULL, 0, 0,
	"link to a change's review page, with {change_id} in it"},
	{"session_idle", SETTING_INT, ANYWHERE, AT(session_idle), "86400", 10,
	10000000, "seconds after which an unused session is forgotten"},
	{"stdio", SETTING_FLAG, FROM_ARGV, AT(stdio), NULL, 0, 0,
	"serve one client on stdin and stdout"},
	{"tls_cert", SETTING_STRING, ANYWHERE, AT(tls_cert), NULL, 0, 0,
	"certificate chain (PEM) to serve https"},
	{"tls_key", SETTING_STRING, ANYWHERE, AT(tls_key), NULL, 0, 0,
	"private key (PEM) of the certificate"},
	{"token", SETTING_STRING, FROM_ENV, AT(token), NULL, 0, 0,
	"credential of a stdio client"},
	{"token_file", SETTING_STRING, ANYWHERE, AT(token_file), NULL, 0, 0,
	"file that holds the credential of a stdio client"},
	{"version", SETTING_FLAG, FROM_ARGV, AT(version), NULL, 0, 0,
	"print the version"},
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

#define FIELD(cf, setting, type) ((type *) ((char *) (cf) + (setting)->offset))

/* ------------------------------------------------------------------------
 * Values
 * ------------------------------------------------------------------------
 */

static void
free_list(ConfigList *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
}

static bool
append_item(ConfigList *list, const char *value)
{
	char	  **items = realloc(list->items,
								(list->count + 1) * sizeof(char *));

	if (items == NULL)
		return false;
	list->items = items;
	items[list->count] = strdup(value);
	if (items[list->count] == NULL)
		return false;
	list->count++;
	return true;
}

static bool
set_int(Config *cf, const Setting *setting, const char *value, Buf *error)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' ||
		number < setting->min || number > setting->max)
	{
		buf_printf(error, "%s must be a number from %ld to %ld",
				   setting->name, setting->min, setting->max);
		return false;
	}
	*FIELD(cf, setting, long) = number;
	return true;
}

static bool
set_value(Config *cf, const Setting *setting, const char *value, Buf *error)
{
	char	  **text;

	switch (setting->type)
	{
		case SETTING_INT:
			return set_int(cf, setting, value, error);
		case SETTING_FLAG:
			*FIELD(cf, setting, bool) = true;
			return true;
		case SETTING_LIST:
			if (append_item(FIELD(cf, setting, ConfigList), value))
				return true;
			break;
		case SETTING_STRING:
			text = FIELD(cf, setting, char *);
			free(*text);
			*text = strdup(value);
			if (*text != NULL)
				return true;
			break;
	}
	buf_puts(error, "out of memory");
	return false;
}

bool
config_init(Config *cf)
{
	Buf			error;
	bool		ok = true;

	memset(cf, 0, sizeof(*cf));
	buf_init(&error);
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (settings[i].fallback != NULL)
			ok = set_value(cf, &settings[i], settings[i].fallback, &error) &&
				ok;
	buf_free(&error);
	return ok;
}

void
config_free(Config *cf)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
	{
		if (settings[i].type == SETTING_LIST)
			free_list(FIELD(cf, &settings[i], ConfigList));
		if (settings[i].type == SETTING_STRING)
		{
			char	  **text = FIELD(cf, &settings[i], char *);

			if (*text != NULL)
				explicit_bzero(*text, strlen(*text));
			free(*text);
		}
	}
	memset(cf, 0, sizeof(*cf));
}

/* ------------------------------------------------------------------------
 * File
 * ------------------------------------------------------------------------
 */

/* Variables have it in capitals, options may have - for _. */
static bool
is_spelled(char own, char given, int source)
{
	if (source == FROM_ENV)
		return given == toupper((unsigned char) own);
	return given == own || (own == '_' && given == '-');
}

static const Setting *
find_setting(const char *name, size_t len, int source)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
	{
		const char *own = settings[i].name;
		size_t		k = 0;

		if ((settings[i].sources & source) == 0 || strlen(own) != len)
			continue;
		while (k < len && is_spelled(own[k], name[k], source))
			k++;
		if (k == len)
			return &settings[i];
	}
	return NULL;
}

/* A scalar of the file as the text that argv would carry. */
static bool
set_scalar(Config *cf, const Setting *setting, const json_t *value, Buf *error)
{
	char		digits[24];

	if (setting->type == SETTING_INT && json_is_integer(value))
	{
		snprintf(digits, sizeof(digits), "%lld",
				 (long long) json_integer_value(value));
		return set_value(cf, setting, digits, error);
	}
	if (setting->type != SETTING_INT && json_is_string(value) &&
		strlen(json_string_value(value)) == json_string_length(value))
		return set_value(cf, setting, json_string_value(value), error);
	buf_printf(error, "%s has a value of the wrong type", setting->name);
	return false;
}

static bool
set_from_json(Config *cf, const char *key, json_t *value, Buf *error)
{
	const Setting *setting = find_setting(key, strlen(key), FROM_FILE);
	size_t		i;
	json_t	   *item;

	if (setting == NULL)
	{
		buf_puts(error, "unknown setting \"");
		buf_json_chars(error, key, strlen(key));
		buf_putc(error, '"');
		return false;
	}
	if (json_is_null(value))
		return true;
	if (setting->type != SETTING_LIST || !json_is_array(value))
		return set_scalar(cf, setting, value, error);
	json_array_foreach(value, i, item)
	{
		if (!set_scalar(cf, setting, item, error))
			return false;
	}
	return true;
}

bool
config_parse_file(Config *cf, const char *text, size_t len, Buf *error)
{
	JsonFault	fault;
	json_t	   *root = json_util_load(text, len, &fault);
	const char *key;
	json_t	   *value;
	bool		ok = json_is_object(root);

	if (!ok)
		buf_puts(error, "the settings file must hold one JSON object, each key once");
	json_object_foreach(root, key, value)
	{
		ok = ok && set_from_json(cf, key, value, error);
	}
	json_decref(root);
	return ok;
}

static bool
read_small_file(const char *path, Buf *out, Buf *error)
{
	char		chunk[4096];
	ssize_t		n = -1;
	int			fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && out->len <= CONFIG_MAX_FILE &&
		   (n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_append(out, chunk, (size_t) n);
	explicit_bzero(chunk, sizeof(chunk));
	if (fd >= 0)
		close(fd);
	if (n == 0 && buf_ok(out))
		return true;
	buf_printf(error, "could not read \"%s\": %s", path,
			   n < 0 ? strerror(errno) : "too large");
	return false;
}

char *
config_read_secret(const char *path, Buf *error)
{
	Buf			text;
	char	   *secret = NULL;

	buf_init(&text);
	if (read_small_file(path, &text, error))
	{
		while (text.len > 0 && isspace((unsigned char) text.data[text.len - 1]))
			buf_truncate(&text, text.len - 1);
		secret = text.len > 0 ? strdup(text.data) : NULL;
		if (secret == NULL)
			buf_printf(error, "\"%s\" holds no token", path);
	}
	buf_wipe(&text);
	return secret;
}

static bool
load_file(Config *cf, const char *path, Buf *error)
{
	Buf			text;
	bool		ok;

	buf_init(&text);
	ok = read_small_file(path, &text, error) &&
		config_parse_file(cf, buf_cstr(&text), text.len, error);
	buf_wipe(&text);
	return ok;
}

/* ------------------------------------------------------------------------
 * Environment and command line
 * ------------------------------------------------------------------------
 */

static bool
load_environment(Config *cf, char *const *envp, Buf *error)
{
	for (; *envp != NULL; envp++)
	{
		const char *equals = strchr(*envp, '=');
		const Setting *setting = NULL;

		if (strncmp(*envp, PREFIX, strlen(PREFIX)) == 0 && equals != NULL &&
			equals[1] != '\0')
			setting = find_setting(*envp + strlen(PREFIX),
								   (size_t) (equals - *envp) - strlen(PREFIX),
								   FROM_ENV);
		if (setting != NULL && !set_value(cf, setting, equals + 1, error))
			return false;
	}
	return true;
}

/* Takes "--name value" and "--name=value". */
static bool
load_argv(Config *cf, char *const *argv, Buf *error)
{
	while (*++argv != NULL)
	{
		const char *equals = strchr(*argv, '=');
		size_t		len = equals != NULL ? (size_t) (equals - *argv) :
			strlen(*argv);
		const char *value = equals != NULL ? equals + 1 : NULL;
		const Setting *setting = NULL;

		if (len > 2 && strncmp(*argv, "--", 2) == 0)
			setting = find_setting(*argv + 2, len - 2, FROM_ARGV);
		if (setting == NULL)
		{
			buf_printf(error, "unknown option \"%.*s\"; try --help", (int) len,
					   *argv);
			return false;
		}
		if (setting->type == SETTING_FLAG)
			value = "";
		else if (value == NULL && (value = *++argv) == NULL)
		{
			buf_printf(error, "option \"%s\" needs a value", argv[-1]);
			return false;
		}
		if (!set_value(cf, setting, value, error))
			return false;
	}
	return true;
}

/* Later sources add to lists and replace everything else. */
bool
config_load(Config *cf, char *const *argv, char *const *envp, Buf *error)
{
	Config		probe;
	bool		ok;

	if (!config_init(cf) || !config_init(&probe))
	{
		buf_puts(error, "out of memory");
		return false;
	}
	ok = load_environment(&probe, envp, error) &&
		load_argv(&probe, argv, error) &&
		(probe.config == NULL || load_file(cf, probe.config, error)) &&
		load_environment(cf, envp, error) &&
		load_argv(cf, argv, error);
	config_free(&probe);
	return ok;
}

/* ------------------------------------------------------------------------
 * Help
 * ------------------------------------------------------------------------
 */

static void
put_option(Buf *out, const Setting *setting)
{
	static const char *const values[] = {
		[SETTING_STRING] = " VALUE",[SETTING_LIST] = " VALUE",
		[SETTING_INT] = " N",[SETTING_FLAG] = ""
	};
	char		option[64];

	snprintf(option, sizeof(option), "--%s%s", setting->name,
			 values[setting->type]);
	for (char *p = option; (p = strchr(p, '_')) != NULL;)
		*p = '-';
	buf_printf(out, "  %-30s%s", option, setting->help);
	if (setting->fallback != NULL && setting->fallback[0] != '\0')
		buf_printf(out, " (default %s)", setting->fallback);
	buf_putc(out, '\n');
}

void
config_help(Buf *out)
{
	buf_puts(out,
			 "warden-mcp serves PostgreSQL to MCP clients through pg_warden.\n\n"
			 "  warden-mcp --stdio [OPTION]...\n"
			 "  warden-mcp --http 127.0.0.1:8642 [OPTION]...\n"
			 "  warden-mcp --refresh-keys --dsn CONNINFO\n\n"
			 "Each option with a value is also a variable (WARDEN_MAX_BODY) and,\n"
			 "but for --config, a key of the settings file (max_body).\n\n");
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if ((settings[i].sources & FROM_ARGV) != 0)
			put_option(out, &settings[i]);
	buf_puts(out, "\nA stdio client's credential comes from WARDEN_TOKEN or --token-file.\n");
}
