"""Whom to push to: the flags of `flexisip_pusher` in their three forms, read as the parameters of a Contact are."""

from __future__ import annotations

import msgspec

from wakeline.model.sip.push import PushParams, PushProvider
from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.pieces import Params, parse_params
from wakeline.wire.sip.push_params import PushQuery, PushRefused, push_asked


class Unusable(Exception):
    """The flags are not usable; says why as Flexisip's tool does."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """The flags that name phones, as given."""

    pn_provider: str = ""
    pn_param: str = ""
    pn_prid: tuple[str, ...] = ()
    pn_type: str = ""
    app_id: str = ""
    pn_tok: tuple[str, ...] = ()
    raw: str = ""

    def __repr__(self) -> str:
        """Leave out tokens: a repr ends in logs and tracebacks."""
        return f"Named({self.pn_provider or self.pn_type}, {len(self.pn_prid) + len(self.pn_tok)})"


def phones_of(named: Named) -> list[PushParams]:
    """Return the push parameters of each phone. Raises Unusable."""
    return [_asked(params) for params in _forms(named)]


def _forms(named: Named) -> list[Params]:
    standard = bool(named.pn_provider or named.pn_param or named.pn_prid)
    legacy = bool(named.pn_type or named.app_id or named.pn_tok)
    match [standard, legacy, bool(named.raw)].count(True):
        case 0:
            raise Unusable("no phone was named: give --pn-provider, --pn-param and --pn-prid, or --raw")
        case 1:
            pass
        case _:
            raise Unusable("found both legacy and standard parameters, choose one way or the other!")
    if standard:
        if not named.pn_prid:
            raise Unusable("trying to use standard push notifications but couldn't find any pn-prid")
        told = {"pn-provider": named.pn_provider, "pn-param": _plain(named.pn_param)}
        return [{**told, "pn-prid": _plain(prid)} for prid in named.pn_prid]
    if legacy:
        if not named.pn_tok:
            raise Unusable("trying to use legacy push notifications but couldn't find any pntok")
        told = {"pn-type": named.pn_type, "app-id": _plain(named.app_id)}
        return [{**told, "pn-tok": _plain(token)} for token in named.pn_tok]
    return [_raw(named.raw)]


def _plain(value: str) -> str:
    """Return what a flag says as a parameter: a Contact escapes, a command line does not."""
    return value.replace("%", "%25")


def _raw(text: str) -> Params:
    """Read parameters alone, or a whole Contact as it is found in a log."""
    try:
        return parse_params(text.strip(' \t"<>'))
    except Broken as error:
        raise Unusable(f"the raw parameters cannot be read: {error}") from None


def _asked(params: Params) -> PushParams:
    asked = push_asked(params)
    match asked:
        case PushParams():
            if asked.provider is PushProvider.WEBPUSH:
                raise Unusable("this tool pushes to apns, apns.dev and fcm")
            return asked
        case PushQuery():
            raise Unusable("trying to use standard push notifications but couldn't find any pn-prid")
        case PushRefused():
            raise Unusable(asked.why)
        case None:
            raise Unusable("the raw parameters hold neither pn-provider nor pn-tok")
