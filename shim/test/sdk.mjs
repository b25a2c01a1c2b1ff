// sdk.mjs DIRECTORY: the official TypeScript client against the shim, over
// both transports.  DIRECTORY is a running cluster of cluster.py.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from
    "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from
    "@modelcontextprotocol/sdk/client/streamableHttp.js";

const shim = process.env.WARDEN_SHIM ??
    fileURLToPath(new URL("../warden-mcp", import.meta.url));
const env = JSON.parse(readFileSync(`${process.argv[2]}/env.json`));
const dsn = `host=${env.host} port=${env.port} dbname=${env.dbname} user=gateway`;
let failed = 0;

function check(ok, what, got) {
    console.log(`${ok ? "ok" : "not ok"} - ${what}`);
    if (!ok) {
        failed++;
        console.log(`#   got ${JSON.stringify(got)}`);
    }
}

async function drive(name, transport) {
    const client = new Client({ name: "sdk-driver", version: "1" });

    await client.connect(transport);
    check(client.getServerVersion().name === "warden-mcp",
        `${name}: initialize`, client.getServerVersion());
    await client.ping();
    const { tools } = await client.listTools();
    check(tools.length === 8 && tools.every((tool) => tool.outputSchema),
        `${name}: listTools`, tools.map((tool) => tool.name));

    // The client itself holds structuredContent against the output schema.
    const read = await client.callTool({
        name: "query",
        arguments: { sql: "SELECT id, email, ssn FROM customers " +
            "ORDER BY id LIMIT 2" },
    });
    check(JSON.stringify(read.structuredContent.rows) ===
        '[[1,"a******@example.com","***-**-4801"],' +
        '[2,"m******@example.com","***-**-2210"]]',
        `${name}: a masked read`, read);
    const write = await client.callTool({
        name: "query",
        arguments: { sql: "DELETE FROM tickets WHERE id = 1" },
    });
    check(write.structuredContent.status === "pending_review",
        `${name}: a write waits for review`, write);
    const change = await client.callTool({
        name: "get_change",
        arguments: { change_id: write.structuredContent.change_id },
    });
    check(change.structuredContent.change?.status === "proposed",
        `${name}: get_change`, change);
    const error = await client.callTool({
        name: "query", arguments: { sql: "SELECT * FROM nope" },
    });
    check(error.isError && error.structuredContent.sqlstate === "42P01",
        `${name}: an SQL error is a result`, error);
    const unknown = await client.callTool({ name: "nope" })
        .catch((reason) => reason);
    check(unknown.code === -32602, `${name}: an unknown tool is an error`,
        unknown);
    const started = Date.now();
    const slow = await client.callTool({
        name: "query", arguments: { sql: "SELECT pg_sleep(20)" },
    }, undefined, { timeout: 500 }).catch((reason) => reason);
    check(slow.code === -32001 && Date.now() - started < 5000,
        `${name}: a time-out of the client`, slow);
    const next = await client.callTool({ name: "whoami", arguments: {} });
    check(next.structuredContent.agent === "support",
        `${name}: whoami afterwards`, next);
    await client.close();
}

function freePort() {
    return new Promise((resolve) => {
        const probe = createServer().listen(0, "127.0.0.1", () => {
            const { port } = probe.address();
            probe.close(() => resolve(port));
        });
    });
}

async function waitFor(url) {
    for (let tries = 0; tries < 200; tries++) {
        try {
            await fetch(url);
            return;
        } catch {
            await new Promise((resolve) => setTimeout(resolve, 25));
        }
    }
}

async function overHttp() {
    const port = await freePort();
    const server = spawn(shim, ["--http", `127.0.0.1:${port}`], {
        env: { ...process.env, WARDEN_DSN: dsn }, stdio: "ignore",
    });

    try {
        await waitFor(`http://127.0.0.1:${port}/healthz`);
        await drive("http", new StreamableHTTPClientTransport(
            new URL(`http://127.0.0.1:${port}/mcp`), {
                requestInit: {
                    headers: { Authorization: `Bearer ${env.token}` },
                },
            }));
    } finally {
        const ended = new Promise((resolve) => server.on("exit", resolve));
        server.kill("SIGTERM");
        check(await ended === 0, "http: exit code 0");
    }
}

async function overStdio() {
    await drive("stdio", new StdioClientTransport({
        command: shim, args: ["--stdio"], stderr: "ignore",
        env: { PATH: process.env.PATH, WARDEN_DSN: dsn,
            WARDEN_TOKEN: env.token },
    }));
}

for (const part of [overStdio, overHttp]) {
    try {
        await part();
    } catch (reason) {
        check(false, `${part.name} runs to its end`, String(reason.stack));
    }
}
process.exit(failed ? 1 : 0);
