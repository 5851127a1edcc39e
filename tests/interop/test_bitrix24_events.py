"""b24pysdk binds handlers, takes our events for a portal's, and reads the queue of offline events."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
import uvicorn

from interop.bitrix24_portal import CLIENT_ID, CLIENT_SECRET, Portal, served
from wakeline.edges.bitrix24.raising import raise_event
from wakeline.model.bitrix24.records import Record, RecordKind
from wakeline.service.wiring import Gateway

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the client's own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets that it leaves to the collector
]

_MISSING = "the extra `interop` is not installed: events were NOT judged"
b24pysdk = pytest.importorskip("b24pysdk", reason=_MISSING)
fastapi = pytest.importorskip("fastapi", reason=_MISSING)
dependencies = pytest.importorskip("b24pysdk.integrations.fastapi.dependencies")


class Handler:
    """An application's handler on a socket: what it is posted is parsed by b24pysdk, as its integrations do."""

    def __init__(self) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        events = self.events

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                events.put(b24pysdk.credentials.OAuthEventData.from_dict(dict(parse_qsl(body))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Leave the terminal to the tests."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/b24"

    def next(self) -> Any:
        return self.events.get(timeout=30)


@pytest.fixture
def handler() -> Iterator[Handler]:
    made = Handler()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


class Application:
    """An application made with FastAPI: b24pysdk's dependency reads each event, and asks our OAuth host whether it is true."""

    def __init__(self) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        proved = fastapi.Depends(dependencies.get_event_dependency(bitrix_app=_app()))

        async def take(event: Any = proved) -> None:
            self.events.put(event)

        app = fastapi.FastAPI()
        app.add_api_route("/b24", take, methods=["POST"])
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/b24"
        self.server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))

    def run(self) -> None:
        self.server.run(sockets=[self._socket])


@pytest.fixture
def application() -> Iterator[Application]:
    made = Application()
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with served(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def client(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the portal under the names that b24pysdk has built in."""
    monkeypatch.setenv("HTTPS_PROXY", portal.proxy)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(portal.ca_file))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    token = b24pysdk.BitrixToken(domain="portal.test", auth_token=portal.token(_name()), bitrix_app=_app())
    return b24pysdk.Client(token)


_names = iter(range(1000))


def _name() -> str:
    return f"events-token-{next(_names)}"


def _app() -> Any:
    return b24pysdk.BitrixApp(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)


def changed(portal: Portal, event: str, number: int, user: int = 1) -> None:
    async def work(gateway: Gateway) -> None:
        await raise_event(gateway._portal.ports, event, {"FIELDS": {"ID": str(number)}}, user=user)

    portal.run(work)


def test_an_event_is_bound_told_proved_and_unbound(portal: Portal, client: Any, handler: Handler) -> None:
    assert client.event.bind("OnCrmDealAdd", handler.url).result is True
    assert handler.url in [row.get("handler") for row in client.event.get().result]
    changed(portal, "ONCRMDEALADD", 7)
    event = handler.next()
    assert (event.event, event.data) == ("ONCRMDEALADD", {"FIELDS": {"ID": "7"}})
    assert not event.is_system
    # its integrations prove an event this way: the OAuth host is asked about the event's own token
    found = event.get_app_info(_app())
    assert event.validate_against_app_info(found)
    assert found.client_id == CLIENT_ID
    changed(portal, "ONCRMDEALADD", 8, user=0)
    assert handler.next().is_system
    assert client.event.unbind("OnCrmDealAdd", handler.url).result == {"count": 1}


def test_the_dependency_of_fastapi_takes_our_event_and_refuses_one_that_is_not(
    portal: Portal, client: Any, application: Application
) -> None:
    assert client.event.bind("ONCRMCONTACTADD", application.url).result is True
    changed(portal, "ONCRMCONTACTADD", 9)
    event = application.events.get(timeout=30)
    assert (event.event, event.data) == ("ONCRMCONTACTADD", {"FIELDS": {"ID": "9"}})
    forged = {
        "event": "ONCRMCONTACTADD",
        "event_handler_id": "1",
        "data[FIELDS][ID]": "10",
        "ts": "1766047124",
        **{f"auth[{name}]": value for name, value in _auth_of(event).items()},
        "auth[access_token]": "nobodys",
    }
    assert httpx2.post(application.url, data=forged, timeout=30, trust_env=False).status_code == 401
    assert application.events.empty()
    assert client.event.unbind("ONCRMCONTACTADD", application.url).result == {"count": 1}


def _auth_of(event: Any) -> dict[str, str]:
    """Return what an event says of where it comes from, as the form has it."""
    known = ("domain", "client_endpoint", "server_endpoint", "member_id", "application_token")
    return {
        **{name: str(getattr(event.auth, name)) for name in known},
        "expires": "2000000000",
        "expires_in": "3600",
        "scope": "crm",
        "status": "L",
        "user_id": "1",
    }


def test_a_call_is_registered_once_and_finished(client: Any) -> None:
    calls = client.telephony.external_call
    found = [calls.register("+4930123", 2, user_id=1, external_call_id="pbx-1").result for _ in range(2)]
    assert found[0] == found[1]
    number = found[0]["CALL_ID"]
    assert calls.show(number, user_id=1).result is True
    assert calls.hide(number, 1).result is True
    row = calls.finish(number, user_id=1, duration=5, cost=1.5, cost_currency="EUR").result
    assert (row["CALL_ID"], row["CALL_DURATION"], row["COST"]) == (number, "5", "1.5")


def test_tasks_are_listed_and_got(portal: Portal, client: Any) -> None:
    tasks = [Record(kind=RecordKind.TASK, id=n, fields={"TITLE": f"Task {n}", "GROUP_ID": "0"}) for n in range(1, 121)]

    async def put(gateway: Gateway) -> None:
        await gateway._portal.ports.records.put(tasks)

    portal.run(put)
    listed = client.tasks.task.list(select=["ID", "TITLE"])
    assert [row["id"] for row in listed.as_list().result] == [str(number) for number in range(1, 121)]
    assert client.tasks.task.get(7, select=["TITLE"]).result["task"]["title"] == "Task 7"
    with pytest.raises(b24pysdk.errors.BitrixAPIError) as refused:
        client.tasks.task.get(999).result  # noqa: B018 - the result is what is asked for
    assert refused.value.error == "0"


def test_offline_events_are_told_of_reserved_and_cleared(portal: Portal, client: Any, handler: Handler) -> None:
    assert client.event.bind("ONCRMLEADADD", "", event_type="offline").result is True
    assert client.event.bind("ONOFFLINEEVENT", handler.url).result is True
    for number in (1, 2, 1):
        changed(portal, "ONCRMLEADADD", number)
    assert handler.next().event == "ONOFFLINEEVENT"
    found = client.event.offline.get(clear=False).result
    assert sorted(event["EVENT_DATA"]["FIELDS"]["ID"] for event in found["events"]) == ["1", "2"]
    process = found["process_id"]
    assert client.event.offline.error(process, message_id=[found["events"][0]["MESSAGE_ID"]]).result is True
    assert client.event.offline.clear(process).result is True
    assert len(client.event.offline.get(error=True).result["events"]) == 1
    assert client.event.offline.get().result == {"process_id": None, "events": []}
    assert client.event.unbind("ONOFFLINEEVENT", handler.url).result == {"count": 1}
