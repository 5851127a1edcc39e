"""What becomes of each setting of Flexisip that concerns pushes, registrations and waiting: one table.

Values are read as Flexisip reads them: `10min`, `7d`, `90`; `true`, `1`. A value that cannot be read is told as changed, with our
default in its place. Rules that need another setting look it up (`Asking`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from wakeline.wire.flexisip.settings import Becomes, Setting, Translated, Value, Verdict, last_of, read
from wakeline.wire.flexisip.transports import places

PUSH = "module::PushNotification"
ROUTER = "module::Router"
REGISTRAR = "module::Registrar"
FORWARD = "module::Forward"
AUTHENTICATION = "module::Authentication"
TRUSTED = "module::AuthTrustedHosts"
GLOBAL = "global"

LONGEST_CALL = 90
"""Seconds; Flexisip's own default, and the most that a call waits here."""

_DURATION = re.compile(r"([0-9]+)\s*(ms|s|min|h|d|w|m)?")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604_800}


class Asking(NamedTuple):
    """A setting under judgement: its value, all settings, and the app that is to have them."""

    value: str
    all: Mapping[tuple[str, str], Setting]
    app: str

    def other(self, section: str, name: str) -> str:
        """Return the value of another setting; empty if it is not there."""
        found = self.all.get((section, name))
        return found.value if found else ""


Rule = Callable[[Asking], Verdict]


def translate(text: str, app: str = "APP") -> list[Translated]:
    """Return every setting of a flexisip.conf with what becomes of it; `app` is the slug of the app of its Firebase projects."""
    settings = read(text)
    known = last_of(settings)
    found = []
    for setting in settings:
        rule = RULES.get((setting.section, setting.name), _unused)
        verdict = rule(Asking(setting.value, known, app))
        if known[setting.section, setting.name] is not setting:
            verdict = Verdict(becomes=Becomes.OBSOLETE, why="It is given again below.", secret=verdict.secret)
        found.append(Translated(setting=setting, verdict=verdict))
    return found


def seconds(value: str) -> int | None:
    """Return a duration in seconds; None if it cannot be read."""
    match = _DURATION.fullmatch(value.strip())
    return round(int(match[1]) * _SECONDS[match[2] or "s"]) if match else None


def truth(value: str) -> bool:
    """Return a boolean as Flexisip reads it."""
    return value.strip().lower() in {"true", "1", "yes", "on"}


def _taken(why: str, *sets: tuple[str, Value], secret: bool = False) -> Verdict:
    return Verdict(becomes=Becomes.TAKEN, why=why, sets=sets, secret=secret)


def _changed(why: str, *sets: tuple[str, Value], secret: bool = False) -> Verdict:
    return Verdict(becomes=Becomes.CHANGED, why=why, sets=sets, secret=secret)


def _obsolete(why: str) -> Rule:
    return lambda _: Verdict(becomes=Becomes.OBSOLETE, why=why)


def _differs(why: str) -> Rule:
    return lambda _: _changed(why)


def _unused(_: Asking) -> Verdict:
    return Verdict(becomes=Becomes.UNUSED, why="There is no such part here.", secret=True)


def _as_seconds(key: str, why: str, most: int = 0) -> Rule:
    def rule(asking: Asking) -> Verdict:
        found = seconds(asking.value)
        if not found:
            return _changed(f"{asking.value or 'Nothing'} is no time here; the default stays.")
        if most and found > most:
            return _changed(f"{why} The most is {most} s.", (key, most))
        return _taken(why, (key, found))

    return rule


def _as_number(key: str, why: str) -> Rule:
    def rule(asking: Asking) -> Verdict:
        if not asking.value.isdecimal() or not int(asking.value):
            return _changed("It is no number above 0; the default stays.")
        return _taken(why, (key, int(asking.value)))

    return rule


def _as_truth(key: str, why: str) -> Rule:
    return lambda asking: _taken(why, (key, truth(asking.value)))


def _as_words(key: str, why: str) -> Rule:
    def rule(asking: Asking) -> Verdict:
        words = tuple(word for word in re.split(r"[\s,]+", asking.value) if word and word != "*")
        return _taken(why, (key, words)) if words else _changed("It names nothing; the default stays.")

    return rule


def _as_text(key: str, why: str) -> Rule:
    return lambda asking: _taken(why, (key, asking.value)) if asking.value else _changed("Empty: the default stays.")


def _origin(key: str) -> Rule:
    def rule(asking: Asking) -> Verdict:
        host = asking.value
        origin = host if host.startswith("https://") else f"https://{host}"
        return _taken("Apple's server.", (key, origin if re.search(r":[0-9]+$", origin) else f"{origin}:443"))

    return rule


def _native(name: str) -> Rule:
    def rule(asking: Asking) -> Verdict:
        if truth(asking.value):
            return _taken(f"{name} is spoken to for every app that has a credential for it.")
        return _changed(f"{name} is spoken to for every app that has a credential for it: give none.")

    return rule


def _proxy(asking: Asking) -> Verdict:
    if not asking.value:
        return _taken("No proxy.")
    user, password = asking.other(PUSH, "https-proxy-username"), asking.other(PUSH, "https-proxy-password")
    port = asking.other(PUSH, "https-proxy-port") or "3128"
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    url = f"http://{login}{asking.value}:{port}"
    return _taken("For Apple and Google.", ("providers.apns.proxy", url), ("providers.fcm.proxy", url))


def _of_proxy(asking: Asking) -> Verdict:
    return _taken("It is part of the proxy's URL.", secret=bool(asking.value))


def _service_accounts(asking: Asking) -> Verdict:
    """`<project number>:<file>` each: the number is kept as whose app it is, the file is a credential."""
    pairs = [(number, file) for number, _, file in (entry.partition(":") for entry in asking.value.split()) if file]
    if not pairs:
        return _changed("It names no service account.")
    add = "; ".join(f"wakeline credential add --app {asking.app} {file}" for _, file in pairs)
    return _taken(f"Phones name the number, the file its id. Do: {add}", ("sip.senders", _senders(pairs, asking.app)))


def _api_keys(asking: Asking) -> Verdict:
    """Legacy keys: Google has switched them off; who belongs to which app is still worth keeping."""
    pairs = [(number, key) for number, _, key in (entry.partition(":") for entry in asking.value.split()) if number]
    if not pairs:
        return Verdict(becomes=Becomes.OBSOLETE, why="It names no key.")
    return Verdict(
        becomes=Becomes.OBSOLETE,
        why="Google switched server keys off in 2024. In the Firebase console of each project make a service account key "
        f"(Project settings, Service accounts, Generate new private key), then: wakeline credential add --app {asking.app} "
        "FILE.json. Whose app each sender is has been kept.",
        sets=(("sip.senders", _senders(pairs, asking.app)),),
        secret=True,
    )


def _senders(pairs: list[tuple[str, str]], app: str) -> tuple[str, ...]:
    return tuple(f"{number}:{app}" for number, _ in pairs if number.isdecimal())


def _external(asking: Asking) -> Verdict:
    if not asking.value:
        return _taken("Pushes go to Apple and Google themselves.")
    return _changed(
        "Apps whose pushes another program sends have its URI as a credential: wakeline credential add --app "
        f"{asking.app} FILE.json, where the file is "
        '{"external_push_uri": "THIS URI", "method": "GET or POST"}. All occurrences of a placeholder are filled in.',
        secret=True,
    )


def _message_ttl(asking: Asking) -> Verdict:
    if seconds(asking.value) == 0:
        return _taken("A push lives as long as the message that waits.")
    return _changed("A push lives as long as the message that waits: see message-delivery-timeout.")


def _transports(asking: Asking) -> Verdict:
    found = places(asking.value)
    if not found:
        return _changed("It names no address; write [sip] listen.")
    listen = tuple(dict.fromkeys(text for place in found for text in place.listen))
    sets: list[tuple[str, Value]] = [("sip.listen", listen)]
    shown = next((place for place in found if place.certificate), None)
    if shown is not None:
        # Flexisip's agent.pem bears both; a key in a file of its own is named, here or in a setting of its own.
        key = shown.key or asking.other(GLOBAL, "tls-certificates-private-key") or shown.certificate
        sets += [("sip.tls_certificate", shown.certificate), ("sip.tls_key", key)]
    told = next((place.told for place in found if place.told), "")
    if not told:
        return _taken("Where SIP is spoken.", *sets)
    why = f"Phones are told {told}. Where a name stood alone, every address of this machine is listened on."
    return _changed(why, *sets, ("sip.public_host", told))


def _authentication(asking: Asking) -> Verdict:
    if truth(asking.value):
        return _taken("Users are made by `wakeline sip user add`, or known by [sip] auth_url.", ("sip.auth", "digest"))
    return _taken("Nobody is asked for a password.", ("sip.auth", "none"))


def _provisional(asking: Asking) -> Verdict:
    return _taken("110 Push sent.", ("sip.push_sent", truth(asking.value)))


def _on_response(asking: Asking) -> Verdict:
    if not truth(asking.value):
        return _taken("Phones register here.")
    return _changed(
        "Name the PBX that registers phones: [sip] pbx, such as udp:10.0.0.5:5060. They register through here."
    )


def _forced(asking: Asking) -> Verdict:
    found = seconds(asking.value)
    if not found:
        return _taken("Phones get the time that they ask for, within the bounds.")
    return _changed(
        "The longest and the usual time are this.", ("sip.max_expires", found), ("sip.default_expires", found)
    )


_OWN_STORE = "Registrations and messages are in the gateway's own store, and outlive a restart."
_NO_CREDENTIALS_HERE = "Access tokens are fetched in the process, and renewed while the one before is still good."

RULES: Mapping[tuple[str, str], Rule] = {
    (GLOBAL, "transports"): _transports,
    (GLOBAL, "aliases"): _as_words("sip.domains", "Domains that are ours."),
    (GLOBAL, "tls-certificates-file"): _as_text("sip.tls_certificate", "Certificate and chain."),
    (GLOBAL, "tls-certificates-private-key"): _as_text("sip.tls_key", "Its private key."),
    (GLOBAL, "tls-certificates-dir"): _differs("Name the files: [sip] tls_certificate and tls_key."),
    (PUSH, "enabled"): lambda asking: (
        _taken("A phone that registers with push parameters is woken.")
        if truth(asking.value)
        else _changed("A phone that registers with push parameters is woken as soon as its app has a credential.")
    ),
    (PUSH, "timeout"): _differs("A push goes at once; a phone's own pn-timeout is obeyed."),
    (PUSH, "message-time-to-live"): _message_ttl,
    (PUSH, "max-queue-size"): _obsolete("Pushes wait on disk, and [queue] max_pending bounds them all."),
    (PUSH, "retransmission-count"): _obsolete("A push that gets no answer is sent again by itself, within its time."),
    (PUSH, "retransmission-interval"): _obsolete(
        "A push that gets no answer is sent again by itself, within its time."
    ),
    (PUSH, "call-remote-push-interval"): _differs("Phones say it themselves: pn-call-remote-push-interval."),
    (PUSH, "display-from-uri"): _as_truth("sip.display_from_uri", "The caller's name and address in pushes."),
    (PUSH, "add-to-tag-filter"): _obsolete("110 never has a To tag, as RFC 3261 asks."),
    (PUSH, "apple"): _native("Apple"),
    (PUSH, "firebase"): _native("Google"),
    (PUSH, "apple-certificate-dir"): _as_text(
        "credentials.directory", "Watched: its files become credentials, and renewed ones count within seconds."
    ),
    (PUSH, "apns-server"): _origin("providers.apns.production"),
    (PUSH, "apns-dev-server"): _origin("providers.apns.sandbox"),
    (PUSH, "no-badge"): _differs("An alert counts 1; the app sets its badge."),
    (PUSH, "firebase-service-accounts"): _service_accounts,
    (PUSH, "firebase-projects-api-keys"): _api_keys,
    (PUSH, "firebase-token-expiration-anticipation-time"): _obsolete(_NO_CREDENTIALS_HERE),
    (PUSH, "firebase-default-refresh-interval"): _obsolete(_NO_CREDENTIALS_HERE),
    (PUSH, "external-push-uri"): _external,
    (PUSH, "external-push-method"): _differs("It is the `method` of the credential; see external-push-uri."),
    (PUSH, "external-push-protocol"): _obsolete("HTTP/1.1 with kept connections; every server speaks it."),
    (PUSH, "external-push-flexiapi"): _differs("Not spoken; external-push-uri is."),
    (PUSH, "register-wakeup-interval"): _differs(
        "A sleeping phone is asked to register two minutes and one minute before its registration ends."
    ),
    (PUSH, "register-wakeup-threshold"): _differs("See register-wakeup-interval."),
    (PUSH, "enable-message-summaries-pn"): _differs("A NOTIFY of waiting messages wakes a phone in any case."),
    (PUSH, "https-proxy-host"): _proxy,
    (PUSH, "https-proxy-port"): _of_proxy,
    (PUSH, "https-proxy-username"): _of_proxy,
    (PUSH, "https-proxy-password"): _of_proxy,
    (ROUTER, "enabled"): _differs("[sip] listen starts the proxy."),
    (ROUTER, "fork-late"): _as_truth("sip.fork_late", "A call waits for sleeping phones in any case."),
    (ROUTER, "message-fork-late"): _differs("Messages wait for sleeping phones in any case."),
    (ROUTER, "fork-no-global-decline"): _differs("A 6xx ends the call everywhere, as RFC 3261 says."),
    (ROUTER, "treat-decline-as-urgent"): _differs("A 603 ends the call everywhere at once, as RFC 3261 says."),
    (ROUTER, "treat-all-as-urgent"): _obsolete(
        "The best answer goes out when all phones have answered, or at the timeout."
    ),
    (ROUTER, "call-fork-timeout"): _as_seconds(
        "sip.call_fork_timeout", "How long a call waits for a phone.", LONGEST_CALL
    ),
    (ROUTER, "call-fork-urgent-timeout"): _obsolete(
        "The best answer goes out when all phones have answered, or at the timeout."
    ),
    (ROUTER, "call-fork-current-branches-timeout"): _obsolete("A call waits for sleeping phones until its timeout."),
    (ROUTER, "message-delivery-timeout"): _as_seconds("sip.message_delivery_timeout", "How long a message waits."),
    (ROUTER, "message-accept-timeout"): _as_seconds("sip.message_accept_timeout", "202 comes after it."),
    (ROUTER, "message-database-enabled"): _obsolete(_OWN_STORE),
    (ROUTER, "message-database-backend"): _obsolete(_OWN_STORE),
    (ROUTER, "message-database-connection-string"): lambda _: Verdict(
        becomes=Becomes.OBSOLETE, why=_OWN_STORE, secret=True
    ),
    (ROUTER, "permit-self-generated-provisional-response"): _provisional,
    (ROUTER, "fallback-route"): _differs("What is not ours goes to [sip] peers, or nowhere."),
    (ROUTER, "max-request-retention-time"): _obsolete("A request is kept until its transaction ends."),
    (REGISTRAR, "enabled"): _differs("[sip] listen starts the registrar."),
    (REGISTRAR, "reg-domains"): _as_words("sip.domains", "Domains whose users register here."),
    (REGISTRAR, "max-contacts-by-aor"): _as_number("sip.max_contacts", "Phones of one user."),
    (REGISTRAR, "max-contacts-per-registration"): _differs("It is [sip] max_contacts, too."),
    (REGISTRAR, "unique-id-parameters"): _obsolete(
        "A phone is +sip.instance, else its push parameters, else its address."
    ),
    (REGISTRAR, "enable-gruu"): _differs("A phone that supports gruu always gets one."),
    (REGISTRAR, "register-expire-randomizer-max"): _obsolete("Phones get the time that they ask for."),
    (REGISTRAR, "max-expires"): _as_seconds("sip.max_expires", "Longest registration."),
    (REGISTRAR, "min-expires"): _as_seconds("sip.min_expires", "Shortest registration."),
    (REGISTRAR, "default-expires"): _as_seconds("sip.default_expires", "Registration of a phone that names no time."),
    (REGISTRAR, "force-expires"): _forced,
    (REGISTRAR, "message-expires-param-name"): _differs("It is message-expires."),
    (REGISTRAR, "reg-on-response"): _on_response,
    (REGISTRAR, "db-implementation"): _obsolete(_OWN_STORE),
    (REGISTRAR, "redis-server-domain"): _obsolete(_OWN_STORE),
    (REGISTRAR, "redis-server-port"): _obsolete(_OWN_STORE),
    (REGISTRAR, "redis-auth-password"): lambda _: Verdict(becomes=Becomes.OBSOLETE, why=_OWN_STORE, secret=True),
    (FORWARD, "params-to-remove"): _differs("All parameters pn-* and app-id are taken out of what goes on."),
    (AUTHENTICATION, "enabled"): _authentication,
    (AUTHENTICATION, "auth-domains"): _as_words("sip.domains", "Domains whose users have passwords."),
    (AUTHENTICATION, "trusted-hosts"): _as_words("sip.peers", "Who needs no password."),
    (AUTHENTICATION, "db-implementation"): _differs(
        "Users are made by `wakeline sip user add`, or known by [sip] auth_url."
    ),
    (TRUSTED, "trusted-hosts"): _as_words("sip.peers", "Who needs no password."),
}
"""By section and name."""
