"""What is slow the first time, done before the gateway serves: at the first push it would keep the loop from its sockets.

The system's authorities take 20 ms to be read, OpenSSL's first deterministic signature 4 ms. Settings that change later have
it at their first use.
"""

from __future__ import annotations

import contextlib

from cryptography.hazmat.primitives.asymmetric import ec

from wakeline.config import Providers
from wakeline.model.errors import ConfigError
from wakeline.transport.tls import shared_context
from wakeline.wire import jwt


def once(providers: Providers) -> None:
    """Make what senders will share; may run in a thread. A `ca_file` that cannot be read is told where it is used."""
    for ca_file in {providers.apns.ca_file, providers.fcm.ca_file}:
        with contextlib.suppress(ConfigError):
            shared_context(ca_file=ca_file)
    jwt.es256(ec.generate_private_key(ec.SECP256R1()), {}, {})
