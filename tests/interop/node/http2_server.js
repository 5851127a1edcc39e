// A push service on node's http2: checks every request it gets as h2_server.py does, and closes no connection.
//
// Usage: node http2_server.js CERTIFICATE KEY
// `x-digest` is the SHA-256 of path, apns-id and body; the answer is 200 if it is right and 500 if not. Prints
// {"port":N}, and the books at the end of its input.
"use strict";

const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { createSecureServer } = require("node:http2");

const [certificate, key] = process.argv.slice(2).map((file) => readFileSync(file));
const seen = new Map();
let connections = 0;
let wrong = 0;

const server = createSecureServer({ cert: certificate, key, settings: { maxConcurrentStreams: 1000 } });
server.on("session", () => {
  connections += 1;
});
server.on("stream", (stream, headers) => {
  const digest = createHash("sha256").update(headers[":path"]).update(headers["apns-id"]);
  stream.on("data", (part) => digest.update(part));
  stream.on("end", () => {
    const right = digest.digest("hex") === headers["x-digest"];
    wrong += right ? 0 : 1;
    seen.set(headers["apns-id"], (seen.get(headers["apns-id"]) ?? 0) + 1);
    stream.respond({ ":status": right ? 200 : 500, "apns-id": headers["apns-id"] }, { endStream: true });
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));

process.stdin.on("end", () => {
  const once = [...seen.values()].filter((count) => count === 1).length;
  console.log(JSON.stringify({ connections, wrong, once }));
  process.exit(0);
});
process.stdin.resume();
