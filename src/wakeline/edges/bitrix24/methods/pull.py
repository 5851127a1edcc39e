"""`pull.*`: pushes to the phones of an application's users, and what a client asks of the channels of a portal.

`pull.application.push.add` answers true as soon as it is understood, as on a portal, whether or not a phone is reached.

Channels (RTC) are not ours: `config.get` says so (`server_enabled` and `publish_enabled` false), and there is no server that a
client could listen to. An event for them (`event.add`) goes the way we have: a push that wakes the application's app on the
phones of those users and shows nothing, with `module_id`, `command` and `params` as its data; the shared channel is all users.

Source: Bitrix24 REST, pages of these methods.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import urlsplit

import structlog

from wakeline.edges.bitrix24 import pushing, reading
from wakeline.edges.bitrix24.answers import atom
from wakeline.edges.bitrix24.call import Auth, Call, Method, MethodError, Result
from wakeline.edges.bitrix24.reading import Value
from wakeline.edges.bitrix24.refusals import Refusal

CHANNEL_LIFETIME = 43_205
"""Seconds that the name of a channel is good for."""

_PUSH_AUTH = "Send push notifications available only for application authorization."
_CHANNEL_AUTH = "Get access to application config available only for application authorization."
_PUBLIC_AUTH = "Public channels are given to applications only: call this method with an access token."
_USER_AUTH = "Method not available for OAuth authorization."

_MOST_USERS = 1000
_MOST_TAGS = 1000
_MODULE = re.compile(r"[a-z0-9._]+")
_COMMAND = re.compile(r"[\w:|.\-]+", re.ASCII)
_REVISIONS = {"revision_web": 19, "revision_mobile": 3}

_log = structlog.get_logger()


async def push_add(call: Call) -> Result:
    """Send a notification to the users of the application's app."""
    application = pushing.application_of(call, _PUSH_AUTH)
    if not call.caller.user.admin:
        raise MethodError(400, "ACCESS_ERROR", "You do not have access to send push notifications")
    text = reading.text(call.params, "TEXT")
    if text in {"", "0"}:
        raise MethodError(400, "TEXT_ERROR", "Text can't be empty")
    if not application.name.strip():
        raise MethodError(400, "EMPTY_APP_NAME", "For send push-notification application name can't be empty")
    users = await pushing.wanting(call, reading.numbers(call.params, "USER_ID"))
    if not users:
        _log.info("bitrix24.nobody_wanted", request_id=call.request_id, method=call.method)
        return Result(value=True)
    avatar = reading.text(call.params, "AVATAR")
    request = pushing.alert(users, title=application.name, body=text, group=application.client_id, avatar=avatar)
    await pushing.send(call, pushing.app_of(call), request)
    return Result(value=True)


async def event_add(call: Call) -> Result:
    """Wake the application's app on the phones of users with a command."""
    pushing.application_of(call, _CHANNEL_AUTH)
    numbers = _listeners(call)
    module = reading.text(call.params, "MODULE_ID", "application") or "application"
    if not _MODULE.fullmatch(module):
        raise MethodError(400, "MODULE_ID_ERROR", "Module ID format error")
    command = reading.text(call.params, "COMMAND")
    if not _COMMAND.fullmatch(command):
        raise MethodError(400, "COMMAND_ERROR", "Command format error")
    data: dict[str, Value] = {"module_id": module, "command": command, "params": _event_params(call)}
    if numbers is None:
        numbers = [user.id for user in await call.ports.access.users()]
    if users := await pushing.wanting(call, numbers):
        await pushing.send(call, pushing.app_of(call), pushing.background(users, data))
    return Result(value=True)


def _listeners(call: Call) -> list[int] | None:
    """Return for whom an event is; None: the shared channel. Raises MethodError if the caller may not speak to them."""
    if call.params.get("USER_ID") in (None, "", []):
        return None
    numbers = reading.numbers(call.params, "USER_ID")
    user = call.caller.user
    if not user.admin and numbers != [user.id]:
        raise MethodError(400, "USER_ID_ACCESS_ERROR", "Only admin can send notifications to other channels")
    return numbers


def _event_params(call: Call) -> Value:
    """Return the data of an event: a map or list as it is, or a text that says one. Raises MethodError."""
    given = call.params.get("PARAMS")
    match given:
        case None | "" | False:
            return {}
        case dict() | list():
            return given
        case str() if (said := reading.tree(call.params, "PARAMS")) or given.strip() in {"{}", "[]"}:
            return said
        case _:
            raise MethodError(400, "PARAMS_ERROR", "Params format error")


async def application_config(call: Call) -> Result:
    """Say which channels an application's user has, and that there is no server for them."""
    application = pushing.application_of(call, _CHANNEL_AUTH)
    return Result(_config(call, application.client_id) | {"clientId": application.client_id})


async def user_config(call: Call) -> Result:
    """Say which channels a user has, and that there is no server for them."""
    return Result(_config(call, "") | {"serverTime": atom(call.now // 1000)})


async def public_channel(call: Call) -> Result:
    """Say by which name others know a user's channel: the portal's, or with APPLICATION the application's."""
    owner, number = _owner(call), reading.number(call.params, "USER_ID", 0) or 0
    return Result(_public(call, owner, number))


async def public_channels(call: Call) -> Result:
    """Say so of several users, by their ids."""
    numbers = [number for number in reading.numbers(call.params, "USERS") if number > 0]
    if not 0 < len(numbers) <= _MOST_USERS:
        raise MethodError(400, "INVALID_FORMAT", "A wrong format for the USERS field is passed")
    owner = _owner(call)
    return Result({str(number): _public(call, owner, number) for number in numbers})


async def extend_watch(call: Call) -> Result:
    """Say of each tag that nobody watches it any more: what a portal answers for one that has ended, so that clients let go."""
    given = call.params.get("TAGS")
    tags = reading.texts({"TAGS": reading.tree(call.params, "TAGS") or given}, "TAGS")
    if len(tags) > _MOST_TAGS:
        raise Refusal.ARGUMENT.error(f"Argument 'TAGS' has more than {_MOST_TAGS} values", argument="TAGS")
    return Result(dict.fromkeys(tags, False))


def _owner(call: Call) -> str:
    if not reading.flag(call.params, "APPLICATION"):
        return ""
    if call.caller.application is None:
        raise MethodError(400, "WRONG_AUTH_TYPE", _PUBLIC_AUTH)
    return call.caller.application.client_id


def _public(call: Call, owner: str, user: int) -> dict[str, Value]:
    return {
        "user_id": user,
        "public_id": _channel(call, owner, f"public/{user}"),
        "signature": "",  # there is no server that would look at it
        **_life(call),
    }


def _start(call: Call) -> int:
    return call.now // 1000 // CHANNEL_LIFETIME * CHANNEL_LIFETIME


def _life(call: Call) -> dict[str, str]:
    return {"start": atom(_start(call)), "end": atom(_start(call) + CHANNEL_LIFETIME)}


def _channel(call: Call, owner: str, name: str) -> str:
    member = call.ports.access.portal().member_id
    return hashlib.sha256(f"{member}/{owner}/{name}/{_start(call)}".encode()).hexdigest()[:32]


def _config(call: Call, owner: str) -> dict[str, Any]:
    user, life = call.caller.user.id, _life(call)
    shared, private, public = (_channel(call, owner, name) for name in ("shared", f"private/{user}", f"public/{user}"))
    return {
        "server": _server(call),
        "api": _REVISIONS,
        "channels": {
            "shared": {"id": shared, "type": "shared", **life},
            "private": {"id": private, "public_id": public, "type": "private", **life},
        },
        "publicChannels": {},
    }


def _server(call: Call) -> dict[str, Any]:
    """Return what a client is told of a server that is not there; `long_pooling_secure` is the protocol's spelling."""
    return {
        "version": 4,
        "server_enabled": False,
        "mode": "personal",
        "hostname": urlsplit(call.base).hostname or "",
        "long_polling": "",
        "long_pooling_secure": "",
        "websocket_enabled": False,
        "websocket": "",
        "websocket_secure": "",
        "publish_enabled": False,
        "publish": "",
        "publish_secure": "",
        "config_timestamp": 0,
    }


METHODS: tuple[Method, ...] = (
    Method(
        name="pull.application.push.add", scope="pull", handler=push_add, auth=Auth.APPLICATION, wrong_auth=_PUSH_AUTH
    ),
    Method(
        name="pull.application.event.add",
        scope="pull",
        handler=event_add,
        auth=Auth.APPLICATION,
        wrong_auth=_CHANNEL_AUTH,
    ),
    Method(
        name="pull.application.config.get",
        scope="pull",
        handler=application_config,
        auth=Auth.APPLICATION,
        wrong_auth=_CHANNEL_AUTH,
    ),
    Method(name="pull.watch.extend", scope="pull", handler=extend_watch),
    Method(name="pull.config.get", scope="pull_channel", handler=user_config, auth=Auth.WEBHOOK, wrong_auth=_USER_AUTH),
    Method(name="pull.channel.public.get", scope="pull_channel", handler=public_channel),
    Method(name="pull.channel.public.list", scope="pull_channel", handler=public_channels),
)
