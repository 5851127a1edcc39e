"""Packages that carry credential files made by others: fetched by the package managers themselves, pinned, kept between runs.

Nothing of them is in our repository. A package that cannot be had skips its tests loudly.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from interop.installing import fetch

_not_to_be_had: set[str] = set()


class Package(NamedTuple):
    """One archive: `fetch` returns the command that puts it into a directory; `under` is where our files are inside."""

    program: str
    fetch: Callable[[Path], tuple[str, ...]]
    archive: str
    sha256: str
    under: str


def _npm(directory: Path) -> tuple[str, ...]:
    return "npm", "pack", "@parse/node-apn@8.1.0", "--silent", "--pack-destination", str(directory)


def _go(_directory: Path) -> tuple[str, ...]:
    return "go", "mod", "download", "github.com/sideshow/apns2@v0.25.0"


def _maven(directory: Path) -> tuple[str, ...]:
    artifact = "-Dartifact=com.eatthepath:pushy:0.15.4:jar:tests"
    return "mvn", "-q", "-B", "dependency:copy", artifact, f"-DoutputDirectory={directory}"


def _pip(directory: Path) -> tuple[str, ...]:
    source = ("--no-deps", "--no-binary", ":all:", "--dest", str(directory))
    return sys.executable, "-m", "pip", "download", "--quiet", *source, "apns2-up==0.9.0"


PACKAGES = {
    "node-apn": Package(
        "npm",
        _npm,
        "parse-node-apn-8.1.0.tgz",
        "2c4c1b79e6e880c87390a8f8477d65f7acd191505216dc5ab6e9a17d4f8f69c2",
        "package/test/",
    ),
    "apns2": Package(
        "go",
        _go,
        "cache/download/github.com/sideshow/apns2/@v/v0.25.0.zip",
        "bb7953ff59adee97947e722dd0e1ea1bbc4d99ef753e08a9ed2f1c10d36c47c5",
        "github.com/sideshow/apns2@v0.25.0/",
    ),
    "pushy": Package(
        "mvn",
        _maven,
        "pushy-0.15.4-tests.jar",
        "f3dbf6add32d085076aa52e55722c4a6efc8b8169643e833fa227078ffa4fa63",
        "",
    ),
    "apns2-up": Package(
        sys.executable,
        _pip,
        "apns2_up-0.9.0.tar.gz",
        "842cb10b18cb342adf0ca9e0d537cf6f4484a955c42aa7c9c40a4bcca57337c4",
        "apns2_up-0.9.0/",
    ),
}


def files(name: str, cache: Path) -> dict[str, bytes]:
    """All files of a package by their path, fetched if need be."""
    package = PACKAGES[name]
    archive = cache / name / package.archive
    if not archive.exists():
        half = cache / f"{name}.half"
        shutil.rmtree(half, ignore_errors=True)
        _fetch(name, package, half)
        shutil.rmtree(cache / name, ignore_errors=True)
        half.rename(cache / name)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert found == package.sha256, f"{archive.name} is not what was pinned"
    return {
        path.removeprefix(package.under): content
        for path, content in _content(archive).items()
        if path.startswith(package.under)
    }


def _fetch(name: str, package: Package, directory: Path) -> None:
    """Fetch an archive into a directory. One that cannot be had is not asked for again: many tests want each."""
    unjudged = f"the credential files of {name} were NOT judged"
    if name in _not_to_be_had:
        pytest.skip(f"it could not be fetched before: {unjudged}")
    if shutil.which(package.program) is None:
        pytest.skip(f"{package.program} is not installed: {unjudged}")
    directory.mkdir(parents=True)
    kept_by_go = {"GOMODCACHE": str(directory), "GOFLAGS": "-modcacherw"}
    _not_to_be_had.add(name)
    fetch(
        package.fetch(directory),
        directory,
        unjudged=unjudged,
        fetched=(directory / package.archive).exists,
        environment=kept_by_go,
    )
    _not_to_be_had.remove(name)


def _content(archive: Path) -> dict[str, bytes]:
    if archive.suffix in {".zip", ".jar"}:
        with zipfile.ZipFile(archive) as zipped:
            return {name: zipped.read(name) for name in zipped.namelist() if not name.endswith("/")}
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as packed:
        for member in packed:
            source = packed.extractfile(member)
            if source is not None:
                found[member.name] = source.read()
    return found
