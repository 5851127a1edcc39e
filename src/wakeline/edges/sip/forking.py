"""A fork: one request to all phones of an address-of-record, those that are awake and those that have to be woken.

    awake                      asked at once
    asleep, with a push        woken; held until it registers (RFC 8599 section 5.6.2) or gives a sign of life where it was
    a push, and signs of life  both at once: whichever is faster (`life`); a push that is refused: see `pushing`
    asleep, no push            480, which counts if nobody does better
    registers while it rings   asked as well (late fork), with `[sip] fork_late`

The first 2xx goes to the caller at once and ends the others (`Reason: ... Call completed elsewhere`), a 6xx ends them too; else the
best response goes on when all have ended (RFC 3261 section 16.7). Who did not wake in time counts as 480. A phone of Apple's that
was woken by a VoIP push when the caller gave up or somebody else answered is called and cancelled all the same: iOS ends apps
that were woken for no call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wakeline.edges.sip.asking import Asked, ForkPorts
from wakeline.edges.sip.branch import UNREACHED, Branch, status_of
from wakeline.edges.sip.client_transactions import ClientTransaction, Failure
from wakeline.edges.sip.conclusion import conclude
from wakeline.edges.sip.decisions import decided
from wakeline.edges.sip.flows import Flow, Hop
from wakeline.edges.sip.push_sent import PushSent
from wakeline.edges.sip.pushing import Pushing
from wakeline.edges.sip.reaching import Reaching
from wakeline.edges.sip.ring_limit import RingLimit
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.timekeeper import Alarm
from wakeline.edges.sip.ways import can_be_woken
from wakeline.model.sip.binding import TOKEN_GONE, Binding
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.message import Request, Response
from wakeline.wire.sip.push_params import hide

RETRY_AFTER = ("retry-after", "5")
_ELSEWHERE = [("reason", 'SIP;cause=200;text="Call completed elsewhere"')]
_DECLINED = [("reason", 'SIP;cause=600;text="Busy Everywhere"')]

Fields = list[tuple[str, str]]


class Fork:
    """Implements `pushing.Course` and `client_transactions.ClientUser`. `ended` is told the final status, once."""

    def __init__(self, ports: ForkPorts, server: ServerTransaction, asked: Asked, ended: Callable[[int], None]) -> None:
        self._ports = ports
        self._server = server
        self._asked = asked
        self._ended = ended
        self._reaching = Reaching(ports, server, asked)
        self._pushing = Pushing(ports, asked)
        self._branches: list[Branch] = []
        self._over = False
        self._given_up = False
        self._declined = False
        self._reason: Fields = []
        self._push_sent = PushSent(server, asked.request.get("user-agent") or "", ports.settings)
        self._bucket_alarm: Alarm | None = None
        self._limit = RingLimit(ports.layer, self._rung_out)

    @property
    def _is_call(self) -> bool:
        return self._asked.request.method == "INVITE"

    def start(self, bindings: Iterable[Binding]) -> None:
        """Ask phones, and wake those that sleep. It is in the bucket already."""
        if self._is_call:
            self._server.on_cancel = self._cancelled
            self._server.answer(100)
        self._bucket_alarm = self._ports.layer.after(self._asked.patience, self._waited)
        for binding in bindings:
            self._add(binding)
        self._look()

    # --- bucket.Waiting ----------------------------------------------------------------------------------------------

    def registered(self, binding: Binding) -> None:
        """Ask a phone that registered, once."""
        if self._asked.gruu not in ("", binding.gruu):
            return
        branch = next((each for each in self._branches if each.is_of(binding)), None)
        if branch is not None and branch.rings and not branch.held:
            self._reaching.follow(branch, binding)
        elif not self.goes_on:
            if branch is not None and branch.held and not self._reaching.is_on_its_way(branch, binding):
                self._call_and_cancel(branch, binding)
        elif self._declined:
            return
        elif branch is None:
            if self._ports.settings().fork_late:
                self._release(self._new(binding), binding)
        elif branch.may_be_asked_again:
            self._ask_again(branch, binding)

    def left(self, uid: str) -> None:
        """Wait no more for a phone that left (RFC 8599 section 5.5)."""
        for branch in self._branches:
            if branch.binding.uid == uid and branch.held:
                self._end(branch, 480, "it is registered no more")
        self._look()

    def wakes(self, uid: str) -> bool:
        """Tell whether a push of this is out to a phone that is waited for."""
        return any(
            each.held and each.wake is not None and each.wake.out and each.binding.uid == uid for each in self._branches
        )

    def alive(self, flow: Flow) -> None:
        """Ask a phone that is awake where it was: some do not register when a push wakes them."""
        for branch in self._branches:
            if branch.held and branch.binding.flow == flow.name and self.goes_on:
                self._ask_again(branch, branch.binding)

    def stop(self) -> None:
        """End a call that has begun to ring or waits: nobody would know of it after a restart, and its caller may try again."""
        if not self.goes_on:
            return
        self._given_up = True
        self._end_others([])
        self._server.answer(503, fields=(RETRY_AFTER,))
        self._finish(503)

    # --- pushing.Course ----------------------------------------------------------------------------------------------

    @property
    def goes_on(self) -> bool:
        """Tell whether phones are still wanted."""
        return not self._over and not self._given_up

    def pushed(self) -> None:
        """Tell the caller that a phone is being woken."""
        if self._is_call and self.goes_on:
            self._push_sent.tell()

    def away(self, branch: Branch, why: str) -> None:
        """Wait no more for a phone that cannot be reached."""
        self._end(branch, 480, why)
        self._look()

    # --- phones ------------------------------------------------------------------------------------------------------

    def _new(self, binding: Binding) -> Branch:
        branch = Branch(binding)
        self._branches.append(branch)
        return branch

    def _add(self, binding: Binding) -> None:
        branch = self._new(binding)
        if self._asked.occasion is not None and can_be_woken(binding):
            self._pushing.hold(branch, self._asked.occasion, self)
            flow = self._reaching.awake_at(binding)
            if flow is not None:
                self._send(branch, flow)
        elif (way := self._reaching.way(binding)) is not None:
            self._send(branch, way)
            if binding.why_not == TOKEN_GONE:
                self._pushing.doubt(branch, self, TOKEN_GONE)
        else:
            self._end(branch, 480, binding.why_not or "it is away, and cannot be woken")

    def _ask_again(self, branch: Branch, binding: Binding) -> None:
        """Ask a phone that is awake now; if it was asked right there, say it once more at most."""
        if not self._reaching.is_on_its_way(branch, binding):
            self._release(branch, binding)
        elif branch.held or not branch.open:
            self._reaching.hurry(branch)

    def _release(self, branch: Branch, binding: Binding) -> None:
        try:
            if self._reaching.ask_there(branch, binding, self):
                self._wind()
            else:
                self._end(branch, 480, "its connection is closed")
        except Broken as wrong:
            self._end(branch, 480, wrong.detail)
        self._look()

    def _send(self, branch: Branch, way: Flow | Hop) -> None:
        try:
            self._reaching.ask(branch, way, self)
        except Broken as wrong:
            self._end(branch, 480, wrong.detail)
        else:
            self._wind()

    def _call_and_cancel(self, branch: Branch, binding: Binding) -> None:
        try:
            self._reaching.call_and_cancel(branch, binding, self, self._reason)
        except Broken as wrong:
            self._end(branch, 480, wrong.detail)

    def _wind(self) -> None:
        if self._is_call and self.goes_on:
            self._limit.wind()

    # --- client_transactions.ClientUser ------------------------------------------------------------------------------

    def answered(self, client: ClientTransaction, response: Response) -> None:
        """Take a response of a phone."""
        branch = self._reaching.branch_of(client)
        try:
            hide(response)
        except Broken:
            return
        if response.status == 100:
            return
        if not response.is_final:
            self._provisional(branch, response)
        elif response.status < 300:
            self._success(branch, response)
        elif branch.client is client and branch.open:
            if branch.held and response.status in UNREACHED:
                branch.client = None
            else:
                self._failure(branch, response)

    def failed(self, client: ClientTransaction, failure: Failure) -> None:
        """Take it that a phone will not answer; one that is being woken may have gone from where it was asked."""
        branch = self._reaching.branch_of(client)
        if branch.client is not client or not branch.open:
            return
        if failure is not Failure.CANCELLED and branch.held:
            branch.client = None
            return
        self._end(branch, status_of(failure), failure.value)
        self._look()

    def _provisional(self, branch: Branch, response: Response) -> None:
        branch.held = False
        if not self._over:
            self._limit.wind()
        if self.goes_on and branch.open:
            self._server.respond(response)

    def _success(self, branch: Branch, response: Response) -> None:
        """Pass it on at once, whatever else was said (RFC 3261 section 16.7 step 5)."""
        branch.end(response.status)
        self._server.respond(response)
        if not self._over:
            self._end_others(_ELSEWHERE)
            self._finish(response.status)

    def _failure(self, branch: Branch, response: Response) -> None:
        branch.end(response)
        if response.status >= 600 and not self._declined:
            self._declined = True
            self._end_others(_DECLINED)
        self._look()

    # --- the end -----------------------------------------------------------------------------------------------------

    def _cancelled(self, cancel: Request) -> None:
        """The caller gives up (RFC 3261 section 16.10): who waits gets nothing later, who rings is told to stop."""
        if not self.goes_on:
            return
        self._given_up = True
        self._end_others([("reason", value) for value in cancel.all("reason")])
        self._look()

    def _end_others(self, reason: Fields) -> None:
        self._reason = reason
        self._reaching.give_up(reason)
        for branch in self._branches:
            if not branch.open:
                continue
            rings = branch.rings
            if branch.wake is not None:
                branch.wake.end(take_back=True)
            if branch.held and self._must_be_called(branch):
                branch.result = 487  # held on: it is called and cancelled when it registers
            elif not rings:
                branch.end(487)

    def _must_be_called(self, branch: Branch) -> bool:
        return self._is_call and branch.must_be_called and self._ports.settings().call_after_cancel

    def _end(self, branch: Branch, status: int, why: str) -> None:
        """Count a phone as away; if it was asked and has a word to say after all, it hears CANCEL."""
        branch.end(status)
        if branch.client is not None:
            branch.client.cancel()
        decided(
            "not_reached",
            call_id=self._asked.request.call_id,
            aor=self._asked.aor,
            uid=branch.binding.device,
            status=status,
            why=why,
        )

    def _waited(self) -> None:
        """The bucket's time is over: nobody is waited for any more; who sleeps still counts as away, who rings goes on."""
        for branch in self._branches:
            waited = branch.held or not self._is_call
            branch.held = False
            if not self._over and waited and branch.open and not branch.rings:
                self._end(branch, 480, "it did not wake in time")
        self._look()
        if self._over:
            self._leave_bucket()

    def _rung_out(self) -> None:
        """Nobody said a word for too long."""
        if not self._over:
            self._end_others([])
            self._look()

    def _look(self) -> None:
        """Answer if everybody has ended."""
        if self._over or any(branch.open for branch in self._branches):
            return
        if self._given_up:
            self._server.answer(487)
            self._finish(487)
            return
        self._finish(conclude(self._server, [branch.result for branch in self._branches]))

    def _finish(self, status: int) -> None:
        self._over = True
        asked = self._asked
        decided("answered", call_id=asked.request.call_id, aor=asked.aor, caller=asked.caller, status=status)
        self._limit.end()
        self._reaching.give_up(self._reason)
        for branch in self._branches:
            self._pushing.ended(branch, status)
        if not any(branch.held for branch in self._branches):
            self._leave_bucket()
        self._ended(status)
        asked.request.forget_parsed()
        self._server.request.forget_parsed()

    def _leave_bucket(self) -> None:
        if self._bucket_alarm is not None:
            self._bucket_alarm.cancel()
        self._pushing.leave_bucket(self)
