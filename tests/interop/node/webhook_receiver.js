// Somebody's program in Node that is told of events, and believes only what npm standardwebhooks verifies.
// node webhook_receiver.js <directory with node_modules> <secret>: prints its port; GET tells what it took, POST is a message.
'use strict';
const http = require('node:http');
const path = require('node:path');

const [modules, secret] = process.argv.slice(2);
const { Webhook } = require(path.join(modules, 'node_modules', 'standardwebhooks'));
const webhook = new Webhook(secret);
const taken = [];
const refused = [];

http
  .createServer((request, response) => {
    if (request.method === 'GET') {
      response.end(JSON.stringify({ taken, refused }));
      return;
    }
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      try {
        const payload = webhook.verify(Buffer.concat(parts).toString('utf8'), request.headers);
        taken.push({ id: request.headers['webhook-id'], payload });
        response.writeHead(204).end();
      } catch (error) {
        refused.push(error.message);
        response.writeHead(400).end();
      }
    });
  })
  .listen(0, '127.0.0.1', function () {
    console.log(this.address().port);
  });
