"""The master key file: the current key on the first line, former ones below until nothing needs them.

    <32 bytes in base64>
    <32 bytes in base64> until 2027-11-23T00:00:00Z

Theory of changing it: a value sealed in the store and the key that opens it are in two files, and no commit covers both. So
the file first gets the new key *beside* the old one, then the store is sealed anew in one transaction, and only a later
change of the file drops the old key. Whatever moment a crash picks, the file holds a key for each value.

The file is only ever replaced whole: written beside, synced, renamed, and the directory synced (rename(2), fsync(2)).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from wakeline.model.errors import ConfigError
from wakeline.storage.sealing import KEY_BYTES, id_of

_UNTIL = "until"


class FormerKey(msgspec.Struct, frozen=True):
    """A key that seals no more. `until` (Unix ms): what was signed with it is over by then; None: not known."""

    key: bytes
    until: int | None = None

    def __repr__(self) -> str:
        """Name the key, do not show it."""
        return f"FormerKey({id_of(self.key)})"


class Keyring(msgspec.Struct, frozen=True):
    """The key that seals and those that still open."""

    current: bytes
    former: tuple[FormerKey, ...] = ()

    def __repr__(self) -> str:
        """Name the keys, do not show them."""
        return f"Keyring({id_of(self.current)}, former={self.former})"

    def succeeded_by(self, new: bytes, *, now: int, until: int) -> Keyring:
        """Return the ring in which `new` seals; keys that nothing needs at `now` are left out."""
        needed = [one for one in self.former if one.until is None or one.until > now]
        kept = (FormerKey(self.current, until), *needed)
        return Keyring(new, tuple(one for one in kept if one.key != new))


def new_key() -> bytes:
    """Return a new master key."""
    return os.urandom(KEY_BYTES)


def open_keyring(path: Path, *, create: bool = True) -> Keyring:
    """Return the keys in `path`; make the file (mode 0600) with a new one if absent and `create`. Raises ConfigError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if not create:
            raise ConfigError(
                f"There is no master key at {path}",
                fix="Bring the file back from your backup; sealed values need it. "
                "Only if it is lost for good: `wakeline db forget-secrets`.",
            ) from None
        return _create(path)
    except OSError as error:
        raise ConfigError(f"The master key at {path} cannot be read: {error.strerror}") from None
    return parse(text.decode("ascii", "replace"), f"The master key at {path}")


def parse(text: str, where: str) -> Keyring:
    """Return the keys in a text, one a line or between commas, the current one first. Raises ConfigError, showing no key."""
    lines = [line.split() for line in text.replace(",", "\n").splitlines() if line.strip()]
    if not lines:
        raise ConfigError(f"{where} is empty", fix="Bring it back from your backup; sealed values need it.")
    current, *former = [_former(words, where) for words in lines]
    return Keyring(current.key, tuple(former))


def _former(words: list[str], where: str) -> FormerKey:
    match words:
        case [key]:
            return FormerKey(_key(key, where))
        case [key, word, moment] if word == _UNTIL:
            with contextlib.suppress(ValueError):
                return FormerKey(_key(key, where), int(datetime.fromisoformat(moment).timestamp() * 1000))
    raise ConfigError(f"{where} has a line that is neither a key nor a key with `{_UNTIL} <time>`")


def _key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{where} is not base64 text") from None
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{where} has {len(key)} bytes; it must have {KEY_BYTES}")
    return key


def write(path: Path, ring: Keyring) -> None:
    """Put this ring in the place of the file, which keeps its owner and mode; on disk on return. Raises OSError."""
    place = path.resolve()  # a link stays a link
    draft = _draft(place)
    there = place.stat()
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), there.st_uid, there.st_gid)  # root, for the gateway's user
        os.fchmod(file.fileno(), there.st_mode & 0o777)
        file.write(_text(ring))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(place)
    _sync(place.parent)


def sweep(path: Path) -> None:
    """Take away what a crash inside `write` left: it bears keys."""
    with contextlib.suppress(OSError):
        _draft(path.resolve()).unlink(missing_ok=True)


def _draft(place: Path) -> Path:
    return place.with_name(f".{place.name}.new")


def _text(ring: Keyring) -> bytes:
    return "".join(f"{line}\n" for line in _lines(ring)).encode()


def _lines(ring: Keyring) -> Iterator[str]:
    yield base64.b64encode(ring.current).decode()
    for former in ring.former:
        key = base64.b64encode(former.key).decode()
        if former.until is None:
            yield key
        else:
            yield f"{key} {_UNTIL} {datetime.fromtimestamp(former.until // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create(path: Path) -> Keyring:
    """Make the key whole in a file beside it and then give it its name: a crash or a twin never leaves half a key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    ring = Keyring(new_key())
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_text(ring))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:  # another process was first: its key is the key
        return open_keyring(path, create=False)
    finally:
        Path(draft).unlink()
    _sync(path.parent)
    return ring
