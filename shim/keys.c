/*
 * keys.c
 *		Fetches the JWK sets that warden.identity_issuers names, over https, and
 *		hands them to warden.set_identity_keys.
 *
 * Runs under a login of warden_key_refresher, apart from the server, and ends.
 * libcurl is opened at run time: only who uses OAuth needs it, and the server
 * does not carry its pages.  What the keys are good for is decided in the
 * database; here only their form and size are looked at.
 */
#include "keys.h"

#include "db.h"
#include "json_util.h"
#include "log.h"

#include <dlfcn.h>
#include <string.h>
#include <strings.h>

#define MAX_KEYS_BYTES (256 * 1024)
#define MAX_KEYS 100
#define TIMEOUT_MS 10000L
#define CONNECT_TIMEOUT_MS 5000L

/* the parts of libcurl's stable interface that are used, by their numbers */
#define OPT_WRITEDATA 10001
#define OPT_URL 10002
#define OPT_WRITEFUNCTION 20011
#define OPT_USERAGENT 10018
#define OPT_FOLLOWLOCATION 52
#define OPT_CAINFO 10065
#define OPT_NOSIGNAL 99
#define OPT_TIMEOUT_MS 155
#define OPT_CONNECTTIMEOUT_MS 156
#define OPT_PROTOCOLS 181
#define INFO_RESPONSE_CODE 0x200002
#define PROTOCOL_HTTPS 2L
#define GLOBAL_ALL 3L

typedef struct Curl
{
	void	   *library;
	int			(*global_init) (long flags);
	void	   *(*init) (void);
	int			(*setopt) (void *handle, int option,...);
	int			(*perform) (void *handle);
	int			(*getinfo) (void *handle, int info,...);
	void		(*cleanup) (void *handle);
	const char *(*strerror) (int code);
} Curl;

/* ISO C has no conversion from an object pointer to a function pointer. */
static bool
find_symbol(const Curl *curl, const char *name, void *target)
{
	void	   *symbol = dlsym(curl->library, name);

	memcpy(target, &symbol, sizeof(symbol));
	return symbol != NULL;
}

static bool
open_curl(Curl *curl)
{
	memset(curl, 0, sizeof(*curl));
	curl->library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
	if (curl->library == NULL)
		curl->library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
	return curl->library != NULL &&
		find_symbol(curl, "curl_global_init", &curl->global_init) &&
		find_symbol(curl, "curl_easy_init", &curl->init) &&
		find_symbol(curl, "curl_easy_setopt", &curl->setopt) &&
		find_symbol(curl, "curl_easy_perform", &curl->perform) &&
		find_symbol(curl, "curl_easy_getinfo", &curl->getinfo) &&
		find_symbol(curl, "curl_easy_cleanup", &curl->cleanup) &&
		find_symbol(curl, "curl_easy_strerror", &curl->strerror) &&
		curl->global_init(GLOBAL_ALL) == 0;
}

/* ------------------------------------------------------------------------
 * One key set
 * ------------------------------------------------------------------------
 */

/* Short of the whole chunk ends the transfer. */
static size_t
take_chunk(const char *data, size_t size, size_t count, void *arg)
{
	Buf		   *out = arg;

	if (count > MAX_KEYS_BYTES || out->len + size * count > MAX_KEYS_BYTES)
		return 0;
	buf_append(out, data, size * count);
	return buf_ok(out) ? size * count : 0;
}

static bool
fetch(const Curl *curl, const Config *cf, const char *url, Buf *out)
{
	void	   *handle = curl->init();
	long		status = 0;
	int			code;

	if (handle == NULL)
		return false;
	curl->setopt(handle, OPT_URL, url);
	curl->setopt(handle, OPT_PROTOCOLS, PROTOCOL_HTTPS);
	curl->setopt(handle, OPT_FOLLOWLOCATION, 0L);
	curl->setopt(handle, OPT_NOSIGNAL, 1L);
	curl->setopt(handle, OPT_TIMEOUT_MS, TIMEOUT_MS);
	curl->setopt(handle, OPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl->setopt(handle, OPT_USERAGENT, "warden-mcp");
	curl->setopt(handle, OPT_WRITEFUNCTION, take_chunk);
	curl->setopt(handle, OPT_WRITEDATA, out);
	if (cf->ca_file != NULL)
		curl->setopt(handle, OPT_CAINFO, cf->ca_file);
	code = curl->perform(handle);
	curl->getinfo(handle, INFO_RESPONSE_CODE, &status);
	curl->cleanup(handle);
	if (code != 0 || status != 200)
		log_event(LOG_LEVEL_ERROR, "keys_not_fetched", "url", url, "message",
				  code != 0 ? curl->strerror(code) : "the status is not 200",
				  NULL);
	return code == 0 && status == 200;
}

/* RFC 7518's private members; "k" is a symmetric key. */
static bool
is_public(const json_t *key)
{
	static const char *const private[] = {"d", "p", "q", "k", "oth", NULL};

	for (const char *const *name = private; *name != NULL; name++)
		if (json_object_get(key, *name) != NULL)
			return false;
	return json_is_object(key);
}

bool
keys_check(const char *text, size_t len, const char **problem)
{
	JsonFault	fault;
	json_t	   *root = json_util_load(text, len, &fault);
	const json_t *keys = json_object_get(root, "keys");
	size_t		i;
	json_t	   *key;

	*problem = NULL;
	if (!json_is_array(keys) || json_array_size(keys) == 0)
		*problem = "not a JSON Web Key set with keys in it";
	else if (json_array_size(keys) > MAX_KEYS)
		*problem = "too many keys";
	json_array_foreach(keys, i, key)
	{
		if (!is_public(key))
			*problem = "a key that is not public";
	}
	json_decref(root);
	return *problem == NULL;
}

/* ------------------------------------------------------------------------
 * All issuers
 * ------------------------------------------------------------------------
 */

typedef struct Refresh
{
	const Config *cf;
	const Curl *curl;
	DbPlain    *db;
	int			failed;
} Refresh;

static void
refresh_issuer(const char *issuer, const char *url, void *arg)
{
	Refresh    *all = arg;
	const char *problem = NULL;
	Buf			text;
	bool		ok = false;

	buf_init(&text);
	if (strncasecmp(url, "https://", 8) != 0)
		problem = "only https is fetched";
	else
		ok = fetch(all->curl, all->cf, url, &text) &&
			keys_check(buf_cstr(&text), text.len, &problem) &&
			db_plain_set_keys(all->db, issuer, buf_cstr(&text));
	if (problem != NULL)
		log_event(LOG_LEVEL_ERROR, "keys_refused", "issuer", issuer, "message",
				  problem, NULL);
	if (ok)
		log_event(LOG_LEVEL_INFO, "keys_renewed", "issuer", issuer, NULL);
	else
		all->failed++;
	buf_free(&text);
}

int
keys_refresh(const Config *cf)
{
	Curl		curl;
	Refresh		all = {cf, &curl, NULL, 0};
	bool		ok;

	if (!open_curl(&curl))
	{
		log_event(LOG_LEVEL_ERROR, "refused", "message",
				  "libcurl can not be loaded", NULL);
		return 1;
	}
	all.db = db_plain_open(cf->dsn, cf->connect_timeout);
	ok = all.db != NULL && db_plain_each_issuer(all.db, refresh_issuer, &all);
	db_plain_close(all.db);
	return ok && all.failed == 0 ? 0 : 1;
}
