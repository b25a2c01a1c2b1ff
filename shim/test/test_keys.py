"""OAuth from end to end: keys fetched over https, then a JWT badges in."""

import base64
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import time

from harness import SHIM, environment, main


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def run(*command, data=None):
    return subprocess.run([str(c) for c in command], input=data, check=True,
                          capture_output=True).stdout


def issuer_key(folder):
    """An RSA key of an issuer: its file and its public JWK."""
    path = folder / "issuer.key"
    run("openssl", "genrsa", "-out", path, "2048")
    modulus = run("openssl", "rsa", "-in", path, "-noout", "-modulus")
    number = bytes.fromhex(modulus.decode().strip().split("=")[1])
    return path, {"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig",
                  "n": b64(number), "e": "AQAB"}


def sign(key, **claims):
    head = b64(json.dumps({"alg": "RS256", "kid": "one",
                           "typ": "JWT"}).encode())
    body = b64(json.dumps(claims).encode())
    signature = run("openssl", "dgst", "-sha256", "-sign", key,
                    data=f"{head}.{body}".encode())
    return f"{head}.{body}.{b64(signature)}"


class Publisher:
    """An https server that publishes whatever it is told to."""

    def __init__(self, folder):
        self.ca, key = folder / "keys-ca.pem", folder / "keys-ca.key"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
            "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.ca)
        outer = self
        outer.answer = (200, b"{}")

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = outer.answer
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self.server.socket = context.wrap_socket(self.server.socket,
                                                 server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()


def scopes(bench, server, token):
    """RFC 6750: what is wrong with the credential, and which to ask for."""
    def post(jwt, sql="SELECT 1", modern=None):
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                   "params": {"name": "query", "arguments": {"sql": sql}}}
        status, headers, messages = server.post(
            request, {"Authorization": f"Bearer {jwt}"})
        return status, headers.get("www-authenticate", ""), messages[0]

    write = "UPDATE tickets SET body = 'x' WHERE id = 1"
    metadata = f'resource_metadata="http://127.0.0.1:{server.port}' \
        '/.well-known/oauth-protected-resource/mcp"'
    status, challenge, _ = post(token(exp=1))
    bench.equal((status, challenge), (
        401, f'Bearer error="invalid_token", {metadata}, '
        'scope="query propose"'), "an expired one: invalid_token")
    bench.equal(post(token(scope="query"))[0], 200, "scope query: a read")
    status, challenge, message = post(token(scope="query"), write)
    bench.equal((status, challenge), (
        403, f'Bearer error="insufficient_scope", {metadata}, '
        'scope="query propose"'), "scope query: a write is for another scope")
    bench.check(message.get("id") == 1 and "error" in message, "with an error",
                message)
    status, _, message = post(token(scope="query propose"), write)
    bench.equal(message["result"]["structuredContent"].get("status"),
                "pending_review", "with that scope it is recorded")
    bench.psql("UPDATE warden.identity_issuers SET scope = 'mcp:sql'")
    status, challenge, _ = post(token(scope="query propose"))
    bench.equal((status, challenge), (
        403, f'Bearer error="insufficient_scope", {metadata}, '
        'scope="mcp:sql"'), "the scope that the issuer's tokens must have")
    bench.equal(post(token(scope="x mcp:sql"))[0], 200, "one that has it")
    bench.psql("UPDATE warden.identity_issuers SET scope = NULL")
    lie = 'DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = \'WD001\', ' \
        'DETAIL = E\'scope=x"\\r\\nSet-Cookie: a=b\'; END $$'
    status, challenge, message = post(token(), lie)
    bench.equal((status, challenge, message.get("result", {}).get("isError")),
                (200, "", True), "a statement has nothing to say of scopes")


def keys(bench):
    folder = pathlib.Path(bench.dir)
    key, public = issuer_key(folder)
    publisher = Publisher(folder)
    url = f"https://127.0.0.1:{publisher.port}/jwks"
    bench.psql("CREATE ROLE refresher LOGIN IN ROLE warden_key_refresher")
    bench.psql("SELECT warden.set_issuer('https://issuer.example', 'shop', "
               f"'{url}')")
    bench.psql("SELECT warden.map_subject('https://issuer.example', 'agent-7',"
               " 'support', 'bob@example.com')")

    def refresh(*args):
        done = subprocess.run(
            [str(SHIM), "--refresh-keys", "--dsn", bench.dsn("refresher"),
             *args], env=environment({}), capture_output=True, timeout=60)
        return done.returncode

    good = json.dumps({"keys": [public]}).encode()
    ca = ("--ca-file", str(publisher.ca))
    publisher.answer = (200, good)
    bench.equal(refresh(), 1, "a certificate of nobody known: not fetched")
    for answer, what in (
            ((404, good), "status 404"), ((302, good), "a redirect"),
            ((200, b"nonsense"), "no JSON"), ((200, b'{"keys":[]}'), "no keys"),
            ((200, b'{"keys":[' + b"7," * 200000 + b"7]}"), "too large"),
            ((200, json.dumps({"keys": [{**public, "d": "x"}]}).encode()),
             "a private key")):
        publisher.answer = answer
        bench.equal(refresh(*ca), 1, f"{what}: refused")
    bench.equal(bench.psql("SELECT count(*) FROM warden.identity_keys"), "0",
                "and nothing was set")
    publisher.answer = (200, good)
    bench.equal(refresh(*ca), 0, "keys are renewed")
    bench.equal(bench.psql("SELECT kid FROM warden.identity_keys"), "one",
                "and on file")
    bench.equal(subprocess.run(
        [str(SHIM), "--refresh-keys", "--dsn", bench.dsn("gateway"), *ca],
        env=environment({}), capture_output=True, timeout=60).returncode, 1,
        "another login may not")

    now = int(time.time())
    claims = {"iss": "https://issuer.example", "aud": "shop",
              "sub": "agent-7", "iat": now, "exp": now + 300}
    server = bench.http()
    server.token = sign(key, **claims)
    content = server.call("whoami").get("structuredContent", {})
    bench.equal((content.get("agent"), content.get("on_behalf_of")),
                ("support", "bob@example.com"), "a JWT badges in")
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
               "params": {"name": "whoami"}}
    for change, what in (({"exp": now - 3600}, "an expired one"),
                         ({"aud": "other"}, "one for somebody else"),
                         ({"sub": "nobody"}, "an unknown subject"),
                         ({"iss": "https://evil.example"}, "another issuer")):
        token = sign(key, **{**claims, **change})
        bench.equal(server.post(request, {"Authorization": f"Bearer {token}"})
                    [0], 401, f"{what}: 401")
    scopes(bench, server, lambda **more: sign(key, **{**claims, **more}))
    forged = server.token[:-6] + ("AAAAAA" if server.token[-6:] != "AAAAAA"
                                  else "BBBBBB")
    bench.equal(server.post(request, {"Authorization": f"Bearer {forged}"})[0],
                401, "a forged one: 401")


main(keys)
