"""Sends one push to each device with aapns, unchanged, and prints what it makes of the answers.

Argument: a JSON document {host, port, ca, certificate, topic, devices}. Run with the directory of aapns on PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aapns.api import Server
from aapns.errors import APNSError, ResponseError, UnknownResponseError
from aapns.models import Alert, Notification


async def main(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each device the name of the error that was raised (empty: none) and its reason."""
    server = Server(asked["certificate"], asked["host"], asked["port"], asked["ca"])
    client = await server.create_client()

    async def push(device: str) -> dict[str, Any]:
        notification = Notification(alert=Alert(body="hello"))
        try:
            await client.send_notification(device, notification, topic=asked["topic"])
        except ResponseError as error:
            name = "" if isinstance(error, UnknownResponseError) else error.codename
            return {"error": name, "reason": error.reason, "known": bool(name)}
        except APNSError as error:
            return {"error": type(error).__name__, "reason": str(error), "known": False}
        return {"error": "", "reason": "", "known": True}

    try:
        return [await push(device) for device in asked["devices"]]
    finally:
        await client.close()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
