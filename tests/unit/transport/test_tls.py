"""Contexts are exercised by whole handshakes in memory: no socket, no thread."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from wakeline.model.errors import ConfigError, CredentialRefused
from wakeline.transport import tls
from wakeline.transport.tls import ClientCertificate, TlsCause, classify, client_context, shared_context


class MemoryTls:
    """A client and a server that exchange records through memory."""

    def __init__(self, client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(down, up, server_hostname=name)
        self.server = server.wrap_bio(up, down, server_side=True)
        self._up, self._down = up, down

    def run(self) -> None:
        """Handshake, then one byte from the server, so that a late alert of TLS 1.3 reaches the client.

        Only the client's errors are raised: what the server found wrong reaches it as an alert.
        """
        ready = False
        while not ready:
            client_ready = _step(self.client.do_handshake)
            with suppress(ssl.SSLError):
                ready = _step(self.server.do_handshake) and client_ready
                continue
            break
        with suppress(ssl.SSLError):
            self.server.write(b"x")
        self.client.read(1)


def _step(action: Callable[[], object]) -> bool:
    try:
        action()
    except ssl.SSLWantReadError:
        return False
    return True


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "push.example") -> MemoryTls:
    pair = MemoryTls(client, server, name)
    pair.run()
    return pair


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def server_context(
    authority: trustme.CA,
    name: str = "push.example",
    *,
    not_after: dt.datetime | None = None,
    wants_certificate: bool = False,
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=not_after).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if wants_certificate:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_certificate(authority: trustme.CA) -> ClientCertificate:
    leaf = authority.issue_cert("client.example")
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return ClientCertificate(chain_pem=chain, key_pem=leaf.private_key_pem.bytes())


def test_an_extra_authority_is_trusted_beside_the_systems(authority: trustme.CA, ca_file: str) -> None:
    plain, extended = client_context(), client_context(ca_file=ca_file)

    handshake(extended, server_context(authority))

    assert extended.cert_store_stats()["x509_ca"] == plain.cert_store_stats()["x509_ca"] + 1


@pytest.mark.parametrize("alpn", [tls.ALPN_HTTP2, tls.ALPN_HTTP1])
def test_the_wanted_protocol_is_negotiated(authority: trustme.CA, ca_file: str, alpn: tuple[str, ...]) -> None:
    pair = handshake(client_context(alpn=alpn, ca_file=ca_file), server_context(authority))

    assert pair.client.selected_alpn_protocol() == alpn[0]


def test_nothing_below_tls_1_2_is_spoken_and_verification_is_on() -> None:
    context = client_context()

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_http2_offers_no_suite_that_rfc_9113_forbids() -> None:
    suites = [suite for suite in client_context().get_ciphers() if suite["protocol"] != "TLSv1.3"]

    assert suites
    assert all(suite["aead"] and suite["name"].startswith("ECDHE") for suite in suites)


def test_key_material_is_not_logged_even_if_the_environment_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))

    assert client_context().keylog_filename is None


def test_a_client_certificate_is_presented(authority: trustme.CA, ca_file: str) -> None:
    context = client_context(ca_file=ca_file, certificate=client_certificate(authority))

    pair = handshake(context, server_context(authority, wants_certificate=True))

    peer = pair.server.getpeercert()
    assert peer is not None
    assert ("DNS", "client.example") in peer["subjectAltName"]


def test_a_client_key_never_touches_the_file_system(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> tuple[int, str]:
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr("tempfile.mkstemp", forbidden)
    client_context(certificate=client_certificate(authority), spill_dir=tmp_path)

    assert not [file for file in open_files() if "memfd" in file]
    assert list(tmp_path.iterdir()) == []


def open_files() -> list[str]:
    """Return what this process has open; what is closed meanwhile, by whomever, is left out."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return found


def test_without_memory_files_the_key_is_a_private_file_for_a_moment(
    authority: trustme.CA, ca_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def spy(context: ssl.SSLContext, path: str, password: Callable[[], str]) -> None:
        modes.append(Path(path).stat().st_mode & 0o777)
        load(context, path, password=password)

    spill = tmp_path / "data"
    spill.mkdir()
    certificate = client_certificate(authority)
    server = server_context(authority, wants_certificate=True)
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)

    context = client_context(ca_file=ca_file, certificate=certificate, spill_dir=spill)

    assert modes == [0o600]
    assert list(spill.iterdir()) == []
    handshake(context, server)


def test_without_memory_files_and_data_directory_a_key_is_refused(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")

    with pytest.raises(ConfigError, match="no data directory"):
        client_context(certificate=client_certificate(authority))


def test_a_key_of_another_certificate_is_refused(authority: trustme.CA) -> None:
    one, other = client_certificate(authority), client_certificate(authority)

    with pytest.raises(CredentialRefused, match="cannot be used"):
        client_context(certificate=ClientCertificate(chain_pem=one.chain_pem, key_pem=other.key_pem))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(authority: trustme.CA) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - this test alone needs it

    plain = client_certificate(authority)
    key = serialization.load_pem_private_key(plain.key_pem, None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )

    with pytest.raises(CredentialRefused, match="encrypted"):
        client_context(certificate=ClientCertificate(chain_pem=plain.chain_pem, key_pem=encrypted))


def test_a_certificate_shows_no_key_when_printed(authority: trustme.CA) -> None:
    assert "PRIVATE" not in repr(client_certificate(authority))


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_an_unusable_ca_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "extra.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"extra\.pem"):
        client_context(ca_file=str(path))


def failure_of(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "push.example") -> tls.TlsFailure:
    with pytest.raises(ssl.SSLError) as caught:
        handshake(client, server, name)
    failure = classify(caught.value)
    assert failure is not None
    return failure


def test_an_expired_certificate_is_told_as_expired(authority: trustme.CA, ca_file: str) -> None:
    past = dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=1)

    failure = failure_of(client_context(ca_file=ca_file), server_context(authority, not_after=past))

    assert failure.cause is TlsCause.EXPIRED
    assert "expired" in failure.detail


def test_an_unknown_authority_is_told_as_such(authority: trustme.CA) -> None:
    assert failure_of(client_context(), server_context(authority)).cause is TlsCause.UNKNOWN_CA


def test_a_certificate_for_another_name_is_told_as_such(authority: trustme.CA, ca_file: str) -> None:
    failure = failure_of(client_context(ca_file=ca_file), server_context(authority), "other.example")

    assert failure.cause is TlsCause.WRONG_NAME


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate_is_blamed_on_ours(
    authority: trustme.CA, ca_file: str, version: ssl.TLSVersion
) -> None:
    server = server_context(authority, wants_certificate=True)
    server.minimum_version = server.maximum_version = version

    failure = failure_of(client_context(ca_file=ca_file), server)

    assert failure.cause is TlsCause.ALERT
    assert failure.blames_our_certificate


def test_a_client_certificate_of_a_stranger_is_blamed_on_ours(authority: trustme.CA, ca_file: str) -> None:
    stranger = client_certificate(trustme.CA())

    failure = failure_of(
        client_context(ca_file=ca_file, certificate=stranger), server_context(authority, wants_certificate=True)
    )

    assert failure.alert == "unknown_ca"
    assert failure.blames_our_certificate


def test_a_server_without_tls_is_told_as_such() -> None:
    incoming = ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="push.example")
    incoming.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()

    failure = classify(caught.value)
    assert failure is not None
    assert failure.cause is TlsCause.NOT_TLS


def test_the_tls_error_is_found_behind_the_error_it_caused() -> None:
    outer = ConnectionError("lost")
    outer.__cause__ = ssl.SSLError(1, "tlsv1 alert unknown ca (_ssl.c:2580)")

    failure = classify(outer)

    assert failure is not None
    assert failure.alert == "unknown_ca"


def test_an_error_without_tls_is_not_classified() -> None:
    assert classify(ConnectionResetError("reset by peer")) is None


def test_a_shared_context_follows_the_file_of_authorities(tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    file = tmp_path / "ca.pem"
    file.write_bytes(first.cert_pem.bytes())
    os.utime(file, ns=(1, 1))
    shared = shared_context(ca_file=str(file))
    file.write_bytes(second.cert_pem.bytes())
    os.utime(file, ns=(2, 2))
    after = shared_context(ca_file=str(file))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    second.issue_cert("push.example").configure_cert(server)

    assert after is shared_context(ca_file=str(file))
    handshake(after, server)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(shared, server)


def test_a_shared_context_with_an_unreadable_file_says_so_each_time(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match="cannot be used"):
            shared_context(ca_file=str(tmp_path / "absent.pem"))
