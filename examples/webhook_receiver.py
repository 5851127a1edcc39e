"""A program that is told of events, with nothing but Python's standard library.

WEBHOOK_SECRET=whsec_... python webhook_receiver.py 8000
wakeline webhook create http://127.0.0.1:8000/        # with allow_private and allow_http in [webhooks]
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
OLDEST = 300
"""Seconds that a message may be old: one that somebody recorded and sends again is older."""

seen: set[str] = set()
"""Ids of what was taken. In earnest: a unique key in the database, written in the transaction that does the work."""


def verified(headers: Message, body: bytes) -> bool:
    """Tell whether a message is from the gateway, whole and fresh."""
    message_id, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent.isdecimal() or abs(time.time() - int(sent)) > OLDEST:
        return False
    signed = f"{message_id}.{sent}.".encode() + body
    wanted = b"v1," + base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256))
    # While a secret is rotated there are two signatures.
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(wanted, one) for one in given)


class Receiver(BaseHTTPRequestHandler):
    """Answers at once: 204 for what is taken or was taken before, 401 for what is not from the gateway."""

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if not verified(self.headers, body):
            self.send_error(401)
            return
        message_id = self.headers["webhook-id"]
        if message_id not in seen:
            event = json.loads(body)
            print(event["timestamp"], event["type"], json.dumps(event["data"]), flush=True)
            seen.add(message_id)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
    server.serve_forever()
