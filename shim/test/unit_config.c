/* unit_config.c: three sources, their order, and what is refused */
#include "unit.h"

#include "config.h"

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

/* The sample file lists every setting with its default, and loads. */
static void
test_sample(void)
{
	char		text[16384];
	FILE	   *file = fopen("shim/warden-mcp.json.sample", "r");
	size_t		n = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
	Buf			sample;
	Buf			error;
	Config		cf;

	if (file != NULL)
		fclose(file);
	text[n] = '\0';
	buf_init(&sample);
	buf_init(&error);
	config_sample(&sample);
	CHECK_TEXT(text, buf_cstr(&sample));
	CHECK(config_init(&cf));
	CHECK(config_parse_file(&cf, text, n, &error));
	CHECK_TEXT(buf_cstr(&error), "");
	config_free(&cf);
	buf_free(&sample);
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
