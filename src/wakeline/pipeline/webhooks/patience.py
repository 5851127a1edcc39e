"""How long an endpoint that fails has been tried, so that nothing is given up for a wrong clock or a long stop of the gateway.

Rule: [webhooks] retry_for counts the time in which an endpoint *was* tried. An event that is older than that when the first try
fails has all of it before itself. An endpoint that fails is asked at known times; where it is asked much later than that, the
gateway stood still or the clock leapt, and the counting begins anew. Pure: times in Unix ms.
"""

from __future__ import annotations

from wakeline.config import Webhooks as Rules
from wakeline.model.webhook import EndpointHealth, Message
from wakeline.pipeline.webhooks.schedule import HORIZON

_NOTICED = 10
"""A leap is one that takes more than the tenth of the whole patience; less is lost, at most, to a clock that was wrong."""


class Patience:
    """When counting began for one endpoint."""

    def __init__(self, health: EndpointHealth) -> None:
        self._since = health.failing_since if health.tried_since is None else health.tried_since
        self._expected = health.retry_at

    @property
    def since(self) -> int | None:
        """Return since when it is tried without a gap; None while it does not fail."""
        return self._since

    def look(self, now: int, rules: Rules) -> None:
        """Begin anew if it is later than it can be, or earlier than it was."""
        if self._since is None:
            return
        late = 0 if self._expected is None else now - self._expected
        if late > 1000 * rules.retry_for // _NOTICED or self._since > now:
            self._since = now
            self._expected = now

    def answered(self, now: int, duration: int, rules: Rules) -> None:
        """Look at the clock after a try that took `duration` ms, which is time in which it was tried."""
        self.look(now - duration, rules)

    def failed(self, now: int, retry_at: int | None) -> None:
        """Note that a try failed, and when it is asked next."""
        self._since = now if self._since is None else self._since
        self._expected = retry_at

    def recovered(self) -> None:
        """Note that it does not fail any more."""
        self._since = self._expected = None

    def is_past(self, began: int, now: int, rules: Rules) -> bool:
        """Tell whether something that began to wait then has waited for as long as an endpoint that fails is tried."""
        return now - max(began, now if self._since is None else self._since) > 1000 * rules.retry_for

    def is_worn(self, row: Message, now: int, rules: Rules) -> bool:
        """Tell whether a message that just failed was tried long enough: no two tries lie further apart than `HORIZON`."""
        began = row.first if self._since is None else max(row.first, self._since)
        patience = 1000 * rules.retry_for
        return now - began > patience and row.tries * HORIZON >= patience
