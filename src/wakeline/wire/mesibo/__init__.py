"""What mesibo's users know: its backend API for pushes, and the envelope of its webhook."""

from __future__ import annotations
