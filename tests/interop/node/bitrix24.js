// Talks to a Bitrix24 portal with @bitrix24/b24jssdk, unchanged, and prints what it makes of the answers.
// Arguments: the directory that holds node_modules, and a JSON document {hook, portal, application}.
'use strict';

const path = require('path');

const [modules, text] = process.argv.slice(2);
const sdk = require(require.resolve('@bitrix24/b24jssdk', { paths: [path.resolve(modules)] }));

function told(answer) {
  if (answer.isSuccess) {
    const data = answer.getData();
    return { result: data && data.result !== undefined ? data.result : data };
  }
  return { errors: answer.getErrorMessages(), codes: [...answer.getErrors()].map((error) => error.code) };
}

async function rows(actions) {
  const found = [];
  const params = { select: ['ID', 'TITLE'] };
  for await (const chunk of actions.fetchList.make({ method: 'crm.deal.list', params, idKey: 'ID' })) {
    found.push(...chunk.map((row) => row.ID));
  }
  return found;
}

async function hook(url) {
  const { v2 } = sdk.B24Hook.fromWebhookUrl(url).actions;
  const calls = {
    list: { method: 'crm.deal.list', params: { filter: { '>ID': 300 } } },
    get: { method: 'crm.deal.get', params: { ID: '$result[list][0][ID]' } },
  };
  const listed = await v2.callList.make({ method: 'crm.deal.list', params: { select: ['ID'] }, idKey: 'ID' });
  return {
    profile: told(await v2.call.make({ method: 'profile' })),
    listed: listed.getData().map((row) => row.ID),
    fetched: await rows(v2),
    batch: told(await v2.batch.make({ calls, options: { isHaltOnError: false } })),
    unknown: await v2.call.make({ method: 'no.such.method' }).then(told, (error) => ({ codes: [error.code] })),
    push: await v2.call
      .make({ method: 'pull.application.push.add', params: { USER_ID: [1], TEXT: 'Hi' } })
      .then(told, (error) => ({ codes: [error.code] })),
  };
}

async function application(portal, options, secret) {
  const b24 = new sdk.B24OAuth({ ...options, clientEndpoint: `${portal}/rest/`, serverEndpoint: `${portal}/rest/` }, secret);
  const refreshed = [];
  b24.setCallbackRefreshAuth(async ({ authData }) => refreshed.push(authData.access_token));
  const push = await b24.actions.v2.call.make({
    method: 'pull.application.push.add',
    params: { USER_ID: [1, 2], TEXT: 'Hello, world!' },
  });
  return { push: told(push), refreshed: refreshed.length };
}

async function main() {
  const asked = JSON.parse(text);
  const results = [await hook(asked.hook), await application(asked.portal, asked.options, asked.secret)];
  process.stdout.write(JSON.stringify(results));
}

main().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`${error && error.stack}\n`);
    process.exit(1);
  },
);
