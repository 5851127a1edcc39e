"""`explain` over HTTP: one question, one answer."""

from __future__ import annotations

from typing import Annotated

import msgspec

from wakeline.doctor.explain import Explainer, ExplainPorts
from wakeline.doctor.explain_sip import SipExplainPorts
from wakeline.doctor.explanation import Explanation
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.shapes import Slug, Strict
from wakeline.model.errors import NotFound
from wakeline.model.key import Scope


class ExplainQuery(Strict, frozen=True, kw_only=True):
    """What to explain: an id, device, user, SIP address, token, code or reason; in this app, or in all that the key sees."""

    q: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    app: Slug = ""


def explainer(call: Call) -> Explainer:
    """Return an explainer that reads from this gateway."""
    ports = call.ports
    return Explainer(
        ExplainPorts(
            clock=ports.clock,
            devices=ports.devices,
            credentials=ports.credentials,
            routes=ports.routes,
            ledger=ports.ledger,
            pipeline=ports.pipeline,
            sip=_sip(call) if call.caller.apps is None else None,
            stale_after=ports.settings.devices.stale_after,
        )
    )


def _sip(call: Call) -> SipExplainPorts:
    kept = call.ports.sip
    return SipExplainPorts(
        bindings=kept.bindings, messages=kept.messages, users=kept.users, settings=call.ports.settings.sip
    )


async def explain(call: Call) -> Answer:
    """Answer "where is it?" for whatever the question names."""
    query: ExplainQuery = call.query
    seen = [app for app in call.ports.apps.all() if call.caller.sees(app.slug)]
    apps = [app for app in seen if query.app in ("", app.slug)]
    if query.app and not apps:
        raise NotFound(
            f"there is no app {query.app!r}", pointer="/query/app", fix="`GET /v1/apps` lists those of this key."
        )
    return Answer(body=await explainer(call).explain(query.q, apps))


OPERATIONS = (
    Operation(
        name="explain.ask",
        method="GET",
        path="/v1/explain",
        handler=explain,
        summary="Explain an id, a device, a user, a SIP address, a token, a code or a reason",
        reach=Reach.FILTERED,
        scopes=(Scope.READ,),
        query=ExplainQuery,
        response=Explanation,
        problems=(NotFound,),
    ),
)
