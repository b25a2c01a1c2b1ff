"""A small MCP client over Streamable HTTP, of the standard library only.

It speaks both eras of the protocol: connect() opens a session as clients of
2025-11-25 do, discover() and stateless calls are those of 2026-07-28.
"""

import http.client
import json
import urllib.parse

SESSION_ERA = "2025-11-25"
STATELESS_ERA = "2026-07-28"
CLIENT = {"name": "pg_warden-demo", "version": "1.0"}


class McpError(Exception):
    """A protocol error, or an HTTP status that is none of success."""


def messages_of(content_type, body):
    """The JSON-RPC messages of an answer, plain or as an event stream."""
    if content_type.startswith("text/event-stream"):
        return [json.loads(line[5:]) for line in body.splitlines()
                if line.startswith("data:") and line[5:].strip()]
    return [json.loads(body)] if body else []


class Client:
    def __init__(self, url, token):
        self.url = urllib.parse.urlsplit(url)
        self.token = token
        self.session = None
        self.version = None
        self.last_id = 0

    def post(self, message, headers):
        """Sends one message; returns HTTP status, headers and messages."""
        connection = http.client.HTTPConnection(self.url.hostname,
                                                self.url.port, timeout=60)
        try:
            connection.request("POST", self.url.path, json.dumps(message), {
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
                "Authorization": f"Bearer {self.token}", **headers})
            answer = connection.getresponse()
            body = answer.read().decode()
            return answer.status, answer.headers, messages_of(
                answer.headers.get("Content-Type", ""), body)
        finally:
            connection.close()

    def exchange(self, method, params, headers):
        self.last_id += 1
        status, got, messages = self.post(
            {"jsonrpc": "2.0", "id": self.last_id, "method": method,
             "params": params}, headers)
        for message in messages:
            if message.get("id") == self.last_id:
                if "result" not in message:
                    raise McpError(f"{method}: {message['error']}")
                return message["result"], got
        raise McpError(f"{method}: HTTP status {status}, no answer")

    def session_headers(self):
        headers = {"MCP-Protocol-Version": self.version}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        return headers

    def connect(self):
        """initialize, and the notification that goes with it."""
        result, headers = self.exchange("initialize", {
            "protocolVersion": SESSION_ERA, "capabilities": {},
            "clientInfo": CLIENT}, {})
        self.version = result["protocolVersion"]
        self.session = headers.get("Mcp-Session-Id")
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"},
                  self.session_headers())
        return result

    def request(self, method, **params):
        return self.exchange(method, params, self.session_headers())[0]

    def stateless(self, method, **params):
        """The same without a session: each request says who is asking."""
        prefix = "io.modelcontextprotocol/"
        params["_meta"] = {prefix + "protocolVersion": STATELESS_ERA,
                           prefix + "clientInfo": CLIENT,
                           prefix + "clientCapabilities": {}}
        headers = {"MCP-Protocol-Version": STATELESS_ERA, "Mcp-Method": method}
        if "name" in params:
            headers["Mcp-Name"] = params["name"]
        return self.exchange(method, params, headers)[0]

    def call(self, tool, **arguments):
        return self.request("tools/call", name=tool, arguments=arguments)
