"""What each error code means and what to do about it: the text of `/docs/problems/<code>` and of docs/problems/<code>.md.

Theory: title, status and exit code belong to the class in `model.errors`; the words belong here, one entry a code. The length
is that of the error tree. A test walks the tree and asks for an entry of each.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wakeline.model.errors import WakelineError


class Page(msgspec.Struct, frozen=True):
    """The words about a code: what it means, and what to do, step by step."""

    meaning: str
    steps: tuple[str, ...]


PAGES: dict[str, Page] = {
    "internal": Page(
        "The gateway met a defect of its own. Your request may be right. Nothing of it was kept unless an earlier answer said so.",
        (
            "Look in the gateway's log for the request id that the answer names (`instance`, also in the `X-Request-Id` header).",
            "Repeat the request with the same `Idempotency-Key`: if the first one was kept after all, nothing is sent twice.",
            "If it comes again, report it with the lines of the log.",
        ),
    ),
    "config_invalid": Page(
        "A setting in the configuration file or in a `WAKELINE_` variable of the environment is unknown or wrong.",
        (
            "`wakeline config check` names the key, and the nearest one that exists.",
            "`wakeline config show` prints what is in force, secrets masked.",
        ),
    ),
    "request_invalid": Page(
        "The request cannot be served as it is. The detail says why.",
        ("Read `detail` and `fix` of the answer.",),
    ),
    "malformed": Page(
        "The body or the query could not be read at all: no JSON, no UTF-8, nested too deeply, or cut off.",
        (
            "The detail names line and column of the first character that does not fit.",
            "Have your JSON library write the body; do not put it together from strings.",
        ),
    ),
    "unauthenticated": Page(
        "The request bore no API key, or one that is unknown, expired or revoked. Only the probes, `/docs` and `/openapi.json` "
        "answer without a key.",
        (
            "Send `Authorization: Bearer wk_...`.",
            "`wakeline key list` shows which keys exist, when they end and when they were last used.",
            "`wakeline key create --scope send` makes a new one; its text is shown once.",
        ),
    ),
    "not_allowed": Page(
        "The key is valid and too narrow: it lacks the scope, it is bound to other apps, or it is a device token, which "
        "registers its own device and nothing else.",
        (
            "The detail names the scope that is needed.",
            "Make a key with that scope; scopes are admin, credentials, send, devices, read and events.",
        ),
    ),
    "not_found": Page(
        "There is nothing at this path, or the key may not see it. An app that a key is not bound to does not exist for it.",
        (
            "Compare the path with `/docs`.",
            "`GET /v1/apps` lists the apps that the key sees.",
            "A notification that is older than `[retention] notifications` is gone.",
        ),
    ),
    "method_not_allowed": Page(
        "The path exists, and takes other methods than the one that was used.",
        ("The `Allow` header lists the methods.",),
    ),
    "conflict": Page(
        "What was to be made exists already and differs. Nothing was changed.",
        (
            "For an app: `PATCH /v1/apps/{app}` changes its name.",
            "For a credential: it differs in kind, topic, team or environment from the one it would replace.",
            "Send it with `replace=true` if that is meant, or with `add=true` to have both.",
        ),
    ),
    "idempotency_running": Page(
        "A request with this `Idempotency-Key` is being served at this moment.",
        ("Wait as long as `Retry-After` says and repeat the request: it gets the answer of the first one.",),
    ),
    "secret_not_replayed": Page(
        "The first request with this `Idempotency-Key` made something with a secret, such as an API key. A secret is shown "
        "once; the answer names what was made as `id`.",
        (
            "Use the secret of the first answer.",
            "If it is lost, delete what was made and make another with a new `Idempotency-Key`.",
        ),
    ),
    "token_gone": Page(
        "The push token that a SIP proxy named is one that Apple or Google have called gone: the app was removed, or has a new "
        "token. Nothing was sent.",
        (
            "Forget the registration that the token came with, and answer the caller that the phone cannot be reached.",
            "The app registers with its new token when it is started the next time.",
        ),
    ),
    "body_too_large": Page(
        "The body is longer than this gateway reads: 1 MiB for JSON and forms, 64 KiB for a line of NDJSON.",
        (
            "Name users, tags or everyone instead of long lists of tokens.",
            "Send many notifications as NDJSON: there is no limit in total.",
        ),
    ),
    "unsupported_media_type": Page(
        "The body's `Content-Type` is not one that this path reads.",
        (
            "Send `Content-Type: application/json` (`curl -H 'content-type: application/json' -d @body.json`).",
            "Credentials are uploaded as a form (`curl -F file=@AuthKey_XXXXXXXXXX.p8`).",
        ),
    ),
    "invalid": Page(
        "The request was read and is wrong: an unknown field, a missing one, a wrong type, an empty audience, a value out of "
        "range. `errors[].pointer` is a JSON Pointer to the field; `/query/...` and `/headers/...` point at those.",
        (
            "Correct the field that the pointer names.",
            "`POST /v1/apps/{app}/notifications?validate_only=true` tells what would be sent, and sends nothing.",
        ),
    ),
    "payload_too_large": Page(
        "The push would not fit its provider: APNs takes 4096 bytes (5120 for calls), FCM 4096. The longest variant counts, "
        "over all languages.",
        (
            "Shorten the field that the pointer names, or send an id in `data` and have the app fetch the rest.",
            "Set `truncate` to have the text shortened by the gateway.",
        ),
    ),
    "idempotency_mismatch": Page(
        "The same `Idempotency-Key` was used with another body within 24 hours.",
        (
            "Use a new key for a new request, and repeat a request unchanged.",
            "Keys are kept for each API key and path, so two services with keys of their own cannot meet.",
        ),
    ),
    "no_credential": Page(
        "The app has no credential for the push service, environment and topic of any of the recipients (code 901). Nothing "
        "was kept. Where some of the recipients can be served, the notification is taken and the others fail with 901.",
        (
            "`wakeline credential list` shows what the app has.",
            "Upload a .p8 key (iPhone) or a service account (Android), then send again.",
            "For browsers and UnifiedPush make a VAPID key with `wakeline credential vapid`, then have them subscribe.",
            "A token of a development build needs a credential for the sandbox.",
        ),
    ),
    "credential_refused": Page(
        "The uploaded file cannot work as a credential. It was not kept; whatever was there before is still in use.",
        (
            "The detail says what the file is and what is missing.",
            "`wakeline credential inspect FILE` judges a file without uploading it.",
            "For Apple a .p8 key is best: it never expires and covers both environments and every push type.",
        ),
    ),
    "rate_limited": Page(
        "More was asked for than the limits allow.",
        (
            "Wait as long as `Retry-After` says.",
            "Limits for each user are set in `[limits]`, and switched off for an app by its setting `limits`.",
        ),
    ),
    "overloaded": Page(
        "The gateway takes no more for now: the queue has `[queue] max_pending` deliveries, the disk is nearly full, or it is "
        "about to stop. It says so early, so that nothing which it accepted is lost.",
        (
            "Repeat the request after `Retry-After`, with the same `Idempotency-Key`.",
            "`GET /readyz` says which of it is the case; `wakeline route list` shows what is held.",
        ),
    ),
    "wire_broken": Page(
        "Bytes did not follow their protocol.",
        ("Look in the log for what was received, and from where.",),
    ),
    "wire_local": Page(
        "The gateway was about to break a protocol and stopped: a defect of its own.",
        ("Report it with the lines of the log.",),
    ),
    "wire_remote": Page(
        "The other side broke the protocol; the connection was closed and is made anew.",
        ("If it stays, look for a proxy between the gateway and the push service.",),
    ),
    "storage_failed": Page(
        "The store cannot serve.",
        (
            "`GET /readyz` says how the store is.",
            "Repeat the request after `Retry-After`, with the same `Idempotency-Key`.",
        ),
    ),
    "store_unavailable": Page(
        "A commit or a read failed. Nothing of the request was kept.",
        (
            "Repeat the request after `Retry-After`, with the same `Idempotency-Key`.",
            "Look for a full or failing disk: the log names the system's own error.",
        ),
    ),
    "store_busy": Page(
        "Another process owns the data directory, and a store has one owner.",
        (
            "Administrative commands speak to a running server by its socket; check that they use the same `data_dir`.",
            "Stop the other process, or use another `[server] data_dir`.",
        ),
    ),
    "schema_too_new": Page(
        "The store was written by a newer release than this one.",
        ("Start the release that wrote it, or restore the backup made before the upgrade.",),
    ),
    "migration_changed": Page(
        "A migration that was applied to this store differs from the one in this release: the installation was modified, or "
        "the store comes from another build.",
        ("Install the release again from its package.", "Restore a backup if the store itself was changed by hand."),
    ),
    "secret_unreadable": Page(
        "A sealed secret cannot be opened: the master key is another one, or the stored bytes were changed.",
        (
            "Put back the master key that the store was made with (`[secrets] master_key_file`).",
            "If it is lost, upload the credentials again; nothing else is sealed.",
        ),
    ),
    "portal_failed": Page(
        "A Bitrix24 portal that we are connected to did not do what was asked. The detail says what it answered.",
        ("`wakeline bitrix24 audit` says how each connected portal is.",),
    ),
    "portal_refused": Page(
        "The portal, or its OAuth server, said no, and would say no again: a wrong key, a missing permission, a method that is not "
        "there, a tariff without REST.",
        (
            "The detail has the portal's own code and words; Bitrix24's documentation of REST lists them.",
            "Compare permissions and keys with the portal's page of the webhook or application.",
            "`wakeline bitrix24 portal verify` tries again.",
        ),
    ),
    "portal_unreachable": Page(
        "The portal, or the way to it, serves nobody at the moment: it is down, it is busy, or it asks for less. What waits for it "
        "waits on, and nothing is lost.",
        (
            "Try again after `retry_after` seconds.",
            "If it stays, open the portal in a browser from the gateway's network, and look for a proxy or firewall between them.",
        ),
    ),
    "portal_closed": Page(
        "We have no access to this portal, or none any more: the application is not installed there (or was removed), or the "
        "webhook was deleted. Nothing was asked of it.",
        (
            "`wakeline bitrix24 portal show` has the cause, and where an administrator lets the application in.",
            "Install the application there again, or give a new webhook: `wakeline bitrix24 portal change ... --url`.",
        ),
    ),
    "transport_failed": Page(
        "Nothing useful came back over the network.",
        ("`wakeline doctor` checks names, routes and TLS to each push service.",),
    ),
    "connect_failed": Page(
        "No connection could be made.",
        (
            "`wakeline doctor` checks names, routes and TLS to each push service.",
            "Apple needs outgoing TCP port 443 (or 2197), Google port 443; see `[providers]` for a proxy.",
        ),
    ),
    "timed_out": Page(
        "The other side did not answer in time.",
        ("If it stays, look for a firewall that drops idle connections, and see `wakeline doctor`.",),
    ),
    "address_refused": Page(
        "The address lies where the gateway does not go on behalf of a caller: a private network, or a URL without TLS.",
        (
            "Use a public https address.",
            "If it is meant, an operator can allow it in `[webhooks]`.",
        ),
    ),
}


def classes(root: type[WakelineError] = WakelineError) -> Iterator[type[WakelineError]]:
    """Walk the error tree, parents first."""
    yield root
    for child in root.__subclasses__():
        yield from classes(child)


def by_code() -> dict[str, type[WakelineError]]:
    """Return the class of each code."""
    found: dict[str, type[WakelineError]] = {}
    for kind in classes():
        found.setdefault(kind.code, kind)
    return found


def markdown(code: str) -> str:
    """Return the page about a code, as it stands in docs/problems."""
    kind, page = by_code()[code], PAGES[code]
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(page.steps, 1))
    return (
        f"# {code}\n\n**{kind.title}** (HTTP {kind.status}; exit code {kind.exit_code} of the command line)\n\n"
        f"{page.meaning}\n\n## What to do\n\n{steps}\n"
    )


def index() -> str:
    """Return the list of all codes, as it stands in docs/problems."""
    rows = "".join(
        f"| [{code}]({code}.md) | {kind.status} | {kind.exit_code} | {kind.title} |\n"
        for code, kind in sorted(by_code().items())
    )
    listed = "\n".join(sorted(PAGES))
    return (
        "# Errors\n\nEvery error bears a stable `code`; over HTTP it is a problem detail (RFC 9457).\n\n"
        f"| Code | HTTP | Exit code | Meaning |\n| --- | --- | --- | --- |\n{rows}\n"
        f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )
