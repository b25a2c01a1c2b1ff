/*
 * http_guard.c
 *		Which requests are let in: headers that are clear, hosts and origins
 *		that are ours, credentials that are not used too often.
 */
#include "http_internal.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

const char *
http_header(HttpCall *hc, const char *name)
{
	return MHD_lookup_connection_value(hc->connection, MHD_HEADER_KIND, name);
}

/* ------------------------------------------------------------------------
 * Headers as a whole
 * ------------------------------------------------------------------------
 */

/*
 * Of those that may come once a proxy before us may go by the last one, or the
 * first.
 */
static const char *const header_names[HTTP_HEADERS] = {
	MHD_HTTP_HEADER_CONTENT_LENGTH, MHD_HTTP_HEADER_TRANSFER_ENCODING,
	MHD_HTTP_HEADER_HOST, MHD_HTTP_HEADER_ORIGIN,
	MHD_HTTP_HEADER_AUTHORIZATION, MHD_HTTP_HEADER_CONTENT_TYPE,
	"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id",
	MHD_HTTP_HEADER_ACCEPT, MHD_HTTP_HEADER_EXPECT
};

typedef struct Framing
{
	const char **headers;
	bool		bad;
} Framing;

/* As RFC 9110 has it: a token. */
static bool
is_name(const char *name)
{
	const char *p = name;

	while (*p != '\0' &&
		   (isalnum((unsigned char) *p) ||
			strchr("-!#$%&'*+.^_`|~", *p) != NULL))
		p++;
	return p > name && *p == '\0';
}

/*
 * Whether a header went on in a second line.  Before its version 1 the library
 * takes that for a part of the name: of "Content-Length:" and " 42" it makes
 * "Content-Length42", and of "Content-Len: 42" and " gth" what another reader
 * does not see.  It tells nobody; but it copies the name for that, which else
 * stands in front of its value, where both were read.
 */
static bool
is_folded(const char *name, const char *value)
{
	const char *at = name + strlen(name) + 1;

	if (MHD_get_version()[0] != '0')
		return false;
	if ((uintptr_t) value < (uintptr_t) at)
		return true;
	while (at < value && (*at == ' ' || *at == '\t'))
		at++;
	return at != value;
}

static enum MHD_Result
look_at_header(void *arg, enum MHD_ValueKind kind, const char *name,
			   const char *value)
{
	Framing    *framing = arg;

	(void) kind;

	/* the library does not end a line at \r: another reader might */
	if (value == NULL || !is_name(name) || is_folded(name, value) ||
		strchr(value, '\r') != NULL)
		framing->bad = true;
	for (int i = 0; i < HTTP_HEADERS; i++)
	{
		if ((name[0] | 0x20) != (header_names[i][0] | 0x20) ||
			strcasecmp(name, header_names[i]) != 0)
			continue;
		if (framing->headers[i] == NULL)
			framing->headers[i] = value;
		else if (i < HTTP_ONCE)
			framing->bad = true;
	}
	return MHD_YES;
}

bool
http_framing_is_clear(HttpCall *hc)
{
	Framing		framing = {hc->headers, false};
	const char *encoding;

	MHD_get_connection_values(hc->connection, MHD_HEADER_KIND, look_at_header,
							  &framing);
	encoding = hc->headers[HTTP_TRANSFER_ENCODING];
	return !framing.bad &&
		(encoding == NULL || (strcasecmp(encoding, "chunked") == 0 && !hc->old &&
							  hc->headers[HTTP_CONTENT_LENGTH] == NULL));
}

/* ------------------------------------------------------------------------
 * Where from
 * ------------------------------------------------------------------------
 */

static bool
in_list(const ConfigList *list, const char *value)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcasecmp(list->items[i], value) == 0)
			return true;
	return false;
}

/* localhost, 127.0.0.1 or [::1], with or without a port */
static bool
is_loopback_host(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (int i = 0; i < 3; i++)
	{
		size_t		n = strlen(names[i]);
		const char *rest = host + n;

		if (strncasecmp(host, names[i], n) != 0)
			continue;
		if (*rest == '\0' ||
			(*rest == ':' && rest[1] != '\0' &&
			 rest[1 + strspn(rest + 1, "0123456789")] == '\0'))
			return true;
	}
	return false;
}

/*
 * A browser that was led here by a rebound name says so in Host.  On other
 * addresses than loopback the names have to be configured to be checked.
 */
bool
http_host_is_allowed(HttpCall *hc)
{
	const ConfigList *allowed = &hc->http->server->cf->allowed_hosts;
	const char *host = hc->headers[HTTP_HOST];

	if (host == NULL)
		return false;
	if (in_list(allowed, host))
		return true;
	if (hc->http->loopback)
		return is_loopback_host(host);
	return allowed->count == 0;
}

bool
http_origin_is_allowed(HttpCall *hc)
{
	const char *origin = hc->headers[HTTP_ORIGIN];
	bool		local = false;

	if (origin == NULL)
		return true;
	if (hc->http->loopback && strncmp(origin, "http://", 7) == 0)
		local = is_loopback_host(origin + 7);
	if (!local && !in_list(&hc->http->server->cf->allowed_origins, origin))
		return false;
	hc->origin = strdup(origin);
	return true;
}

/* ------------------------------------------------------------------------
 * How often
 * ------------------------------------------------------------------------
 */

/* Of IPv6 the network: its hosts are one client's to choose from. */
static AuthDigest
digest_address(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *) address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) address;

	if (address->sa_family == AF_INET6)
		return auth_digest(&v6->sin6_addr, 8);
	return auth_digest(&v4->sin_addr, sizeof(v4->sin_addr));
}

/* False, with the answer given, for who has to wait. */
bool
http_admit(HttpCall *hc, unsigned char kind)
{
	const Config *cf = hc->http->server->cf;
	const union MHD_ConnectionInfo *info;
	AuthAdmission admission;

	if (hc->credential == NULL)
		return true;			/* readiness */
	info = MHD_get_connection_info(hc->connection,
								   MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info != NULL && info->client_addr != NULL)
		hc->use.peer = digest_address(info->client_addr);
	hc->use.credential = auth_digest(hc->credential, strlen(hc->credential));
	hc->use.kind = kind;
	admission = auth_admit(&hc->use, cf->auth_failures, cf->calls_at_once,
						   time(NULL));
	if (admission == AUTH_ADMITTED)
		return true;
	hc->call.retry_after = admission == AUTH_BUSY ? 1 : 60;
	return mcp_error(&hc->call, MCP_TOO_MANY, admission == AUTH_BUSY ?
					 "Too many calls of this credential at once; wait for one to end" :
					 "Too many credentials were refused; wait a minute");
}
