"""What the report cannot say: rules of Apple and Google, and what is assumed about machines and traffic, each with its source.

Rules of our own (turns, streams, walks, the ramp) are not here: the simulations import them from the code.
"""

from __future__ import annotations

from typing import NamedTuple


class Given(NamedTuple):
    """One number that the tables stand on."""

    what: str
    value: float
    unit: str
    source: str


STREAMS = Given(
    "streams that Apple and Google allow a connection",
    1000,
    "",
    "Apple announces 1,000 (read by several clients); Google's is taken to be the same. The gateway obeys what it is told",
)
FIRST_STREAMS = Given(
    "streams of a connection with a signed token until its first request is accepted",
    1,
    "",
    "Apple, Sending notification requests to APNs",
)
WINDOW = Given(
    "bytes of bodies under way that a connection allows",
    1 << 20,
    "",
    "assumed, as the bench's server does; RFC 9113 begins with 65,535 and lets the server give more. Never measured at Apple",
)
OVERHEAD = Given("bytes of a push to the provider besides its body", 150, "", "assumed: path, apns-id, frames, TLS")
DIAL_TRIPS = Given(
    "round trips until a new connection knows its limits",
    3,
    "",
    "TCP, TLS 1.3, SETTINGS (RFC 9293, 8446, 9113)",
)
JITTER = Given("spread of a round trip, standard deviation by mean", 0.1, "", "assumed")
QUOTA = Given(
    "messages a minute to one Firebase project",
    600_000,
    "",
    "Firebase, Throttling and quotas: the default; more on request, a quarter at a time",
)
QUOTA_REST = Given(
    "wait after a 429 of Google's that names no time",
    60,
    "s",
    "Firebase, Best practices when sending FCM messages at scale",
)
FCM_SHARE = Given("devices that Google reaches, of all", 0.7, "", "assumed: the rest is Apple's")
FSYNC = Given(
    "time that the disk takes for a commit", 1.0, "ms", "assumed: a data centre's SSD takes 0.1 to 2, a hard disk 10"
)
LOAD = Given("part of a core that is planned for", 0.6, "", "chosen: the rest is for peaks, retries and what we forgot")
SPARE_CORES = Given(
    "cores of a machine left for commits, kernel and proxy",
    1,
    "",
    "assumed: commits are the only work of a gateway beside its loop",
)
PUSHES = Given("pushes of its own that a device gets a day", 5, "", "assumed: chat or CRM")
BROADCASTS = Given("broadcasts that a device gets a day", 1, "", "assumed")
DISK = Given("disk of a node that may be used", 1000, "GB", "assumed")
MEMORY = Given("memory of a node that may keep the registry's pages", 24, "GB", "assumed: a machine of 32 GB")
CACHES = Given(
    "page caches of a gateway's own at most",
    109,
    "MB",
    "storage/sqlite/store.py: 16 MiB for each of two writers, 64 for look-ups, 8 for the ledger's reader",
)
READ = Given("a page that is not in memory", 0.1, "ms", "assumed: SSD; the loop waits for it")
PAGES = Given(
    "pages that a look-up by user reads", 4, "", "counted: user, device, target and its token, a leaf of each"
)
CALLS = Given("calls a second beside a broadcast", 50, "", "as `bench` sends them")

ALL = (
    STREAMS,
    FIRST_STREAMS,
    WINDOW,
    OVERHEAD,
    DIAL_TRIPS,
    JITTER,
    QUOTA,
    QUOTA_REST,
    FCM_SHARE,
    FSYNC,
    LOAD,
    SPARE_CORES,
    PUSHES,
    BROADCASTS,
    DISK,
    MEMORY,
    CACHES,
    READ,
    PAGES,
    CALLS,
)
