"""What phones say of pushes: that the app has one, that its user opened it.

Who says so is proven by a device token, by the token that the push itself bore (no key is needed then, and `device` says which
phone it is), or by an API key of a backend that its phones told. A receipt is idempotent: the tenth is answered as the first.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest import problems
from wakeline.edges.rest.caller import NOBODY, DeviceGrant
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.problems import Problem
from wakeline.edges.rest.shapes import Opaque, Strict, View
from wakeline.model import ids
from wakeline.model.delivery import Delivery, DeliveryState
from wakeline.model.device import Device
from wakeline.model.errors import InvalidRequest, NotAllowed, NotFound, RequestError, Unauthenticated
from wakeline.model.key import Scope
from wakeline.model.notification import Notification
from wakeline.model.receipt import ReceiptKind
from wakeline.pipeline.receiving import PIECE, Said
from wakeline.ports.receipts import Heard
from wakeline.wire import receipt_token

MOST = 500
"""Receipts in a request."""

_FEW = 10
"""Receipts that are read at once; more wait for their turn, since a hundred such lists at once would hold up pushes."""

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class ReceiptBody(Strict, frozen=True, kw_only=True):
    """A receipt. `receipt`: the token that came with the push, under `wakeline` of its data; `device`: the phone's own id.

    With a device token neither is needed, and no `device` where the notification went to one device.
    """

    notification: _Text
    status: ReceiptKind
    device: Opaque | UnsetType = UNSET
    receipt: _Text | UnsetType = UNSET


class ReceiptsBody(Strict, frozen=True, kw_only=True):
    """Either `receipts`, or the fields of one receipt by themselves."""

    receipts: Annotated[tuple[ReceiptBody, ...], msgspec.Meta(max_length=MOST)] | UnsetType = UNSET
    notification: _Text | UnsetType = UNSET
    status: ReceiptKind | UnsetType = UNSET
    device: Opaque | UnsetType = UNSET
    receipt: _Text | UnsetType = UNSET


class TakenReceipt(View, frozen=True, kw_only=True):
    """A receipt that was taken, by its place in the request; `state` is what its delivery is now."""

    index: int
    notification: str
    state: DeliveryState


class RejectedReceipt(View, frozen=True, kw_only=True):
    """A receipt that means nothing here, and why."""

    index: int
    notification: str
    problem: Problem


class ReceiptsView(View, frozen=True, kw_only=True):
    """What became of each receipt."""

    accepted: tuple[TakenReceipt, ...]
    rejected: tuple[RejectedReceipt, ...]


async def receive(call: Call) -> Answer:
    """Take receipts; one alone that is wrong is the answer itself, of several each is told beside the others."""
    body: ReceiptsBody = call.body
    given = _given(body)
    if call.caller is NOBODY and all(one.receipt is UNSET for one in given):
        raise Unauthenticated(
            "nothing proves who says so",
            fix=f"Send a device token as Bearer, or the `receipt` that the push bore under `{receipt_token.FIELD}`.",
        )
    if not given and body.receipts is UNSET:
        raise InvalidRequest("there is no receipt in it", pointer="/receipts", fix="Give `notification` and `status`.")
    answers = await _Desk(call).take(given)
    if body.receipts is UNSET and isinstance(answers[0], RequestError):
        raise answers[0]
    return Answer(body=_view(given, answers, call.request_id))


class _Desk:
    """Finds out what each receipt is about, and whether it is proven; what was looked up serves the whole request."""

    def __init__(self, call: Call) -> None:
        self._ports = call.ports
        self._caller = call.caller
        self._keys: tuple[bytes, ...] = ()
        self._devices: dict[tuple[int, str], Device | None] = {}

    async def take(self, given: tuple[ReceiptBody, ...]) -> list[DeliveryState | RequestError]:
        """Note receipts; returns what their deliveries are now, or what is wrong with one, in the order given."""
        if self._caller is NOBODY:
            self._keys = self._ports.secrets.accepted(receipt_token.PURPOSE)
        if len(given) <= _FEW:
            return await self._note(given)
        answers: list[DeliveryState | RequestError] = []
        async with self._ports.pipeline.receiving.turn:
            for start in range(0, len(given), PIECE):
                answers += await self._note(given[start : start + PIECE])
                await asyncio.sleep(0)
        return answers

    async def _note(self, given: tuple[ReceiptBody, ...]) -> list[DeliveryState | RequestError]:
        found = await self._read(given)
        heard = iter(await self._ports.pipeline.receiving.note([one for one in found if isinstance(one, Said)]))
        return [_answered(next(heard)) if isinstance(one, Said) else one for one in found]

    async def _read(self, given: tuple[ReceiptBody, ...]) -> list[Said | RequestError]:
        found: list[Said | RequestError] = []
        for one in given:
            try:
                found.append(await self._said(one))
            except RequestError as error:
                found.append(error)
        return found

    async def _said(self, one: ReceiptBody) -> Said:
        key = ids.parse_key(one.notification)
        grant = self._caller.grant
        if grant is not None:
            if one.device not in (UNSET, grant.device_id):
                raise NotAllowed("this device token is for another device")
            device = await self._device(grant.app, grant.device_id)
            _check_holder(grant, device, key)
            return Said(device, key, one.status)
        if self._caller is NOBODY:
            self._prove(one, key)
        notification = await self._notification(one, key)
        name = await self._only_device(notification) if one.device is UNSET else one.device
        certain = self._caller is not NOBODY or one.device is UNSET
        return Said(await self._device(notification.app, name), key, one.status, certain)

    async def _only_device(self, notification: Notification) -> str:
        """Return the device that a notification went to, if that is one: of a raw token, its phone does not know the id."""
        deliveries: tuple[Delivery, ...] = ()
        if not notification.bulk:
            deliveries = (
                await self._ports.ledger.deliveries(notification.key, now=self._ports.clock.now(), limit=2)
            ).deliveries
            await asyncio.sleep(
                0
            )  # with many recipients that took a millisecond, and a list may ask for it fifty times
        if len(deliveries) != 1:
            raise InvalidRequest(
                "it was sent to several devices, and `device` says which one this is",
                pointer="/device",
                fix="Give the id with which the app registered.",
            )
        return deliveries[0].device_id

    def _prove(self, one: ReceiptBody, key: int) -> None:
        if one.receipt is UNSET or not receipt_token.proves(one.receipt, key, self._keys):
            raise Unauthenticated(
                "this receipt token does not belong to the notification",
                fix=f"Send `id` and `receipt` as the push bore them under `{receipt_token.FIELD}`.",
            )

    async def _notification(self, one: ReceiptBody, key: int) -> Notification:
        notification = (await self._ports.ledger.notifications([key])).get(key)
        app = self._ports.apps.by_id(notification.app) if notification is not None else None
        if notification is None or app is None or not self._caller.sees(app.slug):
            raise NotFound(f"there is no notification {one.notification}", fix="It may be older than the ledger keeps.")
        return notification

    async def _device(self, app: int, device_id: str) -> Device:
        place = app, device_id
        if place not in self._devices:
            self._devices[place] = await self._ports.devices.get(app, device_id)
        device = self._devices[place]
        if device is None:
            if self._caller is NOBODY:  # who was sent the notification does not learn which devices there are
                raise _not_sent()
            raise NotFound("there is no such device", fix="Have the app register it first.")
        return device


def _check_holder(grant: DeviceGrant, device: Device, key: int) -> None:
    """Refuse what people who held the device before say of what was sent since; a token that names nobody is the phone's."""
    former = grant.users and set(grant.users).isdisjoint(device.users)
    if former and ids.milliseconds_of(key) >= device.held_since:
        raise NotAllowed(
            "the device is held by others now", fix="Ask your backend for a device token of the present user."
        )


def _not_sent() -> NotFound:
    return NotFound("nothing of this notification was sent to the device", fix="Check both ids.")


def _given(body: ReceiptsBody) -> tuple[ReceiptBody, ...]:
    if body.receipts is not UNSET:
        if not all(field is UNSET for field in (body.notification, body.status, body.device, body.receipt)):
            raise InvalidRequest("a receipt stands either in `receipts` or by itself", pointer="/receipts")
        return body.receipts
    if body.notification is UNSET and body.status is UNSET:
        return ()
    if body.notification is UNSET:
        raise InvalidRequest("a receipt needs the id of its notification", pointer="/notification")
    if body.status is UNSET:
        raise InvalidRequest("a receipt needs a status", pointer="/status", fix=f"Use {' or '.join(ReceiptKind)}.")
    one = ReceiptBody(notification=body.notification, status=body.status, device=body.device, receipt=body.receipt)
    return (one,)


def _answered(heard: Heard) -> DeliveryState | RequestError:
    if heard.state is None:
        return _not_sent()
    return heard.state


def _view(given: tuple[ReceiptBody, ...], answers: list[DeliveryState | RequestError], request_id: str) -> ReceiptsView:
    accepted: list[TakenReceipt] = []
    rejected: list[RejectedReceipt] = []
    for index, (one, answer) in enumerate(zip(given, answers, strict=True)):
        if isinstance(answer, RequestError):
            problem = problems.problem_of(answer, request_id)
            rejected.append(RejectedReceipt(index=index, notification=one.notification, problem=problem))
        else:
            accepted.append(TakenReceipt(index=index, notification=one.notification, state=answer))
    return ReceiptsView(accepted=tuple(accepted), rejected=tuple(rejected))


OPERATIONS = (
    Operation(
        name="receipt.receive",
        method="POST",
        path="/v1/receipts",
        handler=receive,
        summary="Say that a phone has a push, or that its user opened it",
        reach=Reach.PROVEN,
        scopes=(Scope.DEVICES,),
        request=ReceiptsBody,
        response=ReceiptsView,
        problems=(NotFound,),
        device_token=True,
        idempotent=Idempotent.STORED,
    ),
)
