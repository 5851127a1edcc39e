"""The simulator in its own process, as clients of any language meet it, and the credentials and clients that meet it."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from interop.apple_certificates import make_certificate, write_pem
from interop.clients import AAPNS_DIRECTORY, NODE_DIRECTORY, PROJECT, SCOPE, TOPIC, pem, public_pem
from interop.installing import PATIENCE, fetch

_MISSING = "the extra `interop` is not installed"
_NODE = 20
"""The oldest major version of node that all packages from npm say they run on."""
_INSTALLING = {"node_modules", "aapns_site", "fixtures_of_others"}
"""Fixtures that fetch packages for the first test that needs them, whichever that is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give time for the fetching to each test that may be the first."""
    for item in items:
        if _INSTALLING & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(PATIENCE), append=False)


@pytest.fixture(scope="module", autouse=True)
def _what_clients_leave_is_collected_where_it_is_allowed() -> Iterator[None]:
    """Have what clients leave to the collector warned of here: their modules allow it, the next one may not."""
    yield
    gc.collect()


class Services:
    """The running simulator, by its control API."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready
        self.ca_file = Path(ready["ca_file"])

    def post(self, path: str, **body: object) -> Any:
        return self._post(path, body)

    def post_list(self, path: str, items: list[dict[str, object]]) -> Any:
        return self._post(path, items)

    def _post(self, path: str, body: object) -> Any:
        request = urllib.request.Request(self.ready["control"] + path, json.dumps(body).encode())  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - our own loopback port
            return json.load(reply)

    def script(self, target: str, *answers: dict[str, object]) -> None:
        self.post("/script", target=target, answers=answers)

    def requests(self, target: str) -> list[dict[str, Any]]:
        """What `target` was sent, as received."""
        url = f"{self.ready['control']}/requests?target={target}"
        with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310 - our own loopback port
            found: list[dict[str, Any]] = json.load(reply)
        return found


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    state = tmp_path_factory.mktemp("simulator")
    command = [sys.executable, "-m", "wakeline.simulator", "--state-dir", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture
def services(simulator_process: dict[str, Any]) -> Services:
    """The simulator as if just started."""
    running = Services(simulator_process)
    running.post("/reset")
    return running


@pytest.fixture(scope="session")
def apns_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def account_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A client certificate with its key, as Apple would have made it for both environments."""
    return write_pem(tmp_path / "client.pem", *make_certificate(uid=TOPIC, marks=("1", "2")))


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """A directory with the locked npm packages installed; kept between runs beside the package list."""
    unjudged = "clients from npm were NOT tried"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(f"node and npm are not installed: {unjudged}")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < _NODE:
        pytest.skip(f"node is {version}, and older than {_NODE}: {unjudged}")
    wanted = (NODE_DIRECTORY / "package-lock.json").read_bytes()
    installed = NODE_DIRECTORY / "node_modules" / ".package-lock.wanted.json"
    if not installed.exists() or installed.read_bytes() != wanted:
        fetch([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], NODE_DIRECTORY, unjudged=unjudged)
        installed.write_bytes(wanted)
    return NODE_DIRECTORY


@pytest.fixture(scope="session")
def aapns_site() -> Path:
    """A directory with aapns and the old packages that it needs; kept between runs beside their list."""
    wanted, site = AAPNS_DIRECTORY / "requirements.txt", AAPNS_DIRECTORY / ".site"
    installed = site / "requirements.installed.txt"
    if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--upgrade", "--target", str(site), "--requirement", str(wanted)]
        fetch(command, AAPNS_DIRECTORY, unjudged="aapns was NOT tried against the simulator")
        installed.write_bytes(wanted.read_bytes())
    return site


@pytest.fixture
def account(services: Services, account_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A service account that only the simulator knows, and clients that trust only the simulator."""
    google_credentials = pytest.importorskip("google.auth.credentials", reason=_MISSING)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(services.ca_file))
    # google-auth asks Google in the background in which regions an account may be used.
    bounded = google_credentials.CredentialsWithRegionalAccessBoundary
    monkeypatch.setattr(bounded, "_is_regional_access_boundary_lookup_required", lambda _self: False)
    email = "push@wakeline-test.iam.gserviceaccount.com"
    services.post(
        "/trust",
        service_accounts=[{"client_email": email, "public_key_pem": public_pem(account_key), "project_id": PROJECT}],
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "0123456789abcdef",
        "private_key": pem(account_key),
        "client_email": email,
        "token_uri": services.ready["token_uri"],
    }


@pytest.fixture
def firebase(services: Services, account: dict[str, str]) -> Iterator[Any]:
    """PyPI firebase-admin; its one address is an attribute."""
    firebase_admin = pytest.importorskip("firebase_admin", reason=_MISSING)
    credentials = pytest.importorskip("firebase_admin.credentials", reason=_MISSING)
    messaging = pytest.importorskip("firebase_admin.messaging", reason=_MISSING)
    app = firebase_admin.initialize_app(credentials.Certificate(account), name=uuid.uuid4().hex)
    service = messaging._get_messaging_service(app)
    service._fcm_url = f"{services.ready['fcm']}/v1/projects/{PROJECT}/messages:send"
    yield app
    service._client.close()
    firebase_admin.delete_app(app)


@pytest.fixture
def google_client(services: Services, account: dict[str, str]) -> Iterator[Any]:
    """PyPI google-api-python-client, which builds its requests from Google's own discovery document."""
    discovery = pytest.importorskip("googleapiclient.discovery", reason=_MISSING)
    google_auth_httplib2 = pytest.importorskip("google_auth_httplib2", reason=_MISSING)
    httplib2 = pytest.importorskip("httplib2", reason=_MISSING)
    service_account = pytest.importorskip("google.oauth2.service_account", reason=_MISSING)
    credentials = service_account.Credentials.from_service_account_info(account, scopes=[SCOPE])
    http = google_auth_httplib2.AuthorizedHttp(credentials, httplib2.Http(ca_certs=str(services.ca_file)))
    place = {"api_endpoint": services.ready["fcm"]}
    with discovery.build("fcm", "v1", http=http, static_discovery=True, client_options=place) as client:
        yield client
