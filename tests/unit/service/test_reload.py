"""What SIGHUP changes, and what it leaves alone."""

from __future__ import annotations

import msgspec
from structlog.testing import capture_logs

from wakeline.config import Limits, Loaded, Server, Settings
from wakeline.model.errors import ConfigError
from wakeline.service.reload import Reloader

OLD = Settings()
NEW = msgspec.structs.replace(OLD, limits=Limits(alert_burst=3), server=Server(listen="127.0.0.1:9", drain_timeout=7))


def read(settings: Settings) -> Loaded:
    return Loaded(settings=settings, origins={}, file=None)


def test_what_can_be_swapped_is_and_what_needs_a_restart_is_named() -> None:
    applied: list[Settings] = []
    with capture_logs() as lines:
        assert Reloader(OLD, lambda: read(NEW), applied.append).reload()
    (settings,) = applied
    assert settings.limits.alert_burst == 3
    assert settings.server.drain_timeout == 7
    assert settings.server.listen == OLD.server.listen
    assert [line["keys"] for line in lines if line["event"] == "settings.need_restart"] == [["server.listen"]]


def test_a_key_that_waits_for_a_restart_is_named_at_every_reload() -> None:
    reloader = Reloader(OLD, lambda: read(NEW), lambda _: None)
    reloader.reload()
    with capture_logs() as lines:
        reloader.reload()
    assert [line["event"] for line in lines] == ["settings.need_restart", "settings.reloaded"]


def test_wrong_settings_change_nothing() -> None:
    applied: list[Settings] = []

    def wrong() -> Loaded:
        raise ConfigError("limits.alert_burst: Expected `int`")

    with capture_logs() as lines:
        assert not Reloader(OLD, wrong, applied.append).reload()
    assert applied == []
    assert "alert_burst" in lines[0]["detail"]


def test_settings_that_prove_wrong_when_they_are_used_change_nothing_and_may_be_mended() -> None:
    applied: list[Settings] = []

    def apply(settings: Settings) -> None:
        if not applied:
            applied.append(settings)
            raise ConfigError("ca_file '/x' cannot be used: No such file or directory")
        applied.append(settings)

    reloader = Reloader(OLD, lambda: read(NEW), apply)
    with capture_logs() as lines:
        assert not reloader.reload()
        assert reloader.reload()
    assert [line["event"] for line in lines] == ["settings.refused", "settings.need_restart", "settings.reloaded"]
    assert "limits.alert_burst" in lines[2]["keys"]
