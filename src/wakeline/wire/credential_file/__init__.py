"""What a credential file is, and whether it can work: judged from its bytes, in words.

Rule: the kind is detected from the content, never from a file name. A caller's word refuses a file of another kind, and
decides where two kinds have the same bytes. `inspect` never raises for a bad file: a verdict of grade `refused` says what is
wrong and what to do; `facts` and `secret` are there unless it is refused.

    bytes -> { -> service_account (JSON), or a pair of keys -> vapid, or an external push URI -> external_push
             AAAA...:APA91b -> a legacy FCM server key: refused, Google switched it off
             -----BEGIN, 0x30 -> contents (PEM; PKCS#12, DER) -> key + certificate -> apple_certificate
                                                                 key alone (.p8)   -> apns_key, or vapid if so called

`alone=True` judges the file by itself (`wakeline credential inspect`): what else an upload would need only warns then.
"""

from __future__ import annotations

import msgspec

from wakeline.model.credential import CredentialKind
from wakeline.wire.credential_file import external_push
from wakeline.wire.credential_file.apns_key import from_key
from wakeline.wire.credential_file.apple_certificate import from_identity
from wakeline.wire.credential_file.contents import contents, is_der, is_pem
from wakeline.wire.credential_file.inspection import Expectation, Inspection
from wakeline.wire.credential_file.private_key import Unreadable
from wakeline.wire.credential_file.service_account import (
    from_app_plist,
    from_json,
    from_legacy_key,
    is_app_plist,
    is_legacy_key,
)
from wakeline.wire.credential_file.validity import aged
from wakeline.wire.credential_file.vapid import from_pair, from_private_key, new_vapid_key, read_pair

__all__ = ["Expectation", "Inspection", "inspect", "new_vapid_key"]

MAX_BYTES = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NAMES = {
    CredentialKind.APNS_KEY: "an APNs key",
    CredentialKind.APNS_CERTIFICATE: "an APNs certificate",
    CredentialKind.FCM_SERVICE_ACCOUNT: "an FCM service account",
    CredentialKind.VAPID_KEY: "a VAPID key",
    CredentialKind.EXTERNAL_PUSH: "an external push URI",
}


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
        return _from_object(text, expectation)
    if is_legacy_key(text):
        return from_legacy_key()
    if is_app_plist(text):
        return from_app_plist()
    if is_pem(data) or is_der(data):
        return _from_contents(data, expectation)
    return Inspection.refused(
        "This is no PEM text, no PKCS#12 file and no service account JSON. "
        "Apple's keys come as AuthKey_<key id>.p8, certificates as .p12 or .pem, Google's as a .json file."
    )


def _from_object(text: bytes, expectation: Expectation) -> Inspection:
    uri = external_push.read_file(text)
    if uri is not None:
        return _mistaken(CredentialKind.EXTERNAL_PUSH, expectation) or external_push.from_file(uri, expectation)
    pair = read_pair(text)
    if pair is not None:
        return _mistaken(CredentialKind.VAPID_KEY, expectation) or from_pair(pair, expectation)
    return _mistaken(CredentialKind.FCM_SERVICE_ACCOUNT, expectation) or from_json(text, expectation)


def _from_contents(data: bytes, expectation: Expectation) -> Inspection:
    try:
        held = contents(data, expectation.password)
    except Unreadable as error:
        return Inspection.refused(str(error))
    if held.key is None or held.certificates:
        return _mistaken(CredentialKind.APNS_CERTIFICATE, expectation) or from_identity(held, expectation)
    if held.pkcs12:
        return Inspection.refused("The .p12 holds a private key and no certificate. Export both together.")
    if expectation.kind is CredentialKind.VAPID_KEY:
        return from_private_key(held.key, expectation)
    return _mistaken(CredentialKind.APNS_KEY, expectation) or from_key(held.key, expectation)


def _mistaken(kind: CredentialKind, expectation: Expectation) -> Inspection | None:
    """Refuse a file of this kind if the caller takes it for another; what else may be wrong with it would only mislead."""
    wanted = expectation.kind
    if wanted is None or wanted is kind:
        return None
    return Inspection.refused(f"The file is {_NAMES[kind]}, and you say that it is {_NAMES[wanted]}.")
