// Drives @parse/node-apn: REQUESTS pushes over one connection, at most IN_FLIGHT unanswered.
//
// Usage: node drive.mjs PORT CA_FILE KEY_FILE BODY_FILE REQUESTS IN_FLIGHT RATE
// RATE 0: as fast as answers come. Otherwise so many a second by the clock, and for each the microseconds from when it was
// due to its answer are printed, one a line. Fails if a push is not accepted.
import { readFileSync } from "node:fs";
import apn from "@parse/node-apn";

const PATHS = 25000;
const [port, caFile, keyFile, bodyFile, requests, inFlight, rate] = process.argv.slice(2);
const provider = new apn.Provider({
  address: "127.0.0.1",
  port: Number(port),
  ca: readFileSync(caFile),
  token: { key: readFileSync(keyFile), keyId: "ABC123DEFG", teamId: "TEAM123456" },
  production: true,
});
const notification = new apn.Notification({ topic: "com.example.chat", pushType: "alert", priority: 10, expiry: 1795000000 });
notification.rawPayload = JSON.parse(readFileSync(bodyFile, "utf8"));
const took = [];
const started = performance.now();
let next = 0;

async function lane() {
  while (next < Number(requests)) {
    const number = next++;
    const due = Number(rate) ? started + (number * 1000) / Number(rate) : performance.now();
    const early = due - performance.now();
    if (early > 0) {
      await new Promise((resolve) => setTimeout(resolve, early));
    }
    const { sent, failed } = await provider.send(notification, (number % PATHS).toString(16).padStart(64, "0"));
    if (sent.length !== 1) {
      throw new Error(`not accepted: ${JSON.stringify(failed)}`);
    }
    took.push(performance.now() - due);
  }
}

await Promise.all(Array.from({ length: Number(inFlight) }, lane));
if (Number(rate)) {
  console.log(took.map((milliseconds) => Math.round(milliseconds * 1000)).join("\n"));
}
await provider.shutdown();
process.exit(0);
