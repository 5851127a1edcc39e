// Sends pushes with @parse/node-apn, unchanged, and prints what it makes of the answers.
// Arguments: the directory that holds node_modules, and a JSON document {options, pushes: [{device, notification}]}.
'use strict';

const path = require('path');

const [modules, text] = process.argv.slice(2);
const apn = require(require.resolve('@parse/node-apn', { paths: [path.resolve(modules)] }));

async function main() {
  const { options, pushes } = JSON.parse(text);
  const provider = new apn.Provider(options);
  const results = [];
  for (const { device, notification } of pushes) {
    const { sent, failed } = await provider.send(new apn.Notification(notification), device);
    results.push({
      sent: sent.map((each) => each.device),
      failed: failed.map((each) => ({
        device: each.device,
        status: each.status,
        response: each.response,
        error: each.error && String(each.error),
      })),
    });
  }
  await provider.shutdown();
  process.stdout.write(JSON.stringify(results));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  }
);
