// Runs web-push-testing, unchanged, as a push service on a free port of the loopback and prints {"port"}.
// Argument: the directory that holds node_modules. Ends when its input ends.
'use strict';

const http = require('http');
const path = require('path');

const place = { paths: [path.resolve(process.argv[2])] };
const Server = require(require.resolve('web-push-testing/src/server.js', place));
const { PushApiModel } = require(require.resolve('web-push-testing/src/PushApiModel.js', place));

const model = new PushApiModel();
const service = new Server(model, 0);
// It would listen on every address and print a line of its own.
service._app.listen = () => {
  const server = http.createServer(service._app).listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    model.notifyUrl = `http://127.0.0.1:${port}/notify/`;
    process.stdout.write(`${JSON.stringify({ port })}\n`);
  });
  return server;
};
service.startServer();
process.stdin.resume().on('end', () => process.exit(0));
