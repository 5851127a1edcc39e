"""What applications keep on the portal: one JSON map for each application, and one for each of its users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from wakeline.storage.sqlite.bitrix24.forgetting import delete_in_batches
from wakeline.storage.sqlite.bitrix24.tokens import PortalTokens
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction

_SQL = load("bitrix24_options")


class PortalOptions(PortalTokens):
    """Options of applications and their users."""

    async def options(self, application: int, user: int) -> dict[str, object]:
        """Return what an application keeps for a user; 0: for itself."""
        return _read(self._reader.one(_SQL["options"], (application, user)))

    async def change_options(self, application: int, user: int, new: Mapping[str, object], *, most: int) -> bool:
        """Add to what is kept; False, and nothing is changed: all of it would be longer than `most` bytes. Raises NotFound."""
        return await self._writer.write(lambda tx: self._change_options(tx, application, user, new, most))

    def _change_options(
        self, tx: Transaction, application: int, user: int, new: Mapping[str, object], most: int
    ) -> bool:
        self._refuse_gone(application)
        options = msgspec.json.encode(_read(tx.one(_SQL["options"], (application, user))) | dict(new))
        if len(options) > most:
            return False
        tx.execute(_SQL["put_options"], (application, user, options))
        return True

    async def forget_options(self, application: int) -> None:
        """Forget all that an application keeps."""
        await delete_in_batches(self._writer, _SQL["delete_options"], application)


def _read(row: Any) -> dict[str, object]:
    return {} if row is None else msgspec.json.decode(row[0], type=dict[str, object])
