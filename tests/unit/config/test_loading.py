"""Where settings come from, which one wins, and what a mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from wakeline.config import load
from wakeline.config.loading import find_file
from wakeline.config.tree import Settings
from wakeline.model.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "wakeline.toml"
    file.write_text(text)
    return file


def failure(file: Path | None, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file, environment)
    return caught.value.detail


def test_without_file_and_environment_everything_is_the_default() -> None:
    loaded = load(None, {"PATH": "/bin"})
    assert loaded.settings.server == Settings().server
    assert set(loaded.origins.values()) == {"default"}


def test_environment_wins_over_file_and_file_over_default(tmp_path: Path) -> None:
    file = write(tmp_path, "[limits]\nalert_burst = 5\nalert_per_hour = 7\n")
    loaded = load(file, {"WAKELINE_LIMITS__ALERT_BURST": "6"})
    assert (loaded.settings.limits.alert_burst, loaded.settings.limits.alert_per_hour) == (6, 7)
    assert loaded.settings.limits.call_per_minute == Settings().limits.call_per_minute
    assert loaded.origins["limits.alert_burst"] == "environment WAKELINE_LIMITS__ALERT_BURST"
    assert loaded.origins["limits.alert_per_hour"] == f"file {file}"


def test_nested_sections_are_set_by_the_environment() -> None:
    loaded = load(None, {"WAKELINE_PROVIDERS__APNS__CA_FILE": "/etc/ca.pem"})
    assert loaded.settings.providers.apns.ca_file == "/etc/ca.pem"


@pytest.mark.parametrize("text", ['["10.0.0.1", "::1"]', "10.0.0.1,::1", " 10.0.0.1 , ::1 "])
def test_a_list_in_the_environment_is_json_or_values_between_commas(text: str) -> None:
    loaded = load(None, {"WAKELINE_SERVER__TRUSTED_PROXIES": text})
    assert loaded.settings.server.trusted_proxies == ("10.0.0.1", "::1")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("1", True), ("0", False)])
def test_a_switch_in_the_environment(text: str, value: bool) -> None:
    assert load(None, {"WAKELINE_LIMITS__PER_USER": text}).settings.limits.per_user is value


def test_the_data_directory_is_put_into_other_values(tmp_path: Path) -> None:
    file = write(tmp_path, '[server]\ndata_dir = "/srv/wl"\n[secrets]\nmaster_key_file = "{data_dir}/k"\n')
    settings = load(file, {}).settings
    assert settings.storage.url == "sqlite:////srv/wl/wakeline.db"
    assert settings.secrets.master_key_file == "/srv/wl/k"


def test_an_unknown_key_names_its_nearest_neighbour(tmp_path: Path) -> None:
    assert "did you mean server.listen?" in failure(write(tmp_path, '[server]\nlistn = "x"\n'))
    assert "did you mean server.data_dir?" in failure(write(tmp_path, '[storage]\ndata_dir = "x"\n'))
    assert "did you mean limits?" in failure(write(tmp_path, "[limit]\nper_user = true\n"))
    assert "did you mean server.listen?" in failure(None, WAKELINE_SERVER__LISTEM="x")


def test_a_variable_with_one_underscore_too_few_is_an_error() -> None:
    assert "did you mean WAKELINE_SERVER__LISTEN?" in failure(None, WAKELINE_SERVER_LISTEN="x")


def test_variables_that_kubernetes_makes_for_a_service_of_our_name_are_no_settings() -> None:
    load(None, {"WAKELINE_PORT": "tcp://10.0.0.1:80", "WAKELINE_SERVICE_HOST": "10.0.0.1"})


def test_a_wrong_type_names_the_key_and_where_it_was_written(tmp_path: Path) -> None:
    file = write(tmp_path, '[limits]\nalert_burst = "many"\n')
    text = failure(file)
    assert "limits.alert_burst" in text
    assert "Expected `int`" in text
    assert str(file) in text


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, '[limits]\nalert_burst = 0\n[logs]\nlevel = "loud"\n[queue]\nlenght = 1\n')
    text = failure(file)
    assert len(text.splitlines()) == 3
    assert "debug, info, warning or error" in text


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("WAKELINE_SERVER__LISTEN", "localhost", "server.listen"),
        ("WAKELINE_SERVER__LISTEN", "127.0.0.1:70000", "server.listen"),
        ("WAKELINE_SERVER__TLS_KEY", "k.pem", "server.tls_certificate"),
        ("WAKELINE_SERVER__TLS_CERTIFICATE", "c.pem", "server.tls_key"),
        ("WAKELINE_SERVER__TRUSTED_PROXIES", "proxy.example", "server.trusted_proxies"),
        ("WAKELINE_SERVER__PUBLIC_URL", "push.example.com", "server.public_url"),
        ("WAKELINE_BITRIX24__CALL_HOOK", "ftp://calls.example.com", "bitrix24.call_hook"),
        ("WAKELINE_BITRIX24__PORTAL_HOSTS", "https://portal.example.com", "bitrix24.portal_hosts"),
        ("WAKELINE_SIP__SENDERS", "acme-chat", "sip.senders"),
        ("WAKELINE_BITRIX24__OAUTH_HOSTS", "oauth.example.com:8443", "bitrix24.oauth_hosts"),
        ("WAKELINE_STORAGE__URL", "mysql://x", "storage.url"),
        ("WAKELINE_DEVICES__RETIRE_STALE_AFTER", "86400", "devices.retire_stale_after"),
        ("WAKELINE_PROVIDERS__APNS__PRODUCTION", "http://api.push.apple.com", "providers.apns.production"),
        ("WAKELINE_PROVIDERS__FCM__PROXY", "socks5://x:1", "providers.fcm.proxy"),
        ("WAKELINE_PROVIDERS__WEBPUSH__PROXY", "socks5://x:1", "providers.webpush.proxy"),
        ("WAKELINE_PROVIDERS__WEBPUSH__CONTACT", "push@example.com", "providers.webpush.contact"),
        ("WAKELINE_SIP__LISTEN", "udp:0.0.0.0:5060", "sip.domains"),
        ("WAKELINE_SIP__LISTEN", "sctp:0.0.0.0:5060", "sip.listen"),
        ("WAKELINE_SIP__LISTEN", "udp:sip.example.org:5060", "sip.listen"),
        ("WAKELINE_SIP__DOMAINS", "sip:example.org", "sip.domains"),
        ("WAKELINE_SIP__DOMAINS", "Example.org", "sip.domains"),
        ("WAKELINE_SIP__PEERS", "pbx.example.org", "sip.peers"),
        ("WAKELINE_SIP__PBX", "pbx.example.org", "sip.pbx"),
        ("WAKELINE_SIP__AUTH_URL", "ldap://example.org", "sip.auth_url"),
        ("WAKELINE_SIP__CALL_FORK_TIMEOUT", "91", "sip.call_fork_timeout"),
        ("WAKELINE_SIP__MAX_EXPIRES", "600", "sip.default_expires"),
        ("WAKELINE_SIP__TLS_KEY", "k.pem", "sip.tls_certificate"),
        ("WAKELINE_SIP__TLS_CERTIFICATE", "c.pem", "sip.tls_key"),
    ],
)
def test_values_that_cannot_be_are_refused_by_key(variable: str, value: str, key: str) -> None:
    assert failure(None, **{variable: value}).startswith(f"{key}: ")


def test_a_tls_address_needs_a_certificate() -> None:
    with pytest.raises(ConfigError, match=r"sip\.tls_certificate: tls:\[::\]:5061 needs a certificate"):
        load(None, {"WAKELINE_SIP__LISTEN": "tcp:[::]:5060,tls:[::]:5061", "WAKELINE_SIP__DOMAINS": "example.org"})


@pytest.mark.parametrize(
    ("text", "word"), [("[server\n", "not TOML"), ("server = 3\n", "is a section"), ("\ud800", "cannot be read")]
)
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "wakeline.toml"
    file.write_bytes(text.encode(errors="surrogatepass"))
    assert word in failure(file)


def test_a_named_file_that_is_absent_is_an_error(tmp_path: Path) -> None:
    assert "There is no settings file" in failure(tmp_path / "none.toml")


def test_the_file_in_the_working_directory_is_found_only_if_none_is_named(tmp_path: Path) -> None:
    assert find_file(None, tmp_path) is None
    file = write(tmp_path, "")
    assert find_file(None, tmp_path) == file
    assert find_file(tmp_path / "other.toml", tmp_path) == tmp_path / "other.toml"
