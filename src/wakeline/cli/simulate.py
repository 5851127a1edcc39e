"""`wakeline simulate`: fake APNs, FCM, Web Push and Bitrix24 on loopback ports, scriptable over a control port."""

from __future__ import annotations

from pathlib import Path

from wakeline.model.errors import ConfigError, ConnectFailed


async def simulate(
    *,
    apns_port: int = 0,
    apns_sandbox_port: int | None = None,
    fcm_port: int = 0,
    portal_port: int | None = None,
    control_port: int = 0,
    state_dir: Path | None = None,
) -> None:
    """Run the push services' stand-ins until stopped; prints one JSON line when they listen.

    Parameters
    ----------
    apns_port
        HTTP/2 with TLS; 0 is any free port, as for the others.
    apns_sandbox_port
        APNs's sandbox on a port of its own; without it `apns_port` is both environments.
    fcm_port
        FCM v1, OAuth at /token, and the endpoints of Web Push subscriptions.
    portal_port
        A Bitrix24 portal (https://localhost:PORT) and its OAuth host (https://127.0.0.1:PORT); without it there is none.
    control_port
        POST /script, /behave, /trust, /reset; POST /subscriptions for a browser's subscription; GET /requests, /counts; /portal/*.
    state_dir
        Gets ca.pem, which the gateway must trust (`ca_file` in [providers.apns], [providers.fcm], [providers.webpush]).
    """
    try:
        from wakeline.simulator import run  # noqa: PLC0415 - its packages are an extra
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The simulator needs the package {error.name}", fix="pip install 'wakeline[simulator]'"
        ) from None
    try:
        await run(
            apns_port=apns_port,
            apns_sandbox_port=apns_sandbox_port,
            fcm_port=fcm_port,
            portal_port=portal_port,
            control_port=control_port,
            state_dir=state_dir,
        )
    except OSError as error:
        raise ConnectFailed(f"The simulator cannot listen: {error}", fix="Choose another port.") from None
