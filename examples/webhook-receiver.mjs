// A program that is told of events, with nothing but Node:
//   WEBHOOK_SECRET=whsec_... node webhook-receiver.mjs 8000
//   wakeline webhook create http://127.0.0.1:8000/        with allow_private and allow_http in [webhooks]

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
// Seconds that a message may be old: one that somebody recorded and sends again is older.
const oldest = 300;
// Ids of what was taken. In earnest: a unique key in the database, written in the transaction that does the work.
const seen = new Set();

// Is a message from the gateway, whole and fresh? `body` are the bytes as they came: parsed and written again they differ.
function verified(headers, body) {
  const sent = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(sent) || Math.abs(Date.now() / 1000 - Number(sent)) > oldest) return false;
  const hmac = createHmac("sha256", secret).update(`${headers["webhook-id"]}.${sent}.`).update(body);
  const wanted = Buffer.from(`v1,${hmac.digest("base64")}`);
  // While a secret is rotated there are two signatures.
  return (headers["webhook-signature"] ?? "").split(" ").some((given) => {
    const bytes = Buffer.from(given);
    return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
  });
}

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  if (!verified(request.headers, body)) {
    response.writeHead(401).end();
    return;
  }
  const id = request.headers["webhook-id"];
  if (!seen.has(id)) {
    const event = JSON.parse(body);
    console.log(event.timestamp, event.type, JSON.stringify(event.data));
    seen.add(id);
  }
  response.writeHead(204).end();
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
