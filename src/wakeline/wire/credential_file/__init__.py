"""What a credential file is, and whether it can work: judged from its bytes, in words.

Rule: the kind is detected from the content, never from a file name or a caller's word. `inspect` never raises for a bad
file: a verdict of grade `refused` says what is wrong and what to do; `facts` and `secret` are there unless it is refused.

    bytes -> { -> service_account (JSON)
             AAAA...:APA91b -> a legacy FCM server key: refused, Google switched it off
             -----BEGIN -> certificate + key (.pem), or a key alone (.p8)
             0x30 -> PKCS#12 (.p12, .pfx)

`alone=True` judges the file by itself (`wakeline credential inspect`): what else an upload would need only warns then.
"""

from __future__ import annotations

from wakeline.wire.credential_file.apple_certificate import from_pkcs12
from wakeline.wire.credential_file.inspection import Expectation, Inspection
from wakeline.wire.credential_file.pem import from_pem
from wakeline.wire.credential_file.service_account import from_json, from_legacy_key, is_legacy_key

__all__ = ["Expectation", "Inspection", "inspect"]

MAX_BYTES = 64 * 1024
_DER_SEQUENCE = 0x30


def inspect(data: bytes, expectation: Expectation) -> Inspection:
    """Judge a credential file. Pure: the time and all that the caller knows besides the file is in `expectation`."""
    text = data.strip()
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
    if b"-----BEGIN " in text:
        return from_pem(text, expectation)
    if data[0] == _DER_SEQUENCE:
        return from_pkcs12(data, expectation)
    return Inspection.refused(
        "This is no PEM text, no PKCS#12 file and no service account JSON. "
        "Apple's keys come as AuthKey_<key id>.p8, certificates as .p12 or .pem, Google's as a .json file."
    )
