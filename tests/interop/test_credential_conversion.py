"""From a request to pushes: `csr` and `convert` as openssl and @parse/node-apn see what they write."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from interop.clients import TOPIC, NodeApn, device_token
from wakeline.cli.root import root

if TYPE_CHECKING:
    from interop.conftest import Services

pytestmark = pytest.mark.interop

PASSWORD = "apn test"
_EXTENSIONS = """\
1.2.840.113635.100.6.3.1 = DER:0500
1.2.840.113635.100.6.3.2 = DER:0500
extendedKeyUsage = critical, clientAuth
"""


class Ordered(NamedTuple):
    """A directory with push.key, push.csr, and the aps.cer that was made from them."""

    directory: Path

    def openssl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.directory, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def credential(self, *arguments: str) -> Any:
        """Run the command line in this process: what it writes is judged here, not how it starts."""
        said = io.StringIO()
        with contextlib.chdir(self.directory), contextlib.redirect_stdout(said):
            code = root.meta(["credential", *arguments, "--json"], result_action="return_value")
        assert not code
        return json.loads(said.getvalue())


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Ordered:
    """Apple's part is played by openssl: it takes the public key from the request, and writes a subject of its own."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: what csr and convert write was NOT judged")
    made = Ordered(tmp_path_factory.mktemp("ordered"))
    made.credential(
        "csr", "--app", "acme-chat", "--email", "it@acme.example", "--key-out", "push.key", "--out", "push.csr"
    )
    authority = ("-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem")
    made.openssl(
        "req", "-x509", *authority, "-subj", "/CN=Apple Worldwide Developer Relations of a test", "-days", "400"
    )
    (made.directory / "extensions").write_text(_EXTENSIONS)
    by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "365", "-extfile", "extensions")
    subject = f"/UID={TOPIC}/CN=Apple Push Services: {TOPIC}"
    made.openssl("x509", "-req", "-in", "push.csr", *by, "-subj", subject, "-outform", "DER", "-out", "aps.cer")
    return made


def test_openssl_verifies_the_request(ordered: Ordered) -> None:
    said = ordered.openssl("req", "-in", "push.csr", "-noout", "-verify", "-text")

    assert "verify OK" in said
    assert "Public-Key: (2048 bit)" in said
    assert "sha256WithRSAEncryption" in said
    for part in ("acme-chat", "it@acme.example"):
        assert part in said


def test_openssl_opens_what_was_joined(ordered: Ordered) -> None:
    written = ordered.credential(
        "convert", "aps.cer", "--key", "push.key", "--out", "aps.p12", "--out-password", PASSWORD
    )

    assert (written["verdict"]["grade"], written["topics"]) == ("ok", [TOPIC])
    said = ordered.openssl("pkcs12", "-in", "aps.p12", "-info", "-nodes", "-passin", f"pass:{PASSWORD}")
    assert "AES-256-CBC" in said
    assert said.count("BEGIN CERTIFICATE") == said.count("BEGIN PRIVATE KEY") == 1


def test_openssl_sees_the_same_after_every_turn(ordered: Ordered) -> None:
    legacy = ("-legacy", "-inkey", "push.key", "-in", "aps.pem0", "-passout", f"pass:{PASSWORD}")
    ordered.openssl("x509", "-in", "aps.cer", "-inform", "DER", "-out", "aps.pem0")
    ordered.openssl("pkcs12", "-export", *legacy, "-out", "keychain.p12")
    ordered.credential("convert", "keychain.p12", "--password", PASSWORD, "--out", "turn.pem")
    ordered.credential("convert", "turn.pem", "--out", "turn.p12", "--out-password", PASSWORD)
    ordered.credential("convert", "turn.p12", "--password", PASSWORD, "--out", "closed.pem", "--out-password", PASSWORD)

    wanted = ordered.openssl("x509", "-in", "aps.cer", "-inform", "DER", "-noout", "-fingerprint", "-sha256")
    key = ordered.openssl("pkey", "-in", "push.key", "-pubout")
    for name in ("turn.pem", "turn.p12", "closed.pem"):
        secret = ("-passin", f"pass:{PASSWORD}")
        assert ordered.openssl("x509", "-in", name, *secret, "-noout", "-fingerprint", "-sha256") == wanted
        assert ordered.openssl("pkey", "-in", name, *secret, "-pubout") == key


@pytest.mark.parametrize("form", ["p12", "pem"])
def test_node_apn_pushes_with_what_was_converted(
    services: Services, node_modules: Path, ordered: Ordered, form: str
) -> None:
    name = f"node.{form}"
    ordered.credential("convert", "aps.cer", "--key", "push.key", "--out", name, "--out-password", PASSWORD)
    place = str(ordered.directory / name)
    given: dict[str, object] = {"pfx": place} if form == "p12" else {"cert": place, "key": place}
    device = device_token()

    (result,) = NodeApn(services, node_modules, {**given, "passphrase": PASSWORD}).push(device)

    assert result["sent"] == [device]
    (entry,) = services.requests(device)
    assert entry["headers"]["apns-topic"] == TOPIC
