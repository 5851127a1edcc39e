"""Waking a phone: one push to exactly its device, through the same door as every other push, and what became of it at once.

A call goes in the lane of calls and lasts as long as the caller waits; pushes are the ones that liblinphone's apps know. The push
service's answer decides what the caller hears: a push that cannot be sent, or that is refused, wakes nobody, and waiting for
that phone ends at once (RFC 8599 section 5.6.2). A token that the push service calls gone leaves the registration (section 5.5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import msgspec
import structlog

from wakeline.config import Sip
from wakeline.edges.sip.decisions import decided
from wakeline.model.errors import StorageError, WakelineError
from wakeline.model.notification import Audience, NotificationRequest
from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.model.sip.binding import TOKEN_GONE, Binding, BindingChange
from wakeline.model.sip.push import PushParams
from wakeline.pipeline import Pipeline, Submission, Taken
from wakeline.ports import Apps, Clock, Replayed, Reply
from wakeline.ports.sip import SipBindings
from wakeline.wire.flexisip import payloads
from wakeline.wire.flexisip.payloads import Occasion
from wakeline.wire.sip.message import Request

_log = structlog.get_logger()


class Wake:
    """One push on its way. `pushed` is told once it is kept, `not_woken` with the reason if it wakes nobody; never both at once."""

    def __init__(
        self, wakes: Wakes, binding: Binding, call_id: str, pushed: Callable[[], None], not_woken: Callable[[str], None]
    ) -> None:
        self._wakes = wakes
        self._binding = binding
        self._call_id = call_id
        self._pushed = pushed
        self._not_woken = not_woken
        self._key = 0
        self._over = False
        self._sent = False
        self.taken_back = False
        """Whether it was not sent after all."""

    @property
    def out(self) -> bool:
        """Tell whether it is on its way, or has arrived for all we know."""
        return self._key != 0 and not self._over

    def answered(self, answer: Taken | Replayed | WakelineError) -> None:
        """Hear what became of it at the door."""
        match answer:
            case Taken(recipients=0):
                self._wakes.forget(answer.key)
                self._failed(answer.failures[0].cause if answer.failures else "Its tokens are not in use")
            case Taken(failures=()):
                self._key = answer.key
                decided("woken", call_id=self._call_id, aor=self._binding.aor, device=self._binding.device)
                if self._over:
                    self._wakes.forget(self._key)
                    self._wakes.take_back(self, self._binding, self._key)
                else:
                    self._pushed()
            case Taken():
                self._wakes.forget(answer.key)
                self._failed(answer.failures[0].cause)
            case WakelineError():
                self._failed(answer.detail)
            case Replayed():
                self._failed("It was sent before")

    def failed(self, error: BaseException) -> None:
        """Hear that the door itself broke."""
        self._failed(error.detail if isinstance(error, WakelineError) else type(error).__name__)

    def heard(self, outcome: Outcome) -> None:
        """Hear what the push service said, in the midst of its work."""
        self._sent = True
        if not outcome.accepted:
            asyncio.get_running_loop().call_soon(self._refused, outcome)

    def end(self, *, take_back: bool) -> None:
        """Want nothing of it any more; `take_back`: nor is it to be sent, if it was not yet."""
        if self._over:
            return
        self._let_go()
        if self._key:
            self._wakes.forget(self._key)
            if take_back and not self._sent:
                self._wakes.take_back(self, self._binding, self._key)

    def _refused(self, outcome: Outcome) -> None:
        if outcome.outcome_class is OutcomeClass.TOKEN_DEAD:
            self._wakes.token_gone(self._binding)
            self._failed(TOKEN_GONE)
        else:
            self._failed(outcome.cause or outcome.reason)

    def _failed(self, why: str) -> None:
        decided("not_woken", call_id=self._call_id, aor=self._binding.aor, device=self._binding.device, why=why)
        if not self._over:
            not_woken = self._not_woken
            self._let_go()
            not_woken(why)

    def _let_go(self) -> None:
        """Be over: who asked for it, and holds it, hears nothing more."""
        self._over = True
        self._pushed, self._not_woken = _nothing, _unheard


class Wakes:
    """Sends pushes to registered phones."""

    def __init__(
        self, pipeline: Pipeline, apps: Apps, bindings: SipBindings, clock: Clock, settings: Callable[[], Sip]
    ) -> None:
        self._pipeline = pipeline
        self._apps = apps
        self._bindings = bindings
        self._clock = clock
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(
        self,
        binding: Binding,
        request: Request,
        occasion: Occasion,
        seconds: float,
        *,
        pushed: Callable[[], None],
        not_woken: Callable[[str], None],
    ) -> Wake:
        """Send a push that is worth something for so many seconds. `pushed` and `not_woken` are called later."""
        wake = Wake(self, binding, request.call_id, pushed, not_woken)
        app = self._apps.by_id(binding.app)
        made = None if binding.push is None else self._made(binding, binding.push, request, occasion, seconds)
        if app is None or made is None:
            why = "No app wakes it any more" if app is None else "None of its tokens is for this"
            asyncio.get_running_loop().call_soon(wake.failed, _NoPush(why))
        else:
            submission = Submission(request=made, idempotency=None, reply=_no_reply, heard=wake.heard)
            self._pipeline.accept.submit(app, submission, wake)
        return wake

    def forget(self, notification: int) -> None:
        """Hear nothing more of a push."""
        self._pipeline.settle.hearing.forget(notification)

    def take_back(self, wake: Wake, binding: Binding, notification: int) -> None:
        """Do not send a push, if it was not sent yet."""
        self._spawn(self._take_back(wake, binding, notification))

    def token_gone(self, binding: Binding) -> None:
        """Wake this phone no more, until it registers with another token."""
        self._spawn(self._forget_token(binding))

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _made(
        self, binding: Binding, params: PushParams, request: Request, occasion: Occasion, seconds: float
    ) -> NotificationRequest | None:
        shown = self._settings().display_from_uri
        caller = request.from_
        push = payloads.Push(
            occasion=occasion,
            ttl=max(1, round(seconds)),
            at=self._clock.now(),
            call_id=request.call_id,
            uuid=f'"<{binding.instance}>"' if binding.instance else "",
            from_uri=caller.uri if shown else "",
            from_name=caller.display if shown else "",
            from_tag=caller.tag,
            to_uri=binding.aor,
        )
        return payloads.request(params, push, Audience(devices=(binding.device,)))

    async def _take_back(self, wake: Wake, binding: Binding, notification: int) -> None:
        app = self._apps.by_id(binding.app)
        if app is None:
            return
        try:
            wake.taken_back = (await self._pipeline.cancel(app, notification)).cancelled > 0
        except WakelineError as error:
            _log.debug("sip.push_not_taken_back", reason=error.detail)

    async def _forget_token(self, binding: Binding) -> None:
        present = next((each for each in self._bindings.of(binding.aor) if each.uid == binding.uid), None)
        if present is None or present.push is None or binding.push is None or present.push.key != binding.push.key:
            return
        left = msgspec.structs.replace(present, push=None, app=0, device="", why_not=TOKEN_GONE)
        try:
            await self._bindings.change(BindingChange(aor=binding.aor, put=(left,)))
        except StorageError as error:
            _log.warning("sip.token_not_forgotten", aor=binding.aor, reason=error.detail)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _NoPush(WakelineError):
    """There is nothing to send."""


def _no_reply(_: Taken) -> Reply:
    """Nobody repeats a wake by a key."""
    return Reply(status=202, body=b"")


def _nothing() -> None:
    """Nobody wants to know that it was sent."""


def _unheard(_: str) -> None:
    """Nobody wants to know why it was not."""
