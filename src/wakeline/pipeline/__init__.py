"""The story of a push, read top to bottom: accept, resolve, dispatch, settle, report, maintain."""
