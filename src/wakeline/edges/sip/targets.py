"""Whom a request is for: this machine, an address-of-record of ours and its phones, or somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wakeline.config import Sip
from wakeline.edges.sip.asking import Asked
from wakeline.edges.sip.dialog_routes import hop_of_route
from wakeline.edges.sip.endpoint import Bind
from wakeline.edges.sip.flows import Flow, Transport, numeric
from wakeline.edges.sip.refusals import Refused
from wakeline.model.sip.binding import Binding
from wakeline.ports.sip import SipBindings
from wakeline.wire.sip.message import Request
from wakeline.wire.sip.uri import SipUri, canonical_user

_NO_SIPS = '380 wakeline "SIPS Not Allowed"'
_SECURE = tuple(f"{each.value}:" for each in Transport if each.secure)
"""How the names of flows begin that are encrypted."""


class Targets:
    """Reads Request-URIs and Routes. `bound`: where it is listened."""

    def __init__(self, bindings: SipBindings, settings: Callable[[], Sip], bound: Callable[[], Iterable[Bind]]) -> None:
        self._bindings = bindings
        self._settings = settings
        self._bound = bound

    def take_own_routes(self, request: Request, flow: Flow) -> None:
        """Take off what the sender wrote to get here (RFC 3261 section 16.4)."""
        while (uri := hop_of_route(request)) is not None and self.is_ours(uri, flow):
            request.remove_first("route")

    def is_ours(self, uri: SipUri, flow: Flow) -> bool:
        """Tell whether a URI is of one of our domains, or names this machine."""
        host = uri.host.removeprefix("[").removesuffix("]")
        here = flow.local
        if host == here.host and (uri.port or flow.transport.default_port) == here.port:
            return True
        settings = self._settings()
        if uri.host not in settings.domains and uri.host != settings.public_host.lower():
            return False
        # A PBX may listen beside us, at another port of the same address.
        return uri.port is None or not numeric(host) or any(uri.port == bind.address.port for bind in self._bound())

    def aor(self, target: SipUri) -> str:
        """Return the address-of-record that is meant: who names this machine instead of a domain, as PBXs do, means the first."""
        domains = self._settings().domains
        if target.host in domains or not domains:
            return target.aor
        return f"sip:{canonical_user(target.user)}@{domains[0]}"

    def phones(self, asked: Asked) -> list[Binding]:
        """Return the phones that a request is for; of `sips:` only those whose way is encrypted (RFC 5630). Raises Refused."""
        bindings = [each for each in self._bindings.of(asked.aor) if asked.gruu in ("", each.gruu)]
        if not bindings and asked.gruu:
            raise Refused(480, "The phone that has this GRUU is not registered")
        if not bindings:
            raise Refused(404, "It has no phone that is registered")
        if not asked.request.target.secure:
            return bindings
        safe = [each for each in bindings if each.flow.startswith(_SECURE)]
        if not safe:
            raise Refused(480, "No phone is registered over TLS", fields=(("warning", _NO_SIPS),))
        return safe
