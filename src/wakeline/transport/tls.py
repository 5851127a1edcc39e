"""TLS contexts for everything we connect to, and what a failed handshake means.

A context always verifies: there is no argument that switches it off. `ca_file` adds to the system's store and never
replaces it. A client key reaches OpenSSL through an anonymous memory file, because `ssl` loads keys only by path and a
key in a temporary file would outlive a crash.
"""

from __future__ import annotations

import enum
import os
import re
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import msgspec

from wakeline.model.errors import ConfigError, CredentialRefused

ALPN_HTTP2 = ("h2",)
ALPN_HTTP1 = ("http/1.1",)
# RFC 9113 section 9.2.2 forbids the other TLS 1.2 suites under HTTP/2; TLS 1.3 suites are not governed by this.
_HTTP2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ClientCertificate(msgspec.Struct, frozen=True):
    """A client certificate chain (leaf first) and its unencrypted private key, both PEM."""

    chain_pem: bytes
    key_pem: bytes

    def __repr__(self) -> str:
        return "ClientCertificate(<sealed>)"


def client_context(
    *,
    alpn: Sequence[str] = ALPN_HTTP2,
    ca_file: str = "",
    certificate: ClientCertificate | None = None,
    spill_dir: Path | None = None,
) -> ssl.SSLContext:
    """A verifying client context: TLS 1.2 or newer, the system's store plus `ca_file`, `alpn` offered.

    `spill_dir` (the data directory) is used only where the system has no memory files: the key is then written there
    with mode 0600 and unlinked as soon as it is loaded.
    Raises ConfigError for an unusable `ca_file`, CredentialRefused for an unusable certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # CERT_REQUIRED and check_hostname are its defaults
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    context.set_alpn_protocols(list(alpn))
    if "h2" in alpn:
        context.set_ciphers(_HTTP2_CIPHERS)
    if ca_file:
        _add_authorities(context, ca_file)
    if certificate is not None:
        _present(context, certificate, spill_dir)
    return context


def shared_context(*, alpn: Sequence[str] = ALPN_HTTP2, ca_file: str = "") -> ssl.SSLContext:
    """The one `client_context` of all who present no certificate; a `ca_file` that was written since is read again.

    Reading the system's authorities takes 20 ms, in which an event loop would do nothing else. Raises ConfigError.
    """
    return _shared(tuple(alpn), ca_file, _written(ca_file))


@lru_cache(maxsize=8)
def _shared(alpn: tuple[str, ...], ca_file: str, _written_at: int) -> ssl.SSLContext:
    return client_context(alpn=alpn, ca_file=ca_file)


def _written(file: str) -> int:
    try:
        return Path(file).stat().st_mtime_ns if file else 0
    except OSError:  # whoever reads it says what is wrong
        return 0


def _add_authorities(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one too
        raise ConfigError(
            f"ca_file {ca_file!r} cannot be used: {error.strerror or error}",
            fix="Name a readable PEM file that holds the certificates of the extra authorities.",
        ) from error


def _present(context: ssl.SSLContext, certificate: ClientCertificate, spill_dir: Path | None) -> None:
    pem = certificate.key_pem.rstrip() + b"\n" + certificate.chain_pem
    try:
        with _as_path(pem, spill_dir) as path:
            context.load_cert_chain(path, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        # OpenSSL's own words name no content of the file, only the routine that gave up.
        raise CredentialRefused(
            f"the client certificate or its key cannot be used: {error}",
            fix="Upload the certificate again together with its own private key.",
        ) from error


def _no_password() -> str:
    """Without this, OpenSSL would ask for the password of an encrypted key on the terminal of the server."""
    raise ValueError("the private key is encrypted")


@contextmanager
def _as_path(content: bytes, spill_dir: Path | None) -> Iterator[str]:
    """A path that `ssl` can read `content` from while the context is open."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("wakeline-tls", os.MFD_CLOEXEC)
        try:
            _write_all(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    if spill_dir is None:
        raise ConfigError("this system has no memory files and no data directory is set for the client key")
    descriptor, path = tempfile.mkstemp(prefix=".tls-", dir=spill_dir)  # created with mode 0600
    try:
        _write_all(descriptor, content)
        yield path
    finally:
        os.close(descriptor)
        Path(path).unlink()


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


class TlsCause(enum.StrEnum):
    """Why a TLS connection could not be made or was ended."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    UNKNOWN_CA = "unknown_ca"
    WRONG_NAME = "wrong_name"
    REVOKED = "revoked"
    NOT_VERIFIED = "not_verified"
    ALERT = "alert"
    NOT_TLS = "not_tls"
    OTHER = "other"


class TlsFailure(msgspec.Struct, frozen=True):
    """One failed TLS connection, in words fit for `explain`.

    `alert` is the peer's alert by its name in RFC 8446 section 6 (empty unless the cause is ALERT).
    """

    cause: TlsCause
    detail: str
    alert: str = ""

    @property
    def blames_our_certificate(self) -> bool:
        """Whether the peer says that it does not want our client certificate, or misses it."""
        return self.alert in _ALERTS_ABOUT_A_CERTIFICATE


# X509_V_ERR_* of OpenSSL's x509_vfy.h
_VERIFY_CAUSES = {
    2: TlsCause.UNKNOWN_CA,
    9: TlsCause.NOT_YET_VALID,
    10: TlsCause.EXPIRED,
    18: TlsCause.UNKNOWN_CA,
    19: TlsCause.UNKNOWN_CA,
    20: TlsCause.UNKNOWN_CA,
    21: TlsCause.UNKNOWN_CA,
    23: TlsCause.REVOKED,
    62: TlsCause.WRONG_NAME,
    64: TlsCause.WRONG_NAME,
}
_VERIFY_WORDS = {
    TlsCause.EXPIRED: "the server's certificate has expired",
    TlsCause.NOT_YET_VALID: "the server's certificate is not valid yet (is the clock right?)",
    TlsCause.UNKNOWN_CA: "the server's certificate is signed by an authority that is not trusted here",
    TlsCause.WRONG_NAME: "the server's certificate is for another name",
    TlsCause.REVOKED: "the server's certificate is revoked",
}
# RFC 8446 section 6.2; handshake_failure is what TLS 1.2 servers send when a required certificate is missing.
_ALERTS_ABOUT_A_CERTIFICATE = frozenset(
    {
        "access_denied",
        "bad_certificate",
        "certificate_expired",
        "certificate_required",
        "certificate_revoked",
        "certificate_unknown",
        "handshake_failure",
        "unknown_ca",
        "unsupported_certificate",
    }
)
_ALERT = re.compile(r"alert[ _]([a-z_ ]+)")
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")


def classify(error: BaseException) -> TlsFailure | None:
    """What a TLS error means, looked for in `error` and in what caused it; None if TLS had no part in it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, ssl.SSLError):
            return _read(cause)
        cause = cause.__cause__ or cause.__context__
    return None


def _read(error: ssl.SSLError) -> TlsFailure:
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = _VERIFY_CAUSES.get(error.verify_code, TlsCause.NOT_VERIFIED)
        words = _VERIFY_WORDS.get(kind, "the server's certificate does not verify")
        return TlsFailure(cause=kind, detail=f"{words}: {error.verify_message.rstrip('.')}")
    reason = getattr(error, "reason", None) or str(error)  # set only by OpenSSL itself
    if found := _ALERT.search(reason.lower()):
        name = found[1].strip().replace(" ", "_")
        return TlsFailure(cause=TlsCause.ALERT, detail=f"the server ended the TLS session: {name}", alert=name)
    if reason in _NOT_TLS:
        return TlsFailure(cause=TlsCause.NOT_TLS, detail="the server does not speak TLS on this port")
    return TlsFailure(cause=TlsCause.OTHER, detail=f"TLS failed: {reason.lower().replace('_', ' ')}")
