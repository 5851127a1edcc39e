"""APNs: the requests to a crowd in columns, as long as nothing but token and id tells them apart."""

from __future__ import annotations

from wakeline.model.device import Crowd
from wakeline.wire import apns
from wakeline.wire.http2 import Ends, OneField

_ID_SIZE = 12


def hexadecimal(crowd: Crowd) -> bool:
    """Tell whether all tokens surely are hexadecimal; if not, each has to be looked at."""
    joined = "".join(crowd.values)
    try:
        decoded = bytes.fromhex(joined)
    except ValueError:
        return False
    return 2 * len(decoded) == len(joined) and all(crowd.values)  # `fromhex` skips spaces


def columns(prepared: apns.Prepared, crowd: Crowd) -> tuple[Ends, OneField] | None:
    """Return `:path` and `apns-id` of the requests to a crowd; None if its tokens are not all of one length."""
    tokens = list(map(str.encode, crowd.values))
    if len(set(map(len, tokens))) != 1:
        return None
    joined = b"".join(tokens)
    if joined != joined.lower():
        tokens = [token.lower() for token in tokens]
    paths = Ends(prepared.path(b""), tokens, len(tokens[0]))
    return paths, OneField(b"apns-id", Ends(prepared.head, prepared.ends_of(crowd.targets), _ID_SIZE))
