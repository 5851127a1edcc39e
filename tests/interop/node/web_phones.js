// Two phones that are web pages, by JsSIP, unchanged: one calls the other, who answers; one of them hangs up; then one writes to the other.
// Arguments: the directory that holds node_modules, and a JSON document {url, domain, password, ends: "alice" | "bob"}.
// Prints what each of them saw, in order. A browser's media are not here: an RTCPeerConnection stands in that only knows offers.
'use strict';

const path = require('path');

const [modules, text] = process.argv.slice(2);
const load = (name) => require(require.resolve(name, { paths: [path.resolve(modules)] }));
const { url, domain, password, ends } = JSON.parse(text);

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=sendrecv\r\n';

class Connection {
  constructor() {
    this.iceGatheringState = 'complete';
    this.signalingState = 'stable';
    this.localDescription = null;
  }
  addEventListener() {}
  removeEventListener() {}
  getSenders() { return []; }
  getReceivers() { return []; }
  close() { this.signalingState = 'closed'; }
  async createOffer() { return { type: 'offer', sdp: SDP }; }
  async createAnswer() { return { type: 'answer', sdp: SDP }; }
  async setLocalDescription(description) { this.localDescription = description; }
  async setRemoteDescription() {}
}

global.window = global;
global.WebSocket = load('ws');
global.RTCPeerConnection = Connection;
global.RTCSessionDescription = class { constructor(description) { Object.assign(this, description); } };
const JsSIP = load('jssip');

const seen = [];
const see = (who, event, detail) => seen.push({ who, event, detail: detail === undefined ? null : detail });
const noMedia = { mediaConstraints: { audio: false, video: false }, rtcOfferConstraints: { offerToReceiveAudio: 1 } };

function phone(user) {
  const sockets = [new JsSIP.WebSocketInterface(url)];
  return new JsSIP.UA({ sockets, uri: `sip:${user}@${domain}`, password, register: true, session_timers: false });
}

function registered(ua, who) {
  return new Promise((resolve, reject) => {
    ua.on('registered', (event) => { see(who, 'registered', event.response.status_code); resolve(); });
    ua.on('registrationFailed', (event) => reject(new Error(`${who}: ${event.cause}`)));
    ua.start();
  });
}

function follow(session, who, ended) {
  session.on('progress', (event) => event.response && see(who, 'progress', event.response.status_code));
  session.on('confirmed', () => {
    see(who, 'confirmed');
    if (who === ends) session.terminate();
  });
  session.on('ended', (event) => { see(who, 'ended', event.originator); ended(); });
  session.on('failed', (event) => { see(who, 'failed', event.cause); ended(); });
}

async function main() {
  const [alice, bob] = [phone('alice'), phone('bob')];
  await registered(alice, 'alice');
  await registered(bob, 'bob');
  const rung = new Promise((resolve) => {
    bob.on('newRTCSession', ({ session, originator }) => {
      if (originator !== 'remote') return;
      follow(session, 'bob', resolve);
      session.answer(noMedia);
    });
  });
  const called = new Promise((resolve) => follow(alice.call(`sip:bob@${domain}`, noMedia), 'alice', resolve));
  await Promise.all([rung, called]);
  const read = new Promise((resolve) => {
    bob.on('newMessage', ({ originator, request }) => {
      if (originator !== 'remote') return;
      see('bob', 'read', request.body);
      resolve();
    });
  });
  const written = new Promise((resolve, reject) => {
    const succeeded = (event) => { see('alice', 'written', event.response.status_code); resolve(); };
    alice.sendMessage(`sip:bob@${domain}`, 'Grüße', { eventHandlers: { succeeded, failed: (event) => reject(new Error(event.cause)) } });
  });
  await Promise.all([read, written]);
  process.stdout.write(JSON.stringify(seen));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error, JSON.stringify(seen));
    process.exit(1);
  }
);
