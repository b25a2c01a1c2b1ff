/*
 * fuzz_headers.c
 *		A request's header lines, an empty line and a body, through everything
 *		that looks at headers: the guard, the bearer, the protocol's mirrors.
 *		What is let in is held against second, simpler readings of the rules.
 *		libmicrohttpd's part, splitting lines, is done here.
 */
#include "auth.h"
#include "http_internal.h"
#include "json_util.h"
#include "mirrors.c"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_LINES 64
#define NEED(condition) do { if (!(condition)) abort(); } while (0)

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- libmicrohttpd's side ---- */

typedef struct Line
{
	const char *name;
	const char *value;
} Line;

static Line lines[MAX_LINES];
static int	line_count;

const char *
MHD_lookup_connection_value(struct MHD_Connection *connection,
							enum MHD_ValueKind kind, const char *key)
{
	(void) connection;
	(void) kind;
	for (int i = 0; i < line_count; i++)
		if (strcasecmp(lines[i].name, key) == 0)
			return lines[i].value;
	return NULL;
}

int
MHD_get_connection_values(struct MHD_Connection *connection,
						  enum MHD_ValueKind kind,
						  MHD_KeyValueIterator iterator, void *arg)
{
	(void) connection;
	for (int i = 0; i < line_count; i++)
		if (iterator(arg, kind, lines[i].name, lines[i].value) != MHD_YES)
			break;
	return line_count;
}

/* One that reads folded lines as they are meant. */
const char *
MHD_get_version(void)
{
	return "1.0";
}

const union MHD_ConnectionInfo *
MHD_get_connection_info(struct MHD_Connection *connection,
						enum MHD_ConnectionInfoType type,...)
{
	static struct sockaddr_in peer = {.sin_family = AF_INET};
	static union MHD_ConnectionInfo info;

	(void) connection;
	(void) type;
	info.client_addr = (struct sockaddr *) &peer;
	return &info;
}

/* "Name: value" lines up to an empty one; what follows is the body. */
static char *
split(char *text)
{
	line_count = 0;
	while (*text != '\0' && *text != '\n')
	{
		char	   *end = text + strcspn(text, "\n");
		char	   *colon = memchr(text, ':', (size_t) (end - text));
		char	   *next = *end != '\0' ? end + 1 : end;

		*end = '\0';
		if (colon != NULL && line_count < MAX_LINES)
		{
			*colon++ = '\0';
			lines[line_count++] = (Line) {text, colon + strspn(colon, " \t")};
		}
		text = next;
	}
	return *text == '\n' ? text + 1 : text;
}

static int
count_lines(const char *name)
{
	int			n = 0;

	for (int i = 0; i < line_count; i++)
		n += strcasecmp(lines[i].name, name) == 0;
	return n;
}

/* ---- the host ---- */

static bool ran;

static const Mirror mirrors[] = {
	{"Mcp-Param-Region", "region"}, {"Mcp-Param-Count", "count"}, {NULL, NULL}
};

static void
echo(McpCall *call, json_t *arguments)
{
	if (!mirrors_match(call, arguments, mirrors))
		return;
	ran = true;
	mcp_result_begin(call);
	mcp_put(call, "'content':[{'type':'text','text':'%s'}]", "x");
	mcp_result_end(call);
}

static const McpTool tools[] = {
	{"query", "t", "d", "{\"type\":\"object\"}", NULL, 0, echo}
};

static const McpHost host = {
	.name = "fuzz",.version = "1",.capabilities = "\"tools\":{}",
	.tools = tools,.tool_count = 1,.list_scope = "private"
};

static void
ignore_message(McpCall *call, const char *json, size_t len)
{
	(void) call;
	(void) json;
	(void) len;
}

static void
finish(McpCall *call)
{
	(void) call;
}

static const Transport transport = {
	.answer_when_cancelled = true,.challenges = true,
	.notify = ignore_message,.finish = finish
};

/* ---- second readings ---- */

static void
check_framing(void)
{
	static const char *const once[] = {
		"Content-Length", "Transfer-Encoding", "Host", "Origin",
		"Authorization", "Content-Type", "MCP-Protocol-Version", "Mcp-Method",
		"Mcp-Name", "Mcp-Session-Id"
	};

	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		NEED(count_lines(once[i]) <= 1);
	NEED(count_lines(once[0]) + count_lines(once[1]) <= 1);
}

/* The host of a loopback server without its port, whatever the port. */
static void
check_loopback(const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t		n = colon != NULL && strchr(colon, ']') == NULL ?
		(size_t) (colon - text) : strlen(text);

	NEED((n == 9 && strncasecmp(text, "localhost", 9) == 0) ||
		 (n == 9 && strncmp(text, "127.0.0.1", 9) == 0) ||
		 (n == 5 && strncmp(text, "[::1]", 5) == 0));
}

static void
check_origin(const char *origin)
{
	if (origin == NULL || strcasecmp(origin, "https://app.example") == 0)
		return;
	NEED(strncmp(origin, "http://", 7) == 0);
	check_loopback(origin + 7);
}

static void
check_bearer(const char *header, const char *bearer)
{
	AuthDigest	first;
	AuthDigest	again;
	size_t		n = strlen(bearer);

	NEED(n > 0 && n <= AUTH_MAX_TOKEN && strlen(header) >= n &&
		 strcmp(header + strlen(header) - n, bearer) == 0);
	for (size_t i = 0; i < n; i++)
		NEED(bearer[i] > ' ' && bearer[i] <= '~');
	NEED(auth_owner(bearer, &first) && auth_owner(bearer, &again) &&
		 auth_equal(&first, &again));
}

/* The six bits of a character of base64, by the ranges. */
static unsigned
six_bits(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned) (c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned) (c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned) (c - '0') + 52;
	NEED(c == '+' || c == '/');
	return c == '+' ? 62 : 63;
}

/* The header as such, or what it encodes, is the text. */
static void
check_same(const char *header, const char *text, size_t len)
{
	size_t		n;
	size_t		at = 0;
	uint64_t	bits = 0;
	int			have = 0;

	NEED(header != NULL);
	header += strspn(header, " \t");
	n = strlen(header);
	while (n > 0 && (header[n - 1] == ' ' || header[n - 1] == '\t'))
		n--;
	if (n == len && memcmp(header, text, n) == 0)
		return;
	NEED(n >= 11 && memcmp(header, "=?base64?", 9) == 0 &&
		 memcmp(header + n - 2, "?=", 2) == 0);
	for (size_t i = 9; i < n - 2 && header[i] != '='; i++)
	{
		bits = bits << 6 | six_bits(header[i]);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		NEED(at < len && (char) (bits >> have & 0xff) == text[at]);
		at++;
	}
	NEED(at == len);
}

/* What a tool may run on: every header says what the body says. */
static void
check_mirrors(const McpCall *call)
{
	const json_t *arguments = json_object_get(call->msg.params, "arguments");
	const char *version = http_header((HttpCall *) call, "MCP-Protocol-Version");

	check_same(version, "2026-07-28", 10);
	check_same(http_header((HttpCall *) call, "Mcp-Method"), "tools/call", 10);
	check_same(http_header((HttpCall *) call, "Mcp-Name"), "query", 5);
	for (const Mirror *m = mirrors; m->header != NULL; m++)
	{
		const json_t *value = json_object_get(arguments, m->argument);
		const char *header = http_header((HttpCall *) call, m->header);
		char		digits[24];

		NEED(header == NULL || json_is_string(value) ||
			 json_is_integer(value) || json_is_boolean(value));
		snprintf(digits, sizeof(digits), "%lld",
				 (long long) json_integer_value(value));
		if (json_is_string(value))
			check_same(header, json_string_value(value),
					   json_string_length(value));
		else if (json_is_integer(value))
			check_same(header, digits, strlen(digits));
		else if (json_is_boolean(value))
			check_same(header, json_is_true(value) ? "true" : "false",
					   json_is_true(value) ? 4 : 5);
	}
}

/* ---- one request ---- */

/* True if a server would have read the body. */
static bool
let_in(HttpCall *hc)
{
	const char *authorization;
	const char *bearer;

	if (!http_framing_is_clear(hc))
		return false;
	check_framing();
	if (!http_host_is_allowed(hc))
		return false;
	if (hc->http->loopback &&
		strcasecmp(http_header(hc, "Host"), "mcp.example") != 0)
		check_loopback(http_header(hc, "Host"));
	if (!http_origin_is_allowed(hc))
		return false;
	check_origin(http_header(hc, "Origin"));
	authorization = http_header(hc, "Authorization");
	bearer = auth_bearer(authorization);
	if (bearer == NULL)
		return false;
	check_bearer(authorization, bearer);
	hc->call.credential = hc->credential = strdup(bearer);
	return hc->credential != NULL;
}

static void
send_body(HttpCall *hc, const char *body, size_t len)
{
	McpHeaders	headers = {
		http_header(hc, "MCP-Protocol-Version"), http_header(hc, "Mcp-Method"),
		http_header(hc, "Mcp-Name"), http_header(hc, "Mcp-Session-Id")
	};
	McpRoute	taken = mcp_accept(&hc->call, body, len, &headers);

	ran = false;
	if (taken == MCP_DEFERRED && http_admit(hc, HTTP_USE_CALL))
		mcp_run(&hc->call, -1);
	if (ran && hc->call.era == MCP_MODERN)
		check_mirrors(&hc->call);
	if (taken == MCP_STREAMING)
		mcp_leave_stream(&hc->call);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Mcp *mcp;
	static char host_name[] = "mcp.example";
	static char origin_name[] = "https://app.example";
	static char *hosts[] = {host_name};
	static char *origins[] = {origin_name};
	static Config cf = {
		.allowed_hosts = {hosts, 1},.allowed_origins = {origins, 1},
		.auth_failures = 30,.calls_at_once = 16
	};
	static Server server = {.cf = &cf};
	Http		http = {.server = &server};
	HttpCall	hc = {.http = &http};
	char	   *text = malloc(size + 1);
	char	   *body;

	if (mcp == NULL)
	{
		NEED(auth_init());
		mcp = mcp_create(&host, session_table_create(100, 100));
		NEED(mcp != NULL);
	}
	NEED(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	body = split(text);
	http.loopback = size % 2 == 0;
	mcp_call_init(&hc.call, mcp, &transport);
	if (let_in(&hc))
		send_body(&hc, body, size - (size_t) (body - text));
	auth_leave(&hc.use);
	mcp_call_clear(&hc.call);
	free(hc.credential);
	free(hc.origin);
	free(text);
	return 0;
}
