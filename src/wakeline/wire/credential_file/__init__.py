"""What a credential file is, and whether it can work: judged from its bytes, in words.

Rule: the kind is detected from the content, never from a file name or a caller's word. `inspect` never raises for a bad
file: a verdict of grade `refused` says what is wrong and what to do; `facts` and `secret` are there unless it is refused.

    bytes -> { -> service_account (JSON)
             AAAA...:APA91b -> a legacy FCM server key: refused, Google switched it off
             -----BEGIN, 0x30 -> contents (PEM; PKCS#12, DER) -> key + certificate -> apple_certificate
                                                                 key alone (.p8)   -> apns_key

`alone=True` judges the file by itself (`wakeline credential inspect`): what else an upload would need only warns then.
"""

from __future__ import annotations

import msgspec

from wakeline.wire.credential_file.apns_key import from_key
from wakeline.wire.credential_file.apple_certificate import from_identity
from wakeline.wire.credential_file.contents import contents, is_der, is_pem
from wakeline.wire.credential_file.inspection import Expectation, Inspection
from wakeline.wire.credential_file.private_key import Unreadable
from wakeline.wire.credential_file.service_account import from_json, from_legacy_key, is_legacy_key
from wakeline.wire.credential_file.validity import aged

__all__ = ["Expectation", "Inspection", "inspect"]

MAX_BYTES = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def inspect(data: bytes, expectation: Expectation) -> Inspection:
    """Judge a credential file. Pure: the time and all that the caller knows besides the file is in `expectation`."""
    found = _judged(data, expectation)
    if found.facts is None:
        return found
    return msgspec.structs.replace(found, verdict=aged(found.verdict, found.facts.not_after, expectation.now))


def _judged(data: bytes, expectation: Expectation) -> Inspection:
    text = data.removeprefix(_BYTE_ORDER_MARK).strip()
    if not text:
        return Inspection.refused("The file is empty. Upload the .p8, .p12, .pem or service account .json itself.")
    if len(data) > MAX_BYTES:
        return Inspection.refused(
            f"The file has {len(data)} bytes; a credential has a few thousand. Upload the credential file itself."
        )
    if text.startswith(b"{"):
        return from_json(text, expectation)
    if is_legacy_key(text):
        return from_legacy_key()
    if is_pem(data) or is_der(data):
        return _from_contents(data, expectation)
    return Inspection.refused(
        "This is no PEM text, no PKCS#12 file and no service account JSON. "
        "Apple's keys come as AuthKey_<key id>.p8, certificates as .p12 or .pem, Google's as a .json file."
    )


def _from_contents(data: bytes, expectation: Expectation) -> Inspection:
    try:
        held = contents(data, expectation.password)
    except Unreadable as error:
        return Inspection.refused(str(error))
    if held.key is None or held.certificates:
        return from_identity(held, expectation)
    if held.pkcs12:
        return Inspection.refused("The .p12 holds a private key and no certificate. Export both together.")
    return from_key(held.key, expectation)
