"""The committed manual says what the tree says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from wakeline.config import load
from wakeline.config.changes import changes, takes_effect
from wakeline.config.keys import keys
from wakeline.config.reference import effective, example, masked, page
from wakeline.config.tree import Limits, Server, Settings

ROOT = Path(__file__).parents[3]


def test_the_committed_example_is_the_generated_one() -> None:
    assert (ROOT / "wakeline.toml.example").read_text() == example()


def test_the_committed_reference_page_is_the_generated_one() -> None:
    assert (ROOT / "docs/reference/configuration.md").read_text() == page()


def test_the_example_uncommented_holds_every_key_with_its_default(tmp_path: Path) -> None:
    file = tmp_path / "wakeline.toml"
    file.write_text(re.sub(r"^#(?=[a-z_]+ = )", "", example(), flags=re.MULTILINE))
    assert load(file, {}).settings == load(None, {}).settings
    assert all(origin.startswith("file ") for origin in load(file, {}).origins.values())


def test_the_example_as_it_is_changes_nothing() -> None:
    assert not any(tomllib.loads(example())[name] for name in ("server", "limits", "logs"))


def test_every_key_has_words() -> None:
    assert all(len(key.words) > 5 for key in keys().values())


def test_passwords_inside_urls_are_masked() -> None:
    loaded = load(None, {"WAKELINE_PROVIDERS__APNS__PROXY": "http://me:geheim@proxy:3128"})
    shown = {item.key: item.value for item in effective(loaded)}
    assert shown["providers.apns.proxy"] == "http://me:***@proxy:3128"
    assert "geheim" not in str(shown)
    assert masked("https://host/path") == "https://host/path"


def test_a_change_is_named_and_says_whether_it_takes_effect() -> None:
    old = Settings()
    new = msgspec.structs.replace(old, server=Server(listen="127.0.0.1:1"), limits=Limits(alert_burst=1))
    assert [(change.key, change.at_once) for change in changes(old, new)] == [
        ("server.listen", False),
        ("limits.alert_burst", True),
    ]
    assert changes(old, old) == []
    assert not takes_effect("server.data_dir")
    assert takes_effect("webhooks.allow_private")
