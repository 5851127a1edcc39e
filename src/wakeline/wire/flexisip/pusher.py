"""What `flexisip_pusher` says: its last lines, its numbers of errors, and the line of a push that failed.

Scripts read these lines, so they are Flexisip's own: up to 2.1 one sentence, since 2.4 a summary. The numbers are those of the
binary protocol that Apple switched off in 2021; today's answers are given the number that says the same. What the line of a
failure never said, what to do about it, is beside it here (`advice`).
"""

from __future__ import annotations

from enum import StrEnum

from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.model.sip.push import PushProvider
from wakeline.wire.outcomes import Refusal


class Wording(StrEnum):
    """Which Flexisip's last lines are printed."""

    FLEXISIP_2_1 = "flexisip-2.1"
    FLEXISIP_2_4 = "flexisip-2.4"


ERRORS = (
    "No errors encountered",
    "Processing error",
    "Missing device token",
    "Missing topic",
    "Missing payload",
    "Invalid token size",
    "Invalid topic size",
    "Invalid payload size",
    "Invalid token",
)
"""Words of the numbers 0 to 8."""

_PROCESSING_ERROR, _INVALID_TOKEN = 1, 8
_NUMBERS = {
    "MissingDeviceToken": 2,
    Refusal.NO_TARGET: 2,
    "MissingTopic": 3,
    "PayloadEmpty": 4,
    "PayloadTooLarge": 7,
    Refusal.PAYLOAD_TOO_LARGE: 7,
    "DeviceTokenNotForTopic": _INVALID_TOKEN,
    "SENDER_ID_MISMATCH": _INVALID_TOKEN,
}
_OF_TOKENS = frozenset({OutcomeClass.TOKEN_DEAD, OutcomeClass.TOKEN_DOUBTFUL})

_PASSING = frozenset({OutcomeClass.TRANSIENT, OutcomeClass.THROTTLED, OutcomeClass.UNKNOWN})
"""What a gateway sends again by itself, and this tool does not."""

_APPLE = (
    "The application id is probably wrong: the token is of another app than the parameters name, or of the other environment.",
    "apns is for builds from the App Store, TestFlight or an ad hoc IPA, apns.dev for builds that Xcode installs.",
    "To try a production certificate, make an ad hoc IPA and install it by hand.",
)
_GOOGLE = (
    "The token is of another Firebase project than the service account, or the app was removed or installed again.",
    "Compare project_id in google-services.json of the app and in the service account; have the app register again.",
)


def number_of(outcome: Outcome) -> int:
    """Return the number of an answer: 0 to 8."""
    if outcome.accepted:
        return 0
    if outcome.outcome_class in _OF_TOKENS:
        return _INVALID_TOKEN
    return _NUMBERS.get(outcome.reason, _PROCESSING_ERROR)


def failure_line(handle: int, identifier: int, outcome: Outcome) -> str:
    """Return the line of a push that failed; `handle` is any number that tells it from others, `identifier` counts from 1."""
    number = number_of(outcome)
    return f"E: PNR {handle:#x} with identifier {identifier} failed with error {number} ({ERRORS[number]})"


def advice(provider: PushProvider, outcome: Outcome) -> tuple[str, ...]:
    """Return what a failure means and what to do about it, a sentence or two each."""
    said = f"{outcome.status} {outcome.reason}: " if outcome.status else ""
    cause = f"{said}{outcome.cause}"
    if outcome.outcome_class in _PASSING:
        return (cause, "Try again in a while.")
    if number_of(outcome) != _INVALID_TOKEN:
        return (cause, outcome.fix)
    return (cause, *(_GOOGLE if provider is PushProvider.FCM else _APPLE))


def last_lines(wording: Wording, *, sent: int, failed: int, program: str) -> tuple[str, ...]:
    """Return the lines at the end."""
    successful = sent - failed
    match wording:
        case Wording.FLEXISIP_2_1:
            relaunch = ("There are failed requests, relaunch with --debug to consult exact error cause.",)
            return (
                f"{sent} push notification(s) sent, {successful} successfully and {failed} failed.",
                *(relaunch if failed else ()),
                f"job is done, thanks for using {program}. Bye!",
            )
        case Wording.FLEXISIP_2_4:
            again = ("Some push notification requests failed, execute again with --debug to debug",)
            return (
                f"Summary: {sent} push notification(s) sent [successful = {successful}, failed = {failed}]",
                *(again if failed else ()),
            )
