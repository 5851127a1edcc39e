"""Calls of a connected portal's users, in the portal's own record of calls. Source: Bitrix24 REST, `telephony.externalCall.*`.

A call that rings such a user is registered there (TYPE 2: the portal looks up whose number that is) and its card is shown; when
it ends, it is finished with duration and status. All of it goes through the outbox: durable, in order, once.

A user of ours whose name bears the portal's prefix is known by his number there (`<member_id>:7`). Who is called by SIP is known by
his inner number: `sip:107@example.org` is whoever has 107 on the portal, which looks that up itself.

Rule 1: a finish is written together with the register, due some hours later, and the real one takes its place. So no card
hangs for ever because nobody told how a call ended.
Rule 2: the first end that is told counts; but a call in which people talked was answered, whatever was told before.
Rule 3: nobody wants the card of a call that is over: what could not be registered while it rang is registered without.
Rule 4: a call that a user began on the portal (ONEXTERNALCALLSTART) is registered there already, and only wants its finish.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
import structlog

from wakeline.connectors.bitrix24 import kinds
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.errors import NotFound
from wakeline.ports.bitrix24_connector import CallBegan, CallEnded, Installations, Outbox

REGISTER = "telephony.externalcall.register"
SHOW = "telephony.externalcall.show"
FINISH = "telephony.externalcall.finish"
MOST_SHOWN = 100
"""Users to whom a card is shown at once."""
UNKNOWN = "OTHER"
"""Bitrix24's status of a call of which nobody knows how it ended."""

_INCOMING = 2
_LONGEST_REASON = 255
_KNOWN = frozenset({200, 304, 402, 403, 404, 423, 480, 484, 486, 503, 603})
_SAME: Mapping[int, str] = {408: "304", 410: "404", 487: "304", 600: "486", 604: "404"}
"""SIP's further words (RFC 3261 section 21) for a status of Bitrix24: who was not answered in time, or hung up, was missed."""

_log = structlog.get_logger()

Params = dict[str, object]

Who = int | str
"""A user of a portal: his number there, or his inner phone number."""

_Rung = tuple[CallBegan, list[Who]]
"""A call, and whom it rings on one portal."""

_EXTENSION = re.compile(r"sip:([0-9]{1,20})@.+")


class Calls:
    """`CallJournal` over the outbox. `ring` says that an installation has something to send; `patience` is rule 1's, in seconds."""

    def __init__(
        self,
        installations: Installations,
        outbox: Outbox,
        ring: Callable[[int], None],
        patience: Callable[[], int],
    ) -> None:
        self._installations = installations
        self._outbox = outbox
        self._ring = ring
        self._patience = patience

    def keeps(self, app: int, user: str) -> bool:
        """Tell whether this is a user of a portal that wants to know of calls."""
        return self._home(app, user) is not None

    async def began(self, calls: Sequence[CallBegan]) -> None:
        """Register calls; one that is registered is shown to its further users. Raises StoreUnavailable."""
        rung: dict[int, list[_Rung]] = {}
        for call in calls:
            for installation, users in self._guests(call).items():
                rung.setdefault(installation, []).append((call, users))
        await asyncio.gather(*(self._register(*each) for each in rung.items()))

    async def placed(self, installation: Installation, data: Mapping[str, object], at: int) -> None:
        """Note a call that a user began on the portal, as its event tells it (`at`, Unix ms). Raises StoreUnavailable."""
        call, user = data.get("CALL_ID"), kinds.number_of(data.get("USER_ID"))
        if installation.telephony and isinstance(call, str) and call and user:
            await self._put(installation.id, [self._finish(installation.id, call, user, at, register="")])

    async def ended(self, call: CallEnded) -> bool:
        """Finish a call wherever it was registered; False: nowhere. Raises StoreUnavailable."""
        homes = [each for each in self._installations.all() if each.app == call.app]
        found = await asyncio.gather(*(self._end(each, call) for each in homes))
        return any(found)

    # --- whose call it is

    def _home(self, app: int, user: str) -> tuple[Installation, Who] | None:
        """Return the portal of a user of an app, and who he is there; of several the one with the longest prefix."""
        homes = (
            (each, who)
            for each in self._installations.all()
            if each.app == app and _is_interested(each) and (who := who_of(each, user))
        )
        return max(homes, key=lambda home: len(home[0].prefix), default=None)

    def _guests(self, call: CallBegan) -> dict[int, list[Who]]:
        """Return which users a call rings, by installation."""
        found: dict[int, list[Who]] = {}
        for user in dict.fromkeys(call.users):
            home = self._home(call.app, user)
            if home is not None:
                found.setdefault(home[0].id, []).append(home[1])
        return found

    # --- a call begins

    async def _register(self, installation: int, told: Sequence[_Rung]) -> None:
        rung = [one for one in told if not await self._is_placed(installation, one[0].call_id)]
        if not rung:
            return
        kept = await self._put(installation, [each for one in rung for each in self._writes(installation, *one)])
        cards = [_card(register, *one) for one, register in zip(rung, kept[::2], strict=False)]
        if any(cards):
            await self._put(installation, [card for card in cards if card is not None])

    async def _is_placed(self, installation: int, call: str) -> bool:
        """Tell whether the portal itself registered a call (rule 4): whoever rings for it again registers no other."""
        known = await self._outbox.by_key(installation, _finish_key(call))
        return known is not None and not known.after

    def _writes(self, installation: int, call: CallBegan, users: Sequence[Who]) -> tuple[PortalWrite, PortalWrite]:
        key, params = _register_key(call.call_id), _registration(call, users[0])
        finish = self._finish(installation, call.call_id, users[0], call.at, register=key)
        return _write(installation, REGISTER, params, key=key, at=call.at), finish

    def _finish(self, installation: int, call: str, user: Who, at: int, *, register: str) -> PortalWrite:
        """Return the finish that is sent if nobody tells how a call ended."""
        params: Params = {
            "CALL_ID": "$result[CALL_ID]" if register else call,
            **_named(user),
            "DURATION": 0,
            "STATUS_CODE": UNKNOWN,
        }
        finish = _write(installation, FINISH, params, key=_finish_key(call), after=register, at=at)
        return msgspec.structs.replace(finish, due=at + 1000 * self._patience())

    async def _put(self, installation: int, writes: Sequence[PortalWrite]) -> list[PortalWrite]:
        try:
            kept = await self._outbox.put(writes)
        except NotFound:
            _log.info("bitrix24.call_of_nobody", installation=installation)
            return []
        self._ring(installation)
        return kept

    # --- a call ends

    async def _end(self, installation: Installation, call: CallEnded) -> bool:
        known = await self._outbox.by_key(installation.id, _finish_key(call.call_id))
        if known is None:
            return False
        said = msgspec.json.decode(known.params, type=Params)
        if known.state is WriteState.WAITING and (said.get("STATUS_CODE") == UNKNOWN or call.duration):
            await self._hide(installation.id, call)
            said |= _result(call)
            number = number_of(installation, call.user)
            said |= _named(number) if number else {}
            finish = msgspec.structs.replace(known, params=msgspec.json.encode(said), at=call.at, due=call.at)
            await self._outbox.replace(finish)
            self._ring(installation.id)
        return True

    async def _hide(self, installation: int, call: CallEnded) -> None:
        """Have no card shown for a call that is over before it was registered."""
        known = await self._outbox.by_key(installation, _register_key(call.call_id))
        if known is not None and known.state is WriteState.WAITING:
            said = msgspec.json.decode(known.params, type=Params)
            without = msgspec.structs.replace(known, params=msgspec.json.encode({**said, "SHOW": 0}))
            await self._outbox.replace(without)


def number_of(installation: Installation, user: str) -> int:
    """Return the number that a user of our registry has on a portal; 0: he is none of its users."""
    return kinds.number_of(user[len(installation.prefix) :]) if user.startswith(installation.prefix) else 0


def who_of(installation: Installation, user: str) -> Who:
    """Return who a user of our registry is on a portal; 0 or empty: he is none of its users."""
    extension = _EXTENSION.fullmatch(user)
    return number_of(installation, user) or (extension[1] if extension else "")


def _named(user: Who) -> Params:
    return {"USER_ID": user} if isinstance(user, int) else {"USER_PHONE_INNER": user}


def _is_interested(installation: Installation) -> bool:
    is_open = installation.state is InstallationState.ACTIVE and installation.names_users
    return installation.telephony and is_open


def _register_key(call: str) -> str:
    return f"call:{call}:register"


def _finish_key(call: str) -> str:
    return f"call:{call}:finish"


def _write(installation: int, method: str, params: Params, *, key: str, at: int, after: str = "") -> PortalWrite:
    """Return a write. Each may be repeated: what is registered, shown or finished twice is so once."""
    return PortalWrite(
        id=0,
        installation=installation,
        method=method,
        params=msgspec.json.encode(params),
        key=key,
        after=after,
        repeatable=True,
        at=at,
        due=at,
    )


def _card(register: PortalWrite, call: CallBegan, users: Sequence[Who]) -> PortalWrite | None:
    """Return what shows a registered call to those users for whom it is not registered."""
    owner = msgspec.json.decode(register.params, type=Params).get("USER_ID")
    others = [user for user in users if isinstance(user, int) and user != owner][:MOST_SHOWN]
    if not others:
        return None
    params: Params = {"CALL_ID": "$result[CALL_ID]", "USER_ID": others}
    key = f"call:{call.call_id}:show:{others[0]}"
    return _write(register.installation, SHOW, params, key=key, after=register.key, at=call.at)


def _registration(call: CallBegan, user: Who) -> Params:
    """Return a register's parameters. The same EXTERNAL_CALL_ID within 30 minutes is the same call, so it may be repeated."""
    params: Params = {
        **_named(user),
        "PHONE_NUMBER": call.phone,
        "TYPE": _INCOMING,
        "CALL_START_DATE": datetime.fromtimestamp(call.at // 1000, UTC).isoformat(),
        "EXTERNAL_CALL_ID": call.call_id,
        "SHOW": 1,
    }
    return {**params, "LINE_NUMBER": call.line} if call.line else params


def _result(call: CallEnded) -> Params:
    said: Params = {"DURATION": call.duration, "STATUS_CODE": status_of(call.status)}
    return {**said, "FAILED_REASON": call.reason[:_LONGEST_REASON]} if call.reason else said


def status_of(status: int) -> str:
    """Return Bitrix24's status of a call for SIP's."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return "200"
    return str(status) if status in _KNOWN else _SAME.get(status, UNKNOWN)
