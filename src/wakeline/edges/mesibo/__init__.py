"""mesibo's backend API for pushes, `POST /mesibo/backend`: what scripts of its users ask goes on working.

    door        one request: what is asked, by whom, for which app
    uploading   pushupload: a credential of Apple's or Google's
    testing     pushtest: a push to users, and what became of it on each of their devices
    debugging   pushdebug: the debug window
    answers     what it says

Rule: this edge is a translation. What an operation does is what the REST API does, under the same scopes.
"""

from __future__ import annotations

from wakeline.edges.mesibo.door import MesiboDoor

__all__ = ["MesiboDoor"]
