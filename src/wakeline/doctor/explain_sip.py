"""Explaining a SIP address: which phones are registered there, or why none is. Each phone is explained by `explain_phone`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wakeline import ports
from wakeline.config import Sip
from wakeline.doctor.explain_device import DeviceExplainer
from wakeline.doctor.explain_phone import Finding, Phone, PhoneExplainer
from wakeline.doctor.explanation import Explanation, Step
from wakeline.model.app import App
from wakeline.model.errors import NotFound
from wakeline.ports.sip import SipBindings, SipMessages, SipUsers
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.uri import parse_uri


class SipExplainPorts(msgspec.Struct, frozen=True, kw_only=True):
    """Where explanations of SIP addresses are read from."""

    bindings: SipBindings
    messages: SipMessages
    users: SipUsers
    settings: Sip


class SipExplainer:
    """Explains from registrations, registry and ledger."""

    def __init__(
        self,
        clock: ports.Clock,
        devices: ports.Devices,
        credentials: ports.Credentials,
        ledger: ports.Ledger,
        device_explainer: DeviceExplainer,
        sip: SipExplainPorts,
    ) -> None:
        self._phones = PhoneExplainer(clock, devices, credentials, ledger, device_explainer)
        self._sip = sip

    async def address(self, asked: str, apps: Sequence[App]) -> Explanation | None:
        """Explain an address, written as sip:bob@example.org; None: this gateway has nothing to do with it. Raises NotFound."""
        try:
            uri = parse_uri(asked)
        except Broken as error:
            raise NotFound(
                f"{asked[:64]!r} is no SIP address: {error.detail}", fix="Ask for one as sip:bob@example.org."
            ) from None
        bindings = self._sip.bindings.of(uri.aor)
        phones = [await self._phones.phone(binding, {app.id: app for app in apps}) for binding in bindings]
        finding = _verdict(phones) if phones else self._nobody(uri.user, uri.host)
        if finding is None:
            return None
        steps = [step for number, phone in enumerate(phones, 1) for step in _numbered(phone, number, len(phones))]
        verdict, cause, fix = finding
        return Explanation(
            about=f"SIP address {uri.aor}",
            verdict=verdict,
            cause=cause,
            fix=fix,
            steps=(*steps, *await self._waiting(uri.aor)),
        )

    def _nobody(self, user: str, domain: str) -> Finding | None:
        """Say why nobody is registered; None: without a SIP edge and such a user there is nothing to say."""
        sip = self._sip.settings
        known = self._sip.users.get(user, domain) is not None
        if not sip.listen:
            return _OFF if known else None
        if domain not in sip.domains:
            return (
                "nobody is registered: the domain is not served",
                f"{domain} is none of [sip] domains; requests to it are not relayed.",
                "Add it to [sip] domains, or call an address of a domain that is served.",
            )
        if sip.auth == "digest" and not sip.auth_url and not known:
            return (
                "nobody is registered: there is no such user",
                f"Nobody can prove a password of {user}@{domain}: there is no SIP user of this name.",
                f"`wakeline sip user add {user}@{domain}` makes one.",
            )
        return _ASLEEP

    async def _waiting(self, aor: str) -> list[Step]:
        count = await self._sip.messages.count(aor)
        return (
            [Step(at=None, what="messages wait", detail=f"{count} for phones that have not taken them")]
            if count
            else []
        )


_OFF = (
    "nobody is registered: the SIP edge is off",
    "[sip] listen names no address, so no phone can register.",
    "Set [sip] listen and start the gateway again.",
)
_ASLEEP = (
    "nobody is registered",
    "No phone registered, or the last registration has ended, and with it the time in which the phone could be woken.",
    "Look at the account on the phone: domain, user, password, transport. The log says why a REGISTER was refused.",
)


def _verdict(phones: Sequence[Phone]) -> Finding:
    """Return what is to be said of all phones; the first with something wrong speaks for them."""
    count = f"{sum(phone.wrong is None for phone in phones)} of {len(phones)} phones can be woken"
    told = [finding for phone in phones if (finding := phone.wrong or phone.quiet) is not None]
    alone = len(phones) == 1
    if told:
        verdict, cause, fix = told[0]
        return f"the phone {verdict}" if alone else f"{count}; one {verdict}", cause, fix
    return (
        "the phone can be woken" if alone else count,
        "It registered with push parameters, an app has a credential for them, and nothing speaks against its token.",
        "Nothing.",
    )


def _numbered(phone: Phone, number: int, count: int) -> list[Step]:
    """Return the steps of a phone, told apart from those of others."""
    if count == 1:
        return list(phone.steps)
    return [msgspec.structs.replace(step, what=f"phone {number}: {step.what}") for step in phone.steps]
