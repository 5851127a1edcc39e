"""The interfaces between the story and the world: small, one per need, values only.

Rule: what is asynchronous here may touch a disk or a network; what is not must return at once.
The conformance suites under tests/conformance are the definition; adapters satisfy them by shape (`typing.Protocol`).
Times are Unix milliseconds unless said otherwise. Whoever writes an adapter reads the modules in the order in which a push
meets them: accepting, queue, devices, apps, store, sending; then those of an edge or a connector, which are imported by name.
"""

from __future__ import annotations

from wakeline.ports.accepting import (
    Acceptance,
    Admission,
    Chunk,
    Committed,
    Idempotency,
    IdempotencyKey,
    Mismatch,
    Replayed,
    Reply,
    Running,
    Single,
)
from wakeline.ports.apps import ApiKeys, Apps, Brakes, Credentials, NewCredential, Routes
from wakeline.ports.clock import Clock, Ids
from wakeline.ports.devices import (
    DevicePage,
    Devices,
    Moved,
    Registered,
    StalePage,
    StaleTarget,
    Sweep,
    TargetVerdict,
    VoipPlace,
)
from wakeline.ports.queue import (
    AcceptedRun,
    BulkResult,
    Cancelled,
    DeliveryPage,
    Due,
    Events,
    FanoutStep,
    JobProgress,
    LaneDepth,
    Ledger,
    Queue,
    Settlement,
)
from wakeline.ports.sending import HttpAnswer, HttpClient, Preview, Provider, Sender, SenderStats, Shipment
from wakeline.ports.store import (
    BACKED_UP_AT,
    HOLD_NEW_ROUTES,
    RESTORED_AT,
    MasterKey,
    Rotated,
    Secrets,
    Settings,
    StoreHealth,
    StoreKeeper,
)

__all__ = [
    "BACKED_UP_AT",
    "HOLD_NEW_ROUTES",
    "RESTORED_AT",
    "Acceptance",
    "AcceptedRun",
    "Admission",
    "ApiKeys",
    "Apps",
    "Brakes",
    "BulkResult",
    "Cancelled",
    "Chunk",
    "Clock",
    "Committed",
    "Credentials",
    "DeliveryPage",
    "DevicePage",
    "Devices",
    "Due",
    "Events",
    "FanoutStep",
    "HttpAnswer",
    "HttpClient",
    "Idempotency",
    "IdempotencyKey",
    "Ids",
    "JobProgress",
    "LaneDepth",
    "Ledger",
    "MasterKey",
    "Mismatch",
    "Moved",
    "NewCredential",
    "Preview",
    "Provider",
    "Queue",
    "Registered",
    "Replayed",
    "Reply",
    "Rotated",
    "Routes",
    "Running",
    "Secrets",
    "Sender",
    "SenderStats",
    "Settings",
    "Settlement",
    "Shipment",
    "Single",
    "StalePage",
    "StaleTarget",
    "StoreHealth",
    "StoreKeeper",
    "Sweep",
    "TargetVerdict",
    "VoipPlace",
]
