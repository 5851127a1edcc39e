"""`wakeline bitrix24 portal` and `rule` on a store that no gateway serves: connected portals, their rules, events and writes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from unit.cli.test_bitrix24 import Shell
from unit.cli.test_root import invoke

CODE = "s3cr3tw3bh00k"
RULE = (
    *("rule", "add", "--name", "Deals", "--event", "oncrmdealupdate", "--recipients", "record.ASSIGNED_BY_ID", "7"),
    *("--title", "{{ record.TITLE }}", "--data", "deal={{ record.ID }}", "--collapse", "d{{ record.ID }}"),
)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wakeline.toml").write_text(
        '[server]\npublic_url = "https://push.test"\n[storage]\nballast = 0\nlow_disk = 0\n'
        '[bitrix24]\nconnected_hosts = ["127.0.0.1"]\n'
    )
    assert invoke("app", "create", "acme") == 0
    return Shell(capsys)


def connected(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> str:
    """Connect an application and return its number."""
    monkeypatch.setenv("WAKELINE_BITRIX24_CLIENT_SECRET", "T0PS3CR3T")
    made = shell.json("portal", "connect", "acme.bitrix24.com", "--client-id", "local.1", "--title", "Acme")
    return str(made["id"])


def test_an_application_is_connected_shown_changed_and_forgotten(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    number = connected(shell, monkeypatch)
    shown = shell.json("portal", "show", number)
    code, text, _ = shell.run("portal", "show", number)
    changed = shell.json("portal", "change", number, "--title", "New", "--prefix", "", "--mirror", "--telephony")
    back = shell.json("portal", "change", number, "--no-mirror", "--default-prefix")
    (listed,) = shell.json("portal", "list")["installations"]

    assert (code, shown["state"], shown["host"]) == (0, "waiting", "acme.bitrix24.com")
    assert shown["handler"] in text
    assert shown["handler"].startswith("https://push.test/bitrix24/events/")
    assert shown["authorize"].startswith("https://acme.bitrix24.com/oauth/authorize/?client_id=local.1&")
    assert (changed["title"], changed["prefix"], changed["mirror"], changed["telephony"]) == ("New", "", True, True)
    assert (back["mirror"], back["telephony"], back["prefix"]) == (False, True, shown["prefix"])
    assert listed == back | {"authorize": listed["authorize"]}
    assert "T0PS3CR3T" not in text + str(listed)
    assert shell.json("portal", "remove", number) == {"removed": number}
    assert shell.json("portal", "list")["installations"] == []


def test_people_are_told_what_to_do_next(shell: Shell) -> None:
    _, _, said = shell.run("portal", "connect", "acme.test", "--client-id", "local.1", "--client-secret", "x")

    assert "install the application" in said


def test_a_webhook_is_read_from_standard_input_and_not_said_again(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"http://127.0.0.1:1/rest/1/{CODE}/\n" * 2))
    code, out, err = shell.run("portal", "connect", "-")

    assert code == 5
    assert shell.run("portal", "change", "99", "--url", "-")[0] == 3
    assert CODE not in out + err
    assert shell.json("portal", "list")["installations"] == []


def test_secrets_are_read_from_standard_input_in_their_order(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAKELINE_BITRIX24_CLIENT_SECRET", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("T0PS3CR3T\nPR00F\n"))
    made = shell.json("portal", "connect", "acme.test", "--client-id", "l", "--client-secret", "-")
    monkeypatch.setenv("WAKELINE_BITRIX24_CLIENT_SECRET", "of another portal")
    changed = shell.json("portal", "change", str(made["id"]), "--application-token", "-")

    assert (made["proven"], changed["proven"]) == (False, True)


@pytest.mark.parametrize(
    ("given", "said"), [((), "--client-id"), (("--client-id", "l"), "WAKELINE_BITRIX24_CLIENT_SECRET")]
)
def test_what_an_application_needs_is_said_in_words_of_the_command_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], said: str
) -> None:
    monkeypatch.delenv("WAKELINE_BITRIX24_CLIENT_SECRET", raising=False)

    code, _, err = shell.run("portal", "connect", "acme.test", *given)

    assert code == 2
    assert said in err


def test_our_own_portal_is_shown_without_a_number(shell: Shell) -> None:
    assert shell.json("portal", "show")["plan"] == "commercial"


def test_a_rule_is_kept_shown_changed_and_forgotten(shell: Shell) -> None:
    rule = shell.json(*RULE)
    changed = shell.json("rule", "change", "Deals", "--disabled", "--condition", "user != 7", "--data", "a={{ 1 }}")
    code, text, _ = shell.run("rule", "show", str(rule["id"]))

    assert (rule["event"], rule["recipients"]) == ("ONCRMDEALUPDATE", ["record.ASSIGNED_BY_ID", "7"])
    assert (rule["data"], rule["enabled"], rule["installation"]) == ({"deal": "{{ record.ID }}"}, True, 0)
    assert changed == rule | {"enabled": False, "condition": "user != 7", "data": {"a": "{{ 1 }}"}}
    assert code == 0
    assert "record.ASSIGNED_BY_ID, 7" in text
    assert shell.json("rule", "list")["rules"] == [changed]
    assert shell.json("rule", "change", "Deals", "--enabled")["enabled"] is True
    assert shell.json("rule", "remove", "Deals") == {"removed": "Deals"}
    assert shell.json("rule", "list")["rules"] == []


def test_writes_wait_for_a_portal_and_may_be_given_up(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    number = connected(shell, monkeypatch)
    add = ("portal", "write", number, "crm.deal.add", "--key", "k", "--params")
    kept = shell.json(*add, '{"fields": {"TITLE": "x"}}')
    again = shell.json(*add, '{"fields": {"TITLE": "x"}}')
    other, _, _ = shell.run(*add, '{"fields": {"TITLE": "y"}}')
    dropped = shell.json("portal", "writes", number, "--drop", str(kept["id"]))
    retried = shell.json("portal", "writes", number, "--retry", str(kept["id"]))
    (listed,) = shell.json("portal", "writes", number, "--state", "waiting")["writes"]
    code, text, _ = shell.run("portal", "writes", number)

    assert (kept["params"], again["id"], other) == ({"fields": {"TITLE": "x"}}, kept["id"], 4)
    assert (dropped["state"], retried["state"], listed["id"]) == ("dropped", "waiting", kept["id"])
    assert code == 0
    assert "crm.deal.add" in text
    assert shell.json("portal", "events", number)["events"] == []


def test_the_audit_says_what_is_missing_of_a_connected_portal(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    number = connected(shell, monkeypatch)
    checks = {check["name"]: check for check in shell.json("audit", code=1)["checks"]}

    assert set(checks) == {"connected portals", f"connected portal {number}"}
    assert "not yet installed" in checks[f"connected portal {number}"]["cause"]


WRONG: list[tuple[list[str], int, str]] = [
    (["portal", "connect", "acme.test", "--app", "absent", "--client-id", "l", "--client-secret", "s"], 4, "app"),
    (["portal", "connect", "acme.test"], 2, "--client-id"),
    (["portal", "connect", f"http://acme.test/rest/1/{CODE}/"], 4, "TLS"),
    (["portal", "connect", f"http://127.0.0.1:1/rest/1/{CODE}/"], 5, ""),
    (["portal", "show", "99"], 3, "99"),
    (["portal", "change", "99", "--title", "x"], 3, "99"),
    (["portal", "change", "99", "--prefix", "x", "--default-prefix"], 2, "--prefix"),
    (["portal", "verify", "99"], 3, "99"),
    (["portal", "remove", "99"], 3, "99"),
    (["portal", "sync", "99"], 5, "wakeline serve"),
    (["portal", "writes", "99", "--retry", "1", "--drop", "2"], 2, "--retry"),
    (["portal", "write", "99", "crm.deal.add", "--params", "[]"], 2, "JSON object"),
    (["portal", "events", "99", "--resend", "1"], 3, "99"),
    (["portal", "events", "99", "--state", "lost"], 2, ""),
    (["rule", "show", "absent"], 3, "absent"),
    (["rule", "try", "absent"], 3, "absent"),
    (["rule", "add", "--name", "x", "--event", "*", "--recipients", "7"], 4, "title"),
    (["rule", "add", "--name", "x", "--event", "*", "--recipients", "7", "--title", "{{"], 4, "title"),
    (["rule", "add", "--name", "x", "--event", "*", "--recipients", "7", "--data", "x"], 2, "name=template"),
    (["rule", "add", "--name", "x", "--event", "*", "--recipients", "7", "--title", "x", "--portal", "9"], 4, "9"),
]
"""Commands, how each ends, and what it says."""


def test_exit_codes_say_what_went_wrong(shell: Shell) -> None:
    for arguments, code, said in WRONG:
        ended, out, err = shell.run(*arguments)

        assert (ended, out) == (code, ""), (arguments, err)
        assert said in err, arguments
        assert CODE not in err, arguments


def test_a_rule_is_not_tried_at_a_portal_that_does_not_let_us_in(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    connected(shell, monkeypatch)
    shell.json(*RULE)
    ended, _, err = shell.run("rule", "try", "Deals", "--record", "7")

    assert ended == 4
    assert err
