"""`wakeline credential csr` and `convert`: files made from files, without a store and without a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cyclopts import Parameter

from wakeline.cli import private_file
from wakeline.cli.context import Ctx
from wakeline.cli.credential_views import drawn, inspected, now
from wakeline.cli.printing import facts
from wakeline.model.errors import ConfigError, CredentialRefused, NotFound
from wakeline.wire.credential_file import Expectation, inspect
from wakeline.wire.credential_file.apns_key import key_id_in
from wakeline.wire.credential_file.conversion import Form, joined, written
from wakeline.wire.credential_file.private_key import Unreadable
from wakeline.wire.credential_file.signing_request import signing_request

Password = Annotated[str, Parameter(env_var="WAKELINE_CREDENTIAL_PASSWORD", show_env_var=False)]
NewPassword = Annotated[str, Parameter(env_var="WAKELINE_CREDENTIAL_OUT_PASSWORD", show_env_var=False)]

_FORMS = {".pem": Form.PEM, ".p12": Form.P12, ".pfx": Form.P12, ".p8": Form.P8}
_CERTIFICATES = "https://developer.apple.com/account/resources/certificates/add"


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """What `csr` made: a private key, and the request to upload."""

    key: str
    request: str
    key_type: str
    encrypted: bool


def csr(
    *,
    key_out: Path,
    out: Path,
    common_name: str = "",
    app: str = "",
    email: str = "",
    country: str = "",
    key_type: Literal["rsa2048", "ec"] = "rsa2048",
    password: Password = "",
    context: Ctx,
) -> None:
    """Make a private key and the request from which Apple makes a push certificate, as Keychain's assistant does.

    Parameters
    ----------
    key_out
        Where the private key goes: readable for its owner alone, never over another file. Keep it: Apple does not have it.
    out
        Where the request goes, to be uploaded at developer.apple.com.
    common_name
        A name by which you know the key again.
    app
        The app's id as that name.
    email
        Of the developer account.
    country
        Two letters, such as DE.
    key_type
        Apple asks for rsa2048.
    password
        Encrypts the key. Others can read a command line; better set WAKELINE_CREDENTIAL_PASSWORD.
    """
    name = common_name or app
    if not name:
        raise ConfigError("The key has no name.", fix="Give --common-name, or --app.")
    private_file.claim(key_out, out)
    key = _new_key(key_type)
    try:
        request = signing_request(key, common_name=name, email=email, country=country)
    except ValueError as error:
        raise ConfigError(f"The request cannot be made: {error}") from None
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    private_file.write(key_out, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    private_file.write(out, request)
    made = Requested(key=str(key_out), request=str(out), key_type=key_type, encrypted=bool(password))
    context.printer.result(made, lambda: facts([("private key", made.key), ("request", made.request)]))
    context.printer.remark(_next_steps(made))


def _new_key(kind: Literal["rsa2048", "ec"]) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _next_steps(made: Requested) -> str:
    steps = [
        f"1. Open {_CERTIFICATES}, choose Apple Push Notification service SSL (Sandbox & Production) and the app's bundle id.",
        f"2. Upload {made.request}, and download the certificate (aps.cer).",
        f"3. wakeline credential convert aps.cer --key {made.key} --out aps.p12",
        "4. wakeline credential add aps.p12",
    ]
    if made.key_type != "rsa2048":
        steps.insert(0, "Apple asks for an RSA key of 2048 bits here and may refuse a request for another one.")
    return "\n".join(
        [*steps, "An APNs key (.p8) needs none of this: it serves every app of the team and never expires."]
    )


def convert(
    *files: Path,
    out: Path,
    key: Path | None = None,
    password: Password = "",
    to: Literal["pem", "p12", "p8"] | None = None,
    out_password: NewPassword = "",
    force: bool = False,
    context: Ctx,
) -> int:
    """Join and convert credential files; exit code 4 if the result cannot work.

    Parameters
    ----------
    files
        A .cer from Apple, a .p12, a .pem, a key: what belongs together.
    out
        Where the result goes: readable for its owner alone.
    key
        The private key of a .cer.
    password
        Of what is read. Others can read a command line; better set WAKELINE_CREDENTIAL_PASSWORD.
    to
        What to write; else the ending of --out says it.
    out_password
        Encrypts the result; better set WAKELINE_CREDENTIAL_OUT_PASSWORD.
    force
        Take the place of a file that is there.
    """
    form = Form(to) if to else _FORMS.get(out.suffix.lower())
    if form is None:
        raise ConfigError(f"The name {out} does not say what to write.", fix="Give --to pem, p12 or p8.")
    sources = [*files, key] if key else [*files]
    if not sources:
        raise ConfigError("No file was named.", fix="Name a .cer, .p12, .pem or key.")
    try:
        result = written(joined([read(file) for file in sources], password), form, out_password)
    except Unreadable as error:
        raise CredentialRefused(str(error)) from None
    private_file.write(out, result, replace=force, fix="Name another one, or say --force.")
    named = next(filter(None, (key_id_in(file.name) for file in [out, *sources])), "")
    expectation = Expectation(now=now(), password=out_password, key_id=named, file_name=out.name, alone=True)
    shown = inspected(out, inspect(result, expectation))
    context.printer.result(shown, lambda: drawn(shown))
    context.printer.remark(f"{out} is written as {form.value}, {'encrypted' if out_password else 'not encrypted'}.")
    return shown.exit_code


def read(file: Path) -> bytes:
    """Return what is in a file. Raises NotFound."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFound(f"The file {file} cannot be read: {error.strerror}.") from None
