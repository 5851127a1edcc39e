"""What it means that the network gave no answer.

The question is always whether the provider may have taken the push. Not written, or refused by the peer before it was
processed: it has not, so it is sent again at once. Written and unanswered: nobody knows, so it is sent again only where
twice is better than never. No connection at all: it waits, and `doctor` names the layer that failed.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial

from wakeline.model.outcome import Action as Do
from wakeline.model.outcome import Outcome
from wakeline.model.outcome import OutcomeClass as Is
from wakeline.wire.outcomes.entry import Entry, Source, Table

_E = partial(Entry, Source.NETWORK, 0)


class Loss(StrEnum):
    """How a request was lost on the way."""

    NOT_WRITTEN = "not_written"
    REFUSED_STREAM = "refused_stream"
    UNANSWERED = "no_answer"
    TIMEOUT = "timeout"
    CONNECT = "connect_failed"
    DNS = "dns"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_VERIFY = "tls_verify"
    TLS_ALERT = "tls_alert"
    TLS = "tls"
    CERTIFICATE_REJECTED = "certificate_rejected"
    CERTIFICATE_EXPIRED = "certificate_expired_alert"
    ALPN = "alpn"
    PROXY = "proxy"


_AGAIN = "Nothing: the gateway sends again by itself, and gives up when the ttl of the push ends."

# fmt: off
NETWORK = Table.of(
    _E(Loss.NOT_WRITTEN, Is.TRANSIENT, Do.REPLAY, 902, "The connection ended before the push was written.", _AGAIN),
    _E(Loss.REFUSED_STREAM, Is.TRANSIENT, Do.REPLAY, 902, "The push service gave the push back unprocessed.", _AGAIN),
    _E(Loss.UNANSWERED, Is.UNKNOWN, Do.RETRY, 902, "The connection ended after the push was written and before it was answered.",
       "Nothing: it may have been shown. The gateway sends again unless `on_unknown` is `stop`."),
    _E(Loss.TIMEOUT, Is.UNKNOWN, Do.RETRY, 902, "The push service did not answer in time.",
       "Nothing: it may have been shown. The gateway sends again unless `on_unknown` is `stop`."),
    _E(Loss.CONNECT, Is.TRANSIENT, Do.RETRY, 902, "No connection to the push service could be made.",
       "Run `wakeline doctor`: it tries each step of the way. The gateway goes on trying by itself."),
    _E(Loss.DNS, Is.TRANSIENT, Do.RETRY, 902, "The name of the push service cannot be resolved.",
       "Check the DNS servers of this machine. The gateway goes on trying by itself."),
    _E(Loss.CONNECT_REFUSED, Is.TRANSIENT, Do.RETRY, 902, "The push service's address refuses connections.",
       "Check that a firewall lets this machine out to the push service (APNs: port 443 or 2197, FCM: 443)."),
    _E(Loss.CONNECT_TIMEOUT, Is.TRANSIENT, Do.RETRY, 902, "The push service's address does not answer a connection attempt.",
       "Check that a firewall lets this machine out to the push service (APNs: port 443 or 2197, FCM: 443)."),
    _E(Loss.TLS_VERIFY, Is.TRANSIENT, Do.RETRY, 902, "The server's certificate could not be verified, so nothing was sent to it.",
       "Update the system's certificates and its clock. If a proxy opens TLS here, add its authority as `ca_file`."),
    _E(Loss.TLS_ALERT, Is.TRANSIENT, Do.RETRY, 902, "The server ended the TLS handshake.",
       "Check with `wakeline doctor` that nothing between this machine and the push service interferes with TLS."),
    _E(Loss.TLS, Is.TRANSIENT, Do.RETRY, 902, "TLS with the server failed.",
       "Check the host and port, and with `wakeline doctor` that nothing on the way interferes with TLS."),
    _E(Loss.CERTIFICATE_REJECTED, Is.CREDENTIAL, Do.HOLD, 904, "The push service does not accept our client certificate.",
       "Upload a .p8 key or a new certificate for the app; what waits goes out by itself."),
    _E(Loss.CERTIFICATE_EXPIRED, Is.CREDENTIAL, Do.HOLD, 903, "The push service says that our client certificate has expired.",
       "Upload a .p8 key, which never expires, or a new certificate; what waits goes out by itself."),
    _E(Loss.ALPN, Is.TRANSIENT, Do.RETRY, 902, "The server does not offer HTTP/2.",
       "Check the host and port; a proxy that opens TLS must pass ALPN on."),
    _E(Loss.PROXY, Is.TRANSIENT, Do.RETRY, 902, "The proxy did not open the way to the push service.",
       "Check `proxy` in the provider's section, its user name and password, and what the proxy allows."),
)
# fmt: on


def lost(loss: Loss, *, detail: str = "") -> Outcome:
    """Return what it means that a request was lost in this way; `detail` says what the network stack said."""
    entry = NETWORK.index[0, loss]
    if not detail:
        return entry.outcome(reason=loss.value)
    return entry._replace(cause=f"{entry.cause} ({detail})").outcome(reason=loss.value)
