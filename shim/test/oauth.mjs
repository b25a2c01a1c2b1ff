// oauth.mjs DIRECTORY: the official TypeScript client gets itself a token, from
// an authorization server that lives in this file: discovery (RFC 9728, RFC
// 8414), registration (RFC 7591), authorization code with PKCE, the resource
// indicator (RFC 8707), a refresh, and a larger scope where a call lacks it.
// DIRECTORY is a running cluster of cluster.py.

import { execFileSync, spawn } from "node:child_process";
import { createHash, generateKeyPairSync, randomUUID, sign } from
    "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { UnauthorizedError } from
    "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from
    "@modelcontextprotocol/sdk/client/streamableHttp.js";

const shim = process.env.WARDEN_SHIM ??
    fileURLToPath(new URL("../warden-mcp", import.meta.url));
const env = JSON.parse(readFileSync(`${process.argv[2]}/env.json`));
const dsn = (user) => `host=${env.host} port=${env.port} ` +
    `dbname=${env.dbname} user=${user}`;
const callback = "http://127.0.0.1:1/callback";
let failed = 0;

function check(ok, what, got) {
    console.log(`${ok ? "ok" : "not ok"} - ${what}`);
    if (!ok) {
        failed++;
        console.log(`#   got ${JSON.stringify(got)}`);
    }
}

function psql(sql) {
    return execFileSync(`${env.bindir}/psql`,
        ["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", dsn("postgres"), "-c", sql],
        { encoding: "utf8" }).trim();
}

function freePort() {
    return new Promise((resolve) => {
        const probe = createServer().listen(0, "127.0.0.1", () => {
            const { port } = probe.address();
            probe.close(() => resolve(port));
        });
    });
}

// ---- the authorization server ----------------------------------------------

const { privateKey, publicKey } = generateKeyPairSync("rsa",
    { modulusLength: 2048 });
const base64 = (value) => Buffer.from(value).toString("base64url");
const codes = new Map();        // code -> what it was given for
const refreshTokens = new Map();
const clients = new Map();
const seen = { registrations: 0, authorizations: [], refreshes: 0 };
let issuer;
let resource;
let granted = "query";          // whatever is asked for
let lifetime = 300;             // of an access token; below 0: a refresh is due

function jwt(scope) {
    const now = Math.floor(Date.now() / 1000);
    const text = `${base64(JSON.stringify({ alg: "RS256", kid: "as" }))}.` +
        base64(JSON.stringify({
            iss: issuer, aud: resource, sub: "desk", scope, iat: now - 900,
            exp: now + lifetime, email: "bob@example.com",
        }));
    return `${text}.${base64(sign("sha256", Buffer.from(text), privateKey))}`;
}

// A client that has a refresh token would try that one for a larger scope.
function tokens(scope) {
    const given = { access_token: jwt(scope), token_type: "Bearer", scope,
        expires_in: 300 };
    if (lifetime < 0) {
        given.refresh_token = randomUUID();
        refreshTokens.set(given.refresh_token, scope);
    }
    return given;
}

function authorize(query) {
    const code = randomUUID();
    const client = clients.get(query.get("client_id"));
    if (!client?.redirect_uris.includes(query.get("redirect_uri")) ||
        query.get("response_type") !== "code" ||
        query.get("code_challenge_method") !== "S256")
        return null;
    seen.authorizations.push(query);
    codes.set(code, query);
    const target = new URL(query.get("redirect_uri"));
    target.searchParams.set("code", code);
    if (query.get("state"))
        target.searchParams.set("state", query.get("state"));
    return target.href;
}

function exchange(form) {
    if (form.get("grant_type") === "refresh_token") {
        const scope = refreshTokens.get(form.get("refresh_token"));
        seen.refreshes++;
        refreshTokens.delete(form.get("refresh_token"));
        return scope ? tokens(scope) : null;
    }
    const given = codes.get(form.get("code"));
    codes.delete(form.get("code"));
    if (given?.get("code_challenge") !== createHash("sha256")
        .update(form.get("code_verifier") ?? "").digest("base64url") ||
        given.get("redirect_uri") !== form.get("redirect_uri") ||
        form.get("resource") !== resource)
        return null;
    return tokens(granted);
}

function answer(request, url, body) {
    switch (`${request.method} ${url.pathname}`) {
        case "GET /.well-known/oauth-authorization-server":
            return { issuer, authorization_endpoint: `${issuer}/authorize`,
                token_endpoint: `${issuer}/token`,
                registration_endpoint: `${issuer}/register`,
                response_types_supported: ["code"],
                grant_types_supported: ["authorization_code", "refresh_token"],
                code_challenge_methods_supported: ["S256"],
                token_endpoint_auth_methods_supported: ["none"],
                scopes_supported: ["query", "propose"] };
        case "POST /register": {
            const client = { ...JSON.parse(body), client_id: randomUUID() };
            seen.registrations++;
            clients.set(client.client_id, client);
            return client;
        }
        case "POST /token":
            return exchange(new URLSearchParams(body));
        default:
            return undefined;
    }
}

function serveAuthorization() {
    const server = createHttpServer((request, response) => {
        const url = new URL(request.url, issuer);
        let body = "";
        request.on("data", (chunk) => { body += chunk; });
        request.on("end", () => {
            const target = url.pathname === "/authorize" &&
                authorize(url.searchParams);
            if (target) {
                response.writeHead(302, { Location: target }).end();
                return;
            }
            const value = answer(request, url, body);
            response.writeHead(value ? 200 : value === null ? 400 : 404,
                { "Content-Type": "application/json" });
            response.end(JSON.stringify(value ?? { error: "invalid_request" }));
        });
    });
    return new Promise((resolve) =>
        server.listen(0, "127.0.0.1", () => resolve(server)));
}

// ---- the client ------------------------------------------------------------

// Keeps what a client keeps; where it would open a browser it asks by itself.
class Provider {
    redirectUrl = callback;
    clientMetadata = { client_name: "test", redirect_uris: [callback],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"], token_endpoint_auth_method: "none" };
    clientInformation() { return this.information; }
    saveClientInformation(information) { this.information = information; }
    tokens() { return this.saved; }
    saveTokens(saved) { this.saved = saved; }
    saveCodeVerifier(verifier) { this.verifier = verifier; }
    codeVerifier() { return this.verifier; }
    async redirectToAuthorization(url) {
        const reply = await fetch(url, { redirect: "manual" });
        this.code = new URL(reply.headers.get("location"))
            .searchParams.get("code");
    }
}

async function connect(url, provider) {
    const client = new Client({ name: "oauth-driver", version: "1" });
    const transport = new StreamableHTTPClientTransport(url,
        { authProvider: provider });
    return client.connect(transport).then(() => ({ client, transport }),
        (reason) => ({ reason, transport }));
}

function query(client, sql) {
    return client.callTool({ name: "query", arguments: { sql } })
        .then((result) => result.structuredContent, (reason) => reason);
}

async function drive(url) {
    const provider = new Provider();
    let attempt = await connect(url, provider);
    check(attempt.reason instanceof UnauthorizedError,
        "without a token the client is sent to the authorization server",
        String(attempt.reason));
    check(seen.registrations === 1, "where it registers itself");
    const asked = seen.authorizations[0];
    check(asked?.get("resource") === resource &&
        asked.get("scope") === "query propose",
        "it asks for a token of this resource, and the challenge's scope",
        String(asked));
    await attempt.transport.finishAuth(provider.code);
    attempt = await connect(url, provider);
    check(attempt.client !== undefined, "with the token it gets in",
        String(attempt.reason));
    const { client, transport } = attempt;
    const read = await query(client, "SELECT current_setting('warden.agent'), " +
        "current_setting('warden.on_behalf_of'), ssn FROM customers " +
        "WHERE id = 1");
    check(JSON.stringify(read.rows) ===
        '[["support","bob@example.com","***-**-4801"]]',
        "as the agent and the person that the token names", read);

    granted = "query propose";
    const refused = await query(client, "DELETE FROM tickets WHERE id = 1");
    check(refused instanceof UnauthorizedError &&
        seen.authorizations[1]?.get("scope") === "query propose",
        "a write is beyond its scope: the client asks for a larger one",
        String(refused));
    lifetime = -600;            // so that the next one has to be refreshed
    await transport.finishAuth(provider.code);
    lifetime = 300;
    const write = await query(client, "DELETE FROM tickets WHERE id = 1");
    check(write.status === "pending_review", "then the write is recorded",
        String(write.status ?? write));
    check(seen.refreshes === 1, "with an expired token refreshed on the way",
        seen.refreshes);
    await client.close();

    provider.saved = { ...provider.saved, refresh_token: undefined,
        access_token: jwt("query").replace(/.$/, (c) => c === "A" ? "E" : "A") };
    const forged = await connect(url, provider);
    check(!forged.client || (await query(forged.client, "SELECT 1"))
        instanceof Error, "a forged token is worth nothing");
}

const server = await serveAuthorization();
issuer = `http://127.0.0.1:${server.address().port}`;
const port = await freePort();
resource = `http://127.0.0.1:${port}/mcp`;
psql(`SELECT warden.set_issuer('${issuer}', '${resource}');
    SELECT warden.set_identity_keys('${issuer}', '${JSON.stringify({
        keys: [{ ...publicKey.export({ format: "jwk" }), kid: "as",
            use: "sig" }] })}');
    SELECT warden.map_subject('${issuer}', 'desk', 'support',
        person_claim => 'email')`);
const child = spawn(shim, ["--http", `127.0.0.1:${port}`,
    "--authorization-server", issuer], {
    env: { ...process.env, WARDEN_DSN: dsn("gateway") }, stdio: "ignore",
});
for (let tries = 0; tries < 200; tries++) {
    if (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null))
        break;
    await new Promise((resolve) => setTimeout(resolve, 25));
}
try {
    await drive(new URL(resource));
} catch (reason) {
    check(false, "the flow runs to its end", String(reason.stack));
} finally {
    child.kill("SIGTERM");
    server.closeAllConnections();
    server.close();
}
process.exit(failed ? 1 : 0);
