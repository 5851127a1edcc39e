"""What we show to those who connect by TLS: a certificate of the operator's, with its key."""

from __future__ import annotations

import ssl

from wakeline.model.errors import ConfigError


def server_context(section: str, certificate: str, key: str) -> ssl.SSLContext:
    """Return a context for servers, from PEM files; `section` of the settings names them. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _show(context, section, certificate, key)
    return context


def renew(context: ssl.SSLContext, section: str, certificate: str, key: str) -> None:
    """Show what the files hold now to those who connect from now on. Raises ConfigError, and all stays as it was."""
    server_context(section, certificate, key)  # a certificate without its key must not get halfway into the one in use
    _show(context, section, certificate, key)


def _show(context: ssl.SSLContext, section: str, certificate: str, key: str) -> None:
    try:
        # Without a password at hand OpenSSL would ask for one on the server's terminal.
        context.load_cert_chain(certificate, key or None, password="")
    except OSError as error:  # ssl.SSLError is one too
        raise ConfigError(
            f"{section}.tls_certificate: {certificate} and its key cannot be used: {error.strerror or error}",
            fix="Name readable PEM files: the certificate with its chain, and its own key without a password.",
        ) from None
