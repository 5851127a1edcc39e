"""Where facts live: adapters of the storage ports, judged by one conformance suite (tests/conformance)."""
