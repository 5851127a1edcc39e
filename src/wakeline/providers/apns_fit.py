"""APNs: what can be known of a push before Apple is asked: whether the credential covers it, and whether the token fits. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.model.credential import Credential, CredentialKind
from wakeline.model.device import Crowd, Recipient, TargetKind
from wakeline.model.notification import Content, PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import Route
from wakeline.ports import Shipment
from wakeline.providers.apns_crowd import hexadecimal
from wakeline.wire import apns, outcomes
from wakeline.wire.outcomes import Refusal


def obstacle_of(rule: apns.Rule, route: Route, credential: Credential, topic: str, now: int) -> Outcome | None:
    """Return why this credential cannot send this type of push on this route; None if it can. `now` in Unix ms."""
    certificate = credential.kind is CredentialKind.APNS_CERTIFICATE
    if certificate and credential.not_after is not None and credential.not_after <= now:
        return outcomes.ours(Refusal.CERTIFICATE_EXPIRED)
    if credential.environments and route.environment not in credential.environments:
        return outcomes.ours(Refusal.WRONG_ENVIRONMENT, detail=f"The token is of {route.environment.value}.")
    if topic:
        return None
    wanted = f"{route.topic or '(the only one)'}{rule.suffix}"
    known = ", ".join(credential.topics) or "none"
    return outcomes.ours(Refusal.TOPIC_MISMATCH, detail=f"Wanted: {wanted}; the credential names: {known}.")


def unfit(content: Content, recipient: Recipient) -> Outcome | None:
    """Return why this recipient cannot get this push; None if it can."""
    if recipient.kind == TargetKind.APNS_VOIP and content.type is not PushType.CALL:
        return outcomes.ours(Refusal.NOT_A_CALL)
    return None if apns.normal_token(recipient.value) else outcomes.ours(Refusal.BAD_TOKEN)


def by_rule(shipment: Shipment) -> list[tuple[apns.Rule, Sequence[int]]]:
    """Split a call's recipients by the form that their tokens take; everything else has one form."""
    push_type, recipients = shipment.notification.content.type, shipment.recipients
    if push_type is not PushType.CALL:
        return [(apns.rule_for(push_type), range(len(recipients)))]
    shown = [at for at, recipient in enumerate(recipients) if recipient.kind == TargetKind.APNS]
    if not shown:
        return [(apns.rule_for(push_type), range(len(recipients)))]
    ringing = [at for at, recipient in enumerate(recipients) if recipient.kind != TargetKind.APNS]
    parts = ((apns.rule_for(push_type, TargetKind.APNS), shown), (apns.rule_for(push_type), ringing))
    return [(rule, positions) for rule, positions in parts if positions]


def sort_out(shipment: Shipment, positions: Sequence[int]) -> tuple[Sequence[int], list[tuple[int, Outcome]]]:
    """Return the positions that can be sent to, and the others with the reason."""
    content, recipients = shipment.notification.content, shipment.recipients
    if isinstance(recipients, Crowd) and recipients.kind != TargetKind.APNS_VOIP and hexadecimal(recipients):
        return positions, []
    unable = [(at, outcome) for at in positions if (outcome := unfit(content, recipients[at])) is not None]
    if not unable:
        return positions, unable
    refused = {at for at, _ in unable}
    return [at for at in positions if at not in refused], unable
