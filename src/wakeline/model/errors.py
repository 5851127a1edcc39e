"""The one error tree. Every error knows its consequences, so that no edge has to guess them.

    WakelineError
    +- ConfigError                 the settings file or an environment variable is wrong
    +- RequestError                the caller can repair it
    |  +- MalformedRequest         400  the body or the query cannot be read at all
    |  +- Unauthenticated          401  no key, or one that is unknown, expired or revoked
    |  +- NotAllowed               403  the key is too narrow
    |  +- NotFound                 404
    |  +- MethodNotAllowed         405
    |  +- Conflict                 409  it exists already and differs
    |  |  +- IdempotencyRunning    409  the first request with this key is still at work
    |  |  +- SecretNotReplayed     409  the first answer bore a secret; it is not shown twice
    |  +- BodyTooLarge             413
    |  +- UnsupportedMedia         415  written in something that is not read here
    |  +- InvalidRequest           422  understood, and wrong: names the field
    |  |  +- PayloadTooLarge       422  the push would not fit its provider
    |  |  +- NoCredential          422  no recipient can be served: the app lacks the credential
    |  |  +- IdempotencyMismatch   422  same key, other body
    |  |  +- CredentialRefused     422  the file cannot work; the verdict says why
    |  +- RateLimited              429
    |  +- Overloaded               503  full, said early: Retry-After
    +- WireError                   bytes that break a protocol
    |  +- LocalProtocolError       by us: a defect
    |  +- RemoteProtocolError      by the peer
    +- StorageError
    |  +- StoreUnavailable         the commit failed; nothing of it was kept
    |  +- StoreBusy                another process owns the data directory
    |  +- SchemaTooNew             the store was written by a newer release
    |  +- MigrationChanged         an applied migration differs from the shipped one
    +- SecretError                 a sealed value cannot be opened
    +- PortalError                 a connected Bitrix24 portal did not do what was asked
    |  +- PortalRefused            it said no, and would again
    |  +- PortalUnreachable        not now; says when to try again
    |  +- PortalClosed             we have no access, or none any more: nothing is asked
    +- TransportError
       +- ConnectFailed
       +- TimedOut
       +- AddressRefused           the outbound guard said no

What a push service says is never an error: it is a value (`model.outcome.Outcome`).
"""

from __future__ import annotations

from typing import ClassVar


class WakelineError(Exception):
    """Root of all our errors.

    `code` is stable and part of the contract; `status` is the HTTP status an edge answers with;
    `exit_code` is what the command line ends with (0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 unavailable).
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something failed inside the gateway"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str, *, pointer: str = "", fix: str = "", retry_after: float | None = None) -> None:
        """Say what happened (`detail`), where (`pointer`, a JSON Pointer), what to do (`fix`), when to retry (seconds)."""
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.fix = fix
        self.retry_after = retry_after


class ConfigError(WakelineError):
    """The settings are wrong; the detail names the key."""

    code = "config_invalid"
    title = "The configuration is wrong"
    exit_code = 2


class RequestError(WakelineError):
    """The caller can repair it."""

    code = "request_invalid"
    title = "The request cannot be served"
    status = 400
    exit_code = 4


class MalformedRequest(RequestError):
    """The body or the query cannot be read at all."""

    code = "malformed"
    title = "The request cannot be read"


class Unauthenticated(RequestError):
    """No key, or one that is unknown, expired or revoked (RFC 6750 section 3.1)."""

    code = "unauthenticated"
    title = "A valid API key is needed"
    status = 401


class NotAllowed(RequestError):
    """The key is too narrow."""

    code = "not_allowed"
    title = "The API key does not allow this"
    status = 403


class NotFound(RequestError):
    """There is no such thing, or the key may not see it."""

    code = "not_found"
    title = "There is no such thing"
    status = 404
    exit_code = 3


class MethodNotAllowed(RequestError):
    """The path exists, and this method does not. `allowed` names those that do."""

    code = "method_not_allowed"
    title = "This path does not take this method"
    status = 405
    allowed: tuple[str, ...] = ()


class Conflict(RequestError):
    """It exists already and differs."""

    code = "conflict"
    title = "It exists already and differs"
    status = 409


class IdempotencyRunning(Conflict):
    """The first request with this key is still at work."""

    code = "idempotency_running"
    title = "The first request with this Idempotency-Key is still at work"


class SecretNotReplayed(Conflict):
    """The first answer bore a secret, and a secret is shown once. `resource` is the id of what it made."""

    code = "secret_not_replayed"
    title = "The first answer bore a secret; it is not shown twice"
    resource = ""


class TokenGone(RequestError):
    """The push service has said that the token that was named is no more."""

    code = "token_gone"
    title = "The push token is no longer valid"
    status = 410


class BodyTooLarge(RequestError):
    """The body is longer than the edge reads."""

    code = "body_too_large"
    title = "The request body is too large"
    status = 413


class UnsupportedMedia(RequestError):
    """The body is written in something that is not read here."""

    code = "unsupported_media_type"
    title = "The body is written in a form that is not read here"
    status = 415


class InvalidRequest(RequestError):
    """Understood, and wrong; `pointer` names the field."""

    code = "invalid"
    title = "The request is understood and wrong"
    status = 422


class PayloadTooLarge(InvalidRequest):
    """The push would not fit its provider."""

    code = "payload_too_large"
    title = "The push is larger than its provider takes"


class NoCredential(InvalidRequest):
    """No recipient can be served, because the app has no credential for any of them (901)."""

    code = "no_credential"
    title = "The app has no credential for these recipients"


class IdempotencyMismatch(InvalidRequest):
    """Same Idempotency-Key, other body."""

    code = "idempotency_mismatch"
    title = "This Idempotency-Key was used with another body"


class CredentialRefused(InvalidRequest):
    """The credential file cannot work; the detail is its verdict."""

    code = "credential_refused"
    title = "The credential is refused"


class RateLimited(RequestError):
    """Too many requests; `retry_after` says when."""

    code = "rate_limited"
    title = "Too many requests"
    status = 429
    exit_code = 5


class Overloaded(RequestError):
    """Full, said early (promise 7)."""

    code = "overloaded"
    title = "The gateway takes no more for now"
    status = 503
    exit_code = 5


class WireError(WakelineError):
    """Bytes that break a protocol."""

    code = "wire_broken"
    title = "A protocol was broken"


class LocalProtocolError(WireError):
    """We were about to break the protocol: a defect of ours."""

    code = "wire_local"


class RemoteProtocolError(WireError):
    """The peer broke the protocol."""

    code = "wire_remote"


class StorageError(WakelineError):
    """The store cannot serve."""

    code = "storage_failed"
    title = "The store cannot serve"
    status = 503
    exit_code = 5


class StoreUnavailable(StorageError):
    """A commit or a read failed; nothing of it was kept."""

    code = "store_unavailable"


class StoreBusy(StorageError):
    """Another process owns the data directory."""

    code = "store_busy"
    title = "Another process owns the data directory"


class SchemaTooNew(StorageError):
    """The store was written by a newer release."""

    code = "schema_too_new"
    title = "The store was written by a newer release"
    exit_code = 4


class MigrationChanged(StorageError):
    """An applied migration differs from the shipped file."""

    code = "migration_changed"
    title = "An applied migration differs from the shipped one"
    exit_code = 4


class SecretError(WakelineError):
    """A sealed value cannot be opened: another master key, or changed bytes."""

    code = "secret_unreadable"
    title = "A sealed value cannot be opened"
    exit_code = 4


class PortalError(WakelineError):
    """A connected Bitrix24 portal did not do what was asked."""

    code = "portal_failed"
    title = "A connected portal failed"
    status = 502


class PortalRefused(PortalError):
    """The portal said no, and would again: `answered` is its HTTP status, `reason` its error code (may be empty)."""

    code = "portal_refused"
    title = "The connected portal refuses this"
    exit_code = 4

    def __init__(self, detail: str, *, answered: int, reason: str, fix: str = "") -> None:
        """Say what the portal said."""
        super().__init__(detail, fix=fix)
        self.answered = answered
        self.reason = reason


class PortalUnreachable(PortalError):
    """The portal, or the way to it, serves nobody now; `retry_after` is set.

    `doubtful`: the request had left, so it may have been carried out; otherwise it was not.
    """

    code = "portal_unreachable"
    title = "The connected portal cannot be reached"
    status = 503
    exit_code = 5

    def __init__(self, detail: str, *, retry_after: float, doubtful: bool = False, fix: str = "") -> None:
        """Say what failed, and when to try again (seconds)."""
        super().__init__(detail, fix=fix, retry_after=retry_after)
        self.doubtful = doubtful


class PortalClosed(PortalError):
    """There is no access to the portal, or none any more; nothing was asked."""

    code = "portal_closed"
    title = "There is no access to this portal"
    status = 409
    exit_code = 4


class TransportError(WakelineError):
    """Nothing, or nothing useful, came back over the network."""

    code = "transport_failed"
    title = "The network failed"
    status = 503
    exit_code = 5


class ConnectFailed(TransportError):
    """No connection could be made."""

    code = "connect_failed"


class TimedOut(TransportError):
    """The peer did not answer in time."""

    code = "timed_out"


class AddressRefused(TransportError):
    """The outbound guard refuses this address."""

    code = "address_refused"
    title = "The outbound guard refuses this address"
    status = 422
    exit_code = 4
