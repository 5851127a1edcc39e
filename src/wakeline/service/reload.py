"""SIGHUP: read the settings again, check them, and swap what can be swapped; a wrong file changes nothing.

What needs a restart (`config.changes`) keeps its value until then, in the settings in force as well, so that `config show`
of a running process and its behaviour never differ. The log names those keys.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from wakeline.config import Loaded, Settings
from wakeline.config.changes import changes, takes_effect
from wakeline.config.flat import of_values, values
from wakeline.model.errors import ConfigError
from wakeline.observe.names import LogEvent

_log = structlog.get_logger()


class Reloader:
    """Holds the settings in force. `read` reads file and environment; `apply` hands new settings to the parts."""

    def __init__(self, settings: Settings, read: Callable[[], Loaded], apply: Callable[[Settings], None]) -> None:
        self._settings = settings
        self._read = read
        self._apply = apply

    def reload(self) -> bool:
        """Read again and swap; returns whether the settings were right."""
        try:
            wanted = self._read().settings
            merged = _merged(self._settings, wanted)
            # What only shows when it is used, such as the content of a `ca_file`, shows here.
            self._apply(merged)
        except ConfigError as error:
            _log.error(LogEvent.RELOAD_REFUSED.value, detail=error.detail)
            return False
        found = changes(self._settings, wanted)
        waiting = [change.key for change in found if not change.at_once]
        if waiting:
            _log.warning(LogEvent.RESTART_NEEDED.value, keys=waiting)
        self._settings = merged
        _log.info(LogEvent.RELOADED.value, keys=[change.key for change in found if change.at_once])
        return True


def _merged(old: Settings, new: Settings) -> Settings:
    """Return the old settings with the new values of all keys that take effect at once."""
    before, after = values(old), values(new)
    return of_values({key: (after if takes_effect(key) else before)[key] for key in before})
