/* unit_config.c: three sources, their order, and what is refused */
#include "unit.h"

#include "config.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static char *no_env[] = {NULL};

static bool
load(Config *cf, char **argv, char **envp, Buf *error)
{
	buf_free(error);
	return config_load(cf, argv, envp, error);
}

static void
check_refused(char **argv, char **envp, const char *message)
{
	Config		cf;
	Buf			error;

	buf_init(&error);
	CHECK(!load(&cf, argv, envp, &error));
	CHECK_TEXT(buf_cstr(&error), message);
	config_free(&cf);
	buf_free(&error);
}

static void
write_file(const char *path, const char *text)
{
	FILE	   *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
}

static void
test_sources(const char *path)
{
	char	   *argv[] = {"x", "--config", (char *) path, "--pool=3",
	"--allowed-origin", "http://b", "--http", "127.0.0.1:1", NULL};
	char	   *envp[] = {"WARDEN_POOL=5", "WARDEN_MAX_BODY=4096",
	"WARDEN_TOKEN=secret", "OTHER=1", NULL};
	Config		cf;
	Buf			error;

	buf_init(&error);
	write_file(path, "{\"pool\": 7, \"max_body\": 2048, \"max_queue\": 9,"
			   "\"allowed_origin\": [\"http://a\"], \"dsn\": \"service=x\","
			   "\"tls_key\": null}");
	CHECK(load(&cf, argv, envp, &error));
	CHECK(cf.pool == 3);
	CHECK(cf.max_body == 4096);
	CHECK(cf.max_queue == 9);
	CHECK(cf.call_timeout == 300);
	CHECK(cf.allowed_origins.count == 2);
	CHECK_TEXT(cf.allowed_origins.items[1], "http://b");
	CHECK_TEXT(cf.dsn, "service=x");
	CHECK_TEXT(cf.token, "secret");
	CHECK(cf.tls_key == NULL && !cf.stdio);
	config_free(&cf);
	buf_free(&error);
}

static void
test_refusals(const char *path)
{
	char	   *unknown[] = {"x", "--frobnicate", NULL};
	char	   *missing[] = {"x", "--pool", NULL};
	char	   *range[] = {"x", "--pool", "0", NULL};
	char	   *token[] = {"x", "--token", "secret", NULL};
	char	   *file[] = {"x", "--config", (char *) path, NULL};
	char	   *plain[] = {"x", NULL};
	char	   *bad_env[] = {"WARDEN_POOL=many", NULL};

	check_refused(unknown, no_env, "unknown option \"--frobnicate\"; try --help");
	check_refused(missing, no_env, "option \"--pool\" needs a value");
	check_refused(range, no_env, "pool must be a number from 1 to 1000");
	check_refused(token, no_env, "unknown option \"--token\"; try --help");
	check_refused(plain, bad_env, "pool must be a number from 1 to 1000");
	write_file(path, "{\"pol\": 7}");
	check_refused(file, no_env, "unknown setting \"pol\"");
	write_file(path, "{\"pool\": \"7\"}");
	check_refused(file, no_env, "pool has a value of the wrong type");
	write_file(path, "{\"token\": \"x\"}");
	check_refused(file, no_env, "unknown setting \"token\"");
	write_file(path, "{\"pool\": 7, \"pool\": 8}");
	check_refused(file, no_env,
				  "the settings file must hold one JSON object, each key once");
}

static void
test_secret(const char *path)
{
	Buf			error;
	char	   *secret;

	buf_init(&error);
	write_file(path, "  abc def \n\n");
	secret = config_read_secret(path, &error);
	CHECK(secret != NULL);
	CHECK_TEXT(secret != NULL ? secret : "", "  abc def");
	free(secret);
	write_file(path, "\n");
	CHECK(config_read_secret(path, &error) == NULL);
	CHECK(config_read_secret("/nowhere/at/all", &error) == NULL);
	buf_free(&error);
}

/* The name of the option on a line of the help, as a key of the file. */
static bool
option_on(const char *line, char key[64])
{
	size_t		n = strcspn(line + 4, " ");

	if (strncmp(line, "  --", 4) != 0 || n >= 64)
		return false;
	for (size_t i = 0; i < n; i++)
		key[i] = line[4 + i] == '-' ? '_' : line[4 + i];
	key[n] = '\0';
	return true;
}

/* Every option is in the sample but those that a file can not hold. */
static void
check_listed(const json_t *sample)
{
	static const char others[] = " config help refresh_keys stdio version ";
	size_t		listed = 0;
	Buf			help;
	char		key[64];
	char		among[66];

	buf_init(&help);
	config_help(&help);
	for (const char *line = buf_cstr(&help); *line != '\0'; line++)
	{
		if (option_on(line, key))
		{
			snprintf(among, sizeof(among), " %s ", key);
			CHECK((json_object_get(sample, key) == NULL) ==
				  (strstr(others, among) != NULL));
			listed += json_object_get(sample, key) != NULL;
		}
		line += strcspn(line, "\n");
	}
	CHECK(listed == json_object_size(sample));
	buf_free(&help);
}

/* The sample file lists every setting with its default, and loads. */
static void
test_sample(void)
{
	const size_t texts = offsetof(Config, ca_file);
	const size_t numbers = offsetof(Config, auth_failures);
	char		json[16384];
	FILE	   *file = fopen("shim/warden-mcp.json.sample", "r");
	size_t		n = file != NULL ? fread(json, 1, sizeof(json), file) : 0;
	json_t	   *sample = json_loadb(json, n, 0, NULL);
	Buf			error;
	Config		cf;
	Config		defaults;

	if (file != NULL)
		fclose(file);
	buf_init(&error);
	CHECK(config_init(&cf) && config_init(&defaults));
	CHECK(config_parse_file(&cf, json, n, &error));
	CHECK_TEXT(buf_cstr(&error), "");
	for (size_t at = texts; at < numbers; at += sizeof(char *))
	{
		const char *text = *(char **) ((char *) &cf + at);
		const char *wanted = *(char **) ((char *) &defaults + at);

		CHECK_TEXT(text != NULL ? text : "(null)",
				   wanted != NULL ? wanted : "(null)");
	}
	CHECK(memcmp((char *) &cf + numbers, (char *) &defaults + numbers,
				 offsetof(Config, help) - numbers) == 0);
	CHECK(cf.databases.count == 0 && cf.allowed_hosts.count == 0 &&
		  cf.allowed_origins.count == 0 && cf.authorization_servers.count == 0);
	CHECK(json_object_size(sample) > 30);
	check_listed(sample);
	json_decref(sample);
	config_free(&cf);
	config_free(&defaults);
	buf_free(&error);
}

int
main(void)
{
	char		path[] = "/tmp/warden-unit-config.XXXXXX";
	int			fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	test_sources(path);
	test_refusals(path);
	test_secret(path);
	test_sample();
	unlink(path);
	UNIT_EXIT();
}
