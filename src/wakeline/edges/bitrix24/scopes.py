"""The scopes that methods of our portal ask for, by Bitrix24's names: what an application has unless it is made with fewer.

A test compares the list with the table of methods.
"""

from __future__ import annotations

ALL = (
    "call",
    "crm",
    "im",
    "mobile",
    "pull",
    "pull_channel",
    "task",
    "tasks",
    "telephony",
    "user",
    "user_basic",
    "user_brief",
)
