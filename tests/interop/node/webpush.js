// Sends Web Push messages with web-push, unchanged, and prints what it makes of the answers.
// Arguments: the directory that holds node_modules, and a JSON document {ca, vapid, subscriptions}.
'use strict';

const https = require('https');
const path = require('path');

const [modules, text] = process.argv.slice(2);
const webpush = require(require.resolve('web-push', { paths: [path.resolve(modules)] }));

async function main() {
  const { ca, vapid, subscriptions } = JSON.parse(text);
  const keys = { ...vapid, ...webpush.generateVAPIDKeys() };
  const options = { vapidDetails: keys, TTL: 60, urgency: 'high', topic: 'chat', agent: new https.Agent({ ca }) };
  const results = [];
  for (const subscription of subscriptions) {
    const send = webpush.sendNotification(subscription, JSON.stringify({ title: 'Hello' }), options);
    results.push(await send.then(
      (answer) => ({ status: answer.statusCode }),
      (error) => ({ status: error.statusCode, error: error.name, body: error.body })
    ));
  }
  process.stdout.write(JSON.stringify(results));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  }
);
