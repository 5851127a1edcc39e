"""Brake episodes: kept in memory whole, written through."""

from __future__ import annotations

import msgspec

from wakeline.model.brake import BrakeEpisode
from wakeline.model.errors import NotFound
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("registers")
_episode = msgspec.json.Decoder(BrakeEpisode)


class SqliteBrakes:
    """Episodes by id."""

    def __init__(self, writer: Writer, reader: Reader, apps: SqliteApps) -> None:
        self._writer = writer
        self._reader = reader
        self._apps = apps
        self._episodes: dict[int, BrakeEpisode] = {}

    async def load(self) -> None:
        """Read all episodes."""
        for number, facts in self._reader.all(_SQL["brakes"]):
            self._episodes[number] = msgspec.structs.replace(_episode.decode(facts), id=number)

    async def keep(self, episode: BrakeEpisode) -> BrakeEpisode:
        """Keep a new episode. Raises NotFound for a deleted app."""
        return await self._writer.write(lambda tx: self._keep(tx, episode))

    def _keep(self, tx: Transaction, episode: BrakeEpisode) -> BrakeEpisode:
        if self._apps.is_gone(episode.app):
            raise NotFound("The app was deleted")
        number = tx.execute(_SQL["insert_brake"], (episode.app, msgspec.json.encode(episode))).lastrowid or 0
        kept = msgspec.structs.replace(episode, id=number)
        tx.on_commit(lambda: self._episodes.__setitem__(number, kept))
        return kept

    async def change(self, episode: BrakeEpisode) -> None:
        """Write what became of it. Raises NotFound."""
        await self._writer.write(lambda tx: self._change(tx, episode))

    def _change(self, tx: Transaction, episode: BrakeEpisode) -> None:
        if episode.id not in self._episodes:
            raise NotFound(f"There is no brake episode {episode.id}")
        tx.execute(_SQL["update_brake"], (msgspec.json.encode(episode), episode.id))
        tx.on_commit(lambda: self._episodes.__setitem__(episode.id, episode))

    def get(self, episode: int) -> BrakeEpisode | None:
        """Return one by id."""
        return self._episodes.get(episode)

    def all(self) -> list[BrakeEpisode]:
        """Return all, the newest first."""
        return sorted(self._episodes.values(), key=lambda episode: -episode.id)

    async def prune(self, before: int) -> int:
        """Forget released ones that closed before that time."""
        over = [
            episode.id
            for episode in self._episodes.values()
            if episode.released_at is not None and episode.closed_at < before
        ]
        if over:
            await self._writer.write(lambda tx: tx.many(_SQL["delete_brake"], [(number,) for number in over]))
        for number in over:
            self._episodes.pop(number, None)
        return len(over)

    async def forget_app(self, app: int) -> None:
        """Forget an app's episodes."""
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_brakes"], (app,)))
        self._episodes = {number: episode for number, episode in self._episodes.items() if episode.app != app}
