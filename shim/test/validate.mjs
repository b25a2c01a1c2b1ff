// validate.mjs DIRECTORY SCHEMAS: every message that the tests saw, held
// against the protocol's JSON schemas, and structuredContent against the
// output schema of its tool.

import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const [directory, schemas] = process.argv.slice(2);
const MODERN = "2026-07-28";
const results = {
    "initialize": "InitializeResult",
    "ping": "EmptyResult",
    "server/discover": "DiscoverResult",
    "tools/list": "ListToolsResult",
    "tools/call": "CallToolResult",
    "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/read": "ReadResourceResult",
    "prompts/list": "ListPromptsResult",
    "prompts/get": "GetPromptResult",
    "completion/complete": "CompleteResult",
    "subscriptions/listen": "SubscriptionsListenResult",
};
const taskResults = {
    "tasks/get": "GetTaskResult",
    "tasks/cancel": "CancelTaskResult",
    "tasks/update": "UpdateTaskResult",
};
const notifications = {
    "notifications/progress": "ProgressNotification",
    "notifications/resources/updated": "ResourceUpdatedNotification",
    "notifications/subscriptions/acknowledged":
        "SubscriptionsAcknowledgedNotification",
    "notifications/tools/list_changed": "ToolListChangedNotification",
};

function load(file) {
    const ajv = new Ajv2020({ strict: false, allErrors: false });
    const schema = JSON.parse(readFileSync(`${schemas}/${file}`));
    const compiled = new Map();

    addFormats(ajv);
    delete schema.$id;
    ajv.addSchema(schema, "mcp");
    return (name, value) => {
        if (!compiled.has(name))
            compiled.set(name, ajv.compile({ $ref: `mcp#/$defs/${name}` }));
        const validator = compiled.get(name);
        return validator(value) ? null :
            `${name}: ${ajv.errorsText(validator.errors)}`;
    };
}

const modern = load(`schema-${MODERN}.json`);
const legacy = load("schema-2025-11-25.json");
const tasks = load("schema-tasks.json");
const outputs = new Map();
const ajv = new Ajv2020({ strict: false });

function isModern(request) {
    const meta = request?.params?._meta ?? {};
    return meta["io.modelcontextprotocol/protocolVersion"] === MODERN ||
        ["server/discover", "subscriptions/listen"].includes(request?.method);
}

function checkOutput(request, result) {
    const validator = outputs.get(request.params.name);
    if (!validator || result.structuredContent === undefined)
        return null;
    return validator(result.structuredContent) ? null :
        `output of ${request.params.name}: ${ajv.errorsText(validator.errors)}`;
}

function checkResult(request, message) {
    const validate = isModern(request) ? modern : legacy;
    const { method } = request;
    if (message.result.resultType === "input_required")
        return modern("InputRequiredResult", message.result);
    if (message.result.resultType === "task")
        return tasks("CreateTaskResult", message.result);
    if (taskResults[method])
        return tasks(taskResults[method], message.result);
    if (!results[method])
        return `no schema is known for the result of ${method}`;
    return validate(results[method], message.result) ??
        (method === "tools/call" ? checkOutput(request, message.result) : null);
}

function checkMessage(request, message) {
    if (message.method) {
        const name = notifications[message.method];
        if (message.method === "notifications/tasks")
            return tasks("TaskStatusNotification", message);
        if (message.method === "notifications/progress" && !isModern(request))
            return legacy(name, message);
        return name ? modern(name, message) : `unknown ${message.method}`;
    }
    const validate = isModern(request) ? modern : legacy;
    if (message.error)
        return validate("JSONRPCErrorResponse", message);
    return validate("JSONRPCResultResponse", message) ??
        (request ? checkResult(request, message) : null);
}

const lines = readFileSync(`${directory}/messages.jsonl`, "utf8")
    .trim().split("\n").map((line) => JSON.parse(line));
for (const { request, message } of lines)
    if (request?.method === "tools/list" && message.result)
        for (const tool of message.result.tools)
            if (!outputs.has(tool.name))
                outputs.set(tool.name, ajv.compile(tool.outputSchema));

const wrong = [];
for (const { request, message, transport } of lines) {
    const fault = checkMessage(request, message);
    if (fault)
        wrong.push(`${transport} ${request?.method}: ${fault}\n#     ` +
            JSON.stringify(message).slice(0, 300));
}
console.log(`${outputs.size === 8 ? "ok" : "not ok"} - 8 output schemas compile`);
console.log(`${wrong.length ? "not ok" : "ok"} - ${lines.length} messages ` +
    "are as their schemas say");
wrong.slice(0, 10).forEach((line) => console.log(`#   ${line}`));
process.exit(wrong.length || outputs.size !== 8 ? 1 : 0);
