"""A directory of credential files, as Flexisip keeps one: imported once by a command, or watched by a running gateway.

    listing (what lies there) -> files (read whole, one a content) -> judged (what each is) -> intake (which app; the door)
                                                                                                ^ watch: again on each change

Theory: the directory is another caller of the API, with an eye for file names. Whatever is kept goes through the same door as
an upload, so the same rules hold: judged first, 409 for what is no plain renewal, asked about at the push service, tried as
a canary. Nothing in the directory is ever written, and nothing that leaves it is forgotten.
"""

from __future__ import annotations

from wakeline.service.credential_directory.intake import Door, Intake, Line, Refusal
from wakeline.service.credential_directory.listing import look
from wakeline.service.credential_directory.placing import Result, Wishes

__all__ = ["Door", "Intake", "Line", "Refusal", "Result", "Wishes", "look"]
