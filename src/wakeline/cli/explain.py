"""`wakeline explain`: why a push did or did not arrive."""

from __future__ import annotations

from rich.console import Group, RenderableType

from wakeline.cli.context import Ctx
from wakeline.cli.printing import facts, table
from wakeline.doctor.explanation import Explanation


def view(shown: Explanation) -> RenderableType:
    """Draw an explanation: verdict, cause, fix, and the steps that led there."""
    known = (("about", shown.about), ("verdict", shown.verdict), ("cause", shown.cause), ("fix", shown.fix))
    steps = table(("when", "what", "detail"), [(step.at, step.what, step.detail) for step in shown.steps])
    return Group(facts(known), steps if shown.steps else "")


async def explain(question: str, /, *, app: str | None = None, context: Ctx) -> None:
    """Explain a notification, delivery, device, user, SIP address, token, provider reason or code.

    Parameters
    ----------
    question
        An id from a 202 answer, a device or user id, an address such as sip:bob@example.org, a raw token, a reason such as
        BadDeviceToken, a code such as 911.
    app
        Only look in this app.
    """
    async with context.gateway() as gateway:
        shown: Explanation = await gateway.call("explain.ask", query={"q": question, "app": app})
    context.printer.result(shown, lambda: view(shown))
