"""What becomes of the settings of a flexisip.conf."""

from __future__ import annotations

from typing import Any

import pytest

from wakeline.wire.flexisip.rules import RULES, seconds, translate, truth
from wakeline.wire.flexisip.settings import Becomes, Translated, merged, read


def one(section: str, name: str, value: str, more: str = "") -> Translated:
    [found] = [
        each for each in translate(f"[module::{section}]\n{name}={value}\n{more}", "acme") if each.setting.name == name
    ]
    return found


def sets(section: str, name: str, value: str, more: str = "") -> dict[str, Any]:
    return dict(one(section, name, value, more).verdict.sets)


def test_a_file_is_read_line_by_line() -> None:
    text = (
        "\ufeff# comment\n[ global ]\r\ntransports = sip:*:5060 \\\n   sips:*:5061\n#x=1\nrubbish\n"
        "[module::Router]\n  fork-late=true # no comment\n"
    )
    assert [(found.section, found.name, found.value, found.line) for found in read(text)] == [
        ("global", "transports", "sip:*:5060 sips:*:5061", 3),
        ("module::Router", "fork-late", "true # no comment", 8),
    ]


def test_a_backslash_at_the_end_of_the_file_ends_the_reading() -> None:
    assert [found.value for found in read("[a]\nb=c\\")] == ["c\\"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("90", 90),
        ("90s", 90),
        ("10min", 600),
        ("7 d", 604_800),
        ("1h", 3600),
        ("500ms", 0),
        ("x", None),
        ("", None),
        ("-1", None),
    ],
)
def test_a_time_is_read_with_its_unit(text: str, found: int | None) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize(
    ("section", "name", "value", "expected"),
    [
        ("Router", "fork-late", "true", {"sip.fork_late": True}),
        ("Router", "fork-late", "0", {"sip.fork_late": False}),
        ("Router", "call-fork-timeout", "90", {"sip.call_fork_timeout": 90}),
        ("Router", "call-fork-timeout", "5min", {"sip.call_fork_timeout": 90}),
        ("Router", "message-delivery-timeout", "604800", {"sip.message_delivery_timeout": 604_800}),
        ("Router", "message-accept-timeout", "5", {"sip.message_accept_timeout": 5}),
        ("Router", "message-accept-timeout", "soon", {}),
        ("Router", "permit-self-generated-provisional-response", "false", {"sip.push_sent": False}),
        (
            "Registrar",
            "reg-domains",
            "example.org sip.example.org",
            {"sip.domains": ("example.org", "sip.example.org")},
        ),
        ("Registrar", "reg-domains", "*", {}),
        ("Registrar", "max-contacts-by-aor", "15", {"sip.max_contacts": 15}),
        ("Registrar", "max-contacts-by-aor", "0", {}),
        ("Registrar", "max-expires", "7d", {"sip.max_expires": 604_800}),
        ("Registrar", "default-expires", "10min", {"sip.default_expires": 600}),
        ("Registrar", "force-expires", "600", {"sip.max_expires": 600, "sip.default_expires": 600}),
        ("Registrar", "force-expires", "0", {}),
        ("Authentication", "enabled", "true", {"sip.auth": "digest"}),
        ("Authentication", "enabled", "false", {"sip.auth": "none"}),
        ("Authentication", "trusted-hosts", "192.0.2.1 2001:db8::1", {"sip.peers": ("192.0.2.1", "2001:db8::1")}),
        ("PushNotification", "display-from-uri", "true", {"sip.display_from_uri": True}),
        (
            "PushNotification",
            "apple-certificate-dir",
            "/etc/flexisip/apn",
            {"credentials.directory": "/etc/flexisip/apn"},
        ),
        (
            "PushNotification",
            "apns-server",
            "api.push.apple.com",
            {"providers.apns.production": "https://api.push.apple.com:443"},
        ),
        ("PushNotification", "apns-dev-server", "h:2197", {"providers.apns.sandbox": "https://h:2197"}),
        (
            "PushNotification",
            "firebase-service-accounts",
            "8123:/a.json 9:/b.json",
            {"sip.senders": ("8123:acme", "9:acme")},
        ),
        ("PushNotification", "firebase-projects-api-keys", "8123:AIzaSecret", {"sip.senders": ("8123:acme",)}),
        ("PushNotification", "enabled", "false", {}),
    ],
)
def test_a_setting_with_a_counterpart_sets_it(section: str, name: str, value: str, expected: dict[str, Any]) -> None:
    assert sets(section, name, value) == expected


def test_a_proxy_is_one_url_for_both_push_services() -> None:
    more = "https-proxy-port=8080\nhttps-proxy-username=u@x\nhttps-proxy-password=p:/w\n"
    url = "http://u%40x:p%3A%2Fw@proxy.example:8080"
    assert sets("PushNotification", "https-proxy-host", "proxy.example", more) == {
        "providers.apns.proxy": url,
        "providers.fcm.proxy": url,
    }
    assert (
        sets("PushNotification", "https-proxy-host", "proxy.example")["providers.fcm.proxy"]
        == "http://proxy.example:3128"
    )
    assert sets("PushNotification", "https-proxy-host", "") == {}


@pytest.mark.parametrize(
    ("value", "listen", "told"),
    [
        ("sip:*", ("udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"), None),
        ("sip:localhost:5070;transport=UDP", ("udp:127.0.0.1:5070",), None),
        ("sip:192.0.2.1:5062;transport=tls", ("tls:192.0.2.1:5062",), None),
        ("sip:[2001:db8::1]:5070;transport=udp", ("udp:[2001:db8::1]:5070",), None),
        ("sips:sip.example.org;maddr=192.0.2.1", ("tls:192.0.2.1:5061",), "sip.example.org"),
        ("sips:198.51.100.7;maddr=192.0.2.1", ("tls:192.0.2.1:5061",), "198.51.100.7"),
        ("sips:h sip:h;transport=tcp sip:h", ("tls:0.0.0.0:5061", "tcp:0.0.0.0:5060", "udp:0.0.0.0:5060"), "h"),
        ("rubbish", None, None),
    ],
)
def test_transports_become_addresses_to_listen_on(value: str, listen: tuple[str, ...] | None, told: str | None) -> None:
    found = _of_transports(value)
    assert (found.get("sip.listen"), found.get("sip.public_host")) == (listen, told)


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("", "/etc/flexisip/Agent.pem"),
        (";tls-certificates-private-key=/etc/k.pem", "/etc/k.pem"),
        ("\ntls-certificates-private-key=/etc/all.pem", "/etc/all.pem"),
    ],
)
def test_a_certificate_of_one_transport_is_the_certificate(more: str, key: str) -> None:
    found = _of_transports(f"sips:*;tls-certificates-file=/etc/flexisip/Agent.pem{more}")
    assert (found["sip.tls_certificate"], found["sip.tls_key"]) == ("/etc/flexisip/Agent.pem", key)


def _of_transports(value: str) -> dict[str, Any]:
    return {key: said for each in translate(f"[global]\ntransports={value}\n") for key, said in each.verdict.sets}


def test_a_legacy_key_of_firebase_is_told_what_to_create_and_is_never_shown() -> None:
    found = one("PushNotification", "firebase-projects-api-keys", "8123:AIzaSecret")
    assert found.verdict.becomes is Becomes.OBSOLETE
    assert "service account" in found.verdict.why
    assert "wakeline credential add --app acme" in found.verdict.why
    assert "AIzaSecret" not in found.shown + found.verdict.why


def test_no_secret_of_a_file_is_shown() -> None:
    secrets = [
        ("PushNotification", "https-proxy-password"),
        ("PushNotification", "external-push-uri"),
        ("Registrar", "redis-auth-password"),
        ("Router", "message-database-connection-string"),
        ("Authentication", "soci-connection-string"),
    ]
    for section, name in secrets:
        assert one(section, name, "hunter2").shown == "***"


def test_a_setting_given_twice_counts_as_in_flexisip() -> None:
    found = translate("[module::Router]\nfork-late=false\nfork-late=true\n")
    assert [each.verdict.becomes for each in found] == [Becomes.OBSOLETE, Becomes.TAKEN]
    assert merged(found) == {"sip.fork_late": True}


def test_lists_from_several_settings_are_joined() -> None:
    text = (
        "[global]\naliases=localhost example.org\n[module::Registrar]\nreg-domains=example.org a.example\n"
        "[module::PushNotification]\nfirebase-service-accounts=8123:/a.json\nfirebase-projects-api-keys=8123:k 9:k\n"
    )
    found = merged(translate(text, "acme"))
    assert found["sip.domains"] == ("localhost", "example.org", "a.example")
    assert found["sip.senders"] == ("8123:acme", "9:acme")


def test_a_setting_of_another_part_is_unused() -> None:
    assert one("Presence", "enabled", "true").verdict.becomes is Becomes.UNUSED


@pytest.mark.parametrize("value", ["", "true", "12", "rubbish : , $", "8123:", ":", "\\"])
def test_every_rule_answers_whatever_stands_there(value: str) -> None:
    for section, name in RULES:
        [found] = translate(f"[{section}]\n{name}={value}")[:1]
        assert found.verdict.why
        assert found.verdict.becomes is not Becomes.UNUSED


def test_truth_is_read_as_flexisip_reads_it() -> None:
    assert [truth(word) for word in ("true", "1", "True ", "false", "0", "")] == [True, True, True, False, False, False]
