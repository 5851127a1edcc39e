"""The server side of TLS, without a socket: ciphertext in, plaintext out.

A push service asks for a client certificate without insisting on one, and judges it itself: by its fingerprint, long
after the handshake. OpenSSL under the `ssl` module refuses every certificate that no given CA signed, so this layer
is pyOpenSSL, whose verify callback leaves the verdict to us (docs/adr/0010).
An expired certificate, and an unknown one if trust says so, is refused with a TLS alert as Apple does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509

from wakeline.simulator.certificates import ClientCertificate, read_certificate

# The names real clients insist on when they reach us through a hosts file.
SERVER_NAMES = (
    "localhost",
    "127.0.0.1",
    "::1",
    "api.push.apple.com",
    "api.sandbox.push.apple.com",
    "api.development.push.apple.com",
    "fcm.googleapis.com",
    "oauth2.googleapis.com",
    "portal.test",
    "moved.portal.test",
    "oauth.bitrix24.tech",
    "oauth.bitrix.info",
)
_READ_SIZE = 65536
# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_OUT_OF_DATE = (9, 10)

Accepts = Callable[[ClientCertificate], bool]


class TlsFailureError(Exception):
    """The handshake or a record was bad; the alert to send is in `Channel.outgoing()`."""


def authority(state_dir: Path) -> trustme.CA:
    """The CA of `state_dir`, made at first use; `ca.pem` there is what clients must trust.

    It is kept, with its key (mode 0600), so that a restarted simulator is trusted by clients that run on.
    """
    certificate, key = state_dir / "ca.pem", state_dir / "ca-key.pem"
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    state_dir.mkdir(parents=True, exist_ok=True)
    made = trustme.CA(organization_name="Wakeline simulator")
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(made.private_key_pem.bytes())
    certificate.write_bytes(made.cert_pem.bytes())
    return made


def server_context(ca: trustme.CA, *, protocols: tuple[bytes, ...], accepts: Accepts | None) -> SSL.Context:
    """A TLS 1.2+ context with a fresh certificate of `ca`.

    `protocols` are offered by ALPN in that order, and a client without ALPN is served all the same. With `accepts` a
    client certificate is asked for; those it denies are refused in the handshake.
    """
    leaf = ca.issue_cert(*SERVER_NAMES)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate(x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()))
    context.use_privatekey(_private_key(leaf.private_key_pem.bytes()))
    # A resumed session would not show its certificate again.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    context.set_alpn_select_callback(_chooser(protocols))
    if accepts is not None:
        context.set_verify(SSL.VERIFY_PEER, _verifier(accepts))
    return context


class Channel:
    """TLS of one connection."""

    def __init__(self, context: SSL.Context) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._established = False
        self.ended = False
        """The peer said that it will send no more."""

    def receive(self, ciphertext: bytes) -> bytes:
        """The plaintext in `ciphertext`, as far as it is complete. Raises TlsFailureError."""
        self._tls.bio_write(ciphertext)
        try:
            if not self._established:
                self._tls.do_handshake()
                self._established = True
            return self._plaintext()
        except SSL.WantReadError:
            return b""
        except SSL.Error as error:
            raise TlsFailureError(str(error)) from error

    def send(self, plaintext: bytes) -> bytes:
        """The records that carry `plaintext`, and whatever else TLS has to say."""
        try:
            self._tls.sendall(plaintext)
        except SSL.Error:
            self.ended = True
        return self.outgoing()

    def outgoing(self) -> bytes:
        """What TLS itself wants to send: handshake messages and alerts."""
        pieces: list[bytes] = []
        try:
            while True:
                pieces.append(self._tls.bio_read(_READ_SIZE))
        except SSL.WantReadError:
            return b"".join(pieces)

    def close(self) -> bytes:
        """The close_notify alert, if the handshake ever ended."""
        if not self._established:
            return b""
        try:
            self._tls.shutdown()
        except SSL.Error:
            return b""
        return self.outgoing()

    def client_certificate(self) -> ClientCertificate | None:
        """The certificate that the client presented, whoever issued it."""
        certificate = self._tls.get_peer_certificate(as_cryptography=True)
        return None if certificate is None else read_certificate(certificate)

    @property
    def established(self) -> bool:
        """Whether the handshake is through."""
        return self._established

    def _plaintext(self) -> bytes:
        pieces: list[bytes] = []
        try:
            while True:
                pieces.append(self._tls.recv(_READ_SIZE))
        except SSL.ZeroReturnError:
            self.ended = True
        except SSL.WantReadError:
            pass
        return b"".join(pieces)


def _chooser(protocols: tuple[bytes, ...]) -> SSL._ALPNSelectCallback:
    def choose(_connection: SSL.Connection, offered: list[bytes]) -> bytes | SSL._NoOverlappingProtocols:
        return next((name for name in protocols if name in offered), SSL.NO_OVERLAPPING_PROTOCOLS)

    return choose


def _verifier(accepts: Accepts) -> Callable[[SSL.Connection, X509, int, int, int], bool]:
    def verify(_connection: SSL.Connection, certificate: X509, error: int, depth: int, _ok: int) -> bool:
        if depth > 0:
            return True
        return error not in _OUT_OF_DATE and accepts(read_certificate(certificate.to_cryptography()))

    return verify


def _private_key(pem: bytes) -> EllipticCurvePrivateKey | RSAPrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey):
        raise TypeError("a server key is EC or RSA")
    return key
