"""Which app a file is for, and what its upload does to the credentials that are there.

An app is found by the bundle id: one whose credentials cover it already, else the one that was named, else one called like
the bundle id, else the only app there is if the directory is about one bundle id alone.

A renewal is told from an accident as for any upload (`edges.rest.credential_upload`), with two things that only a directory
knows: a credential that another file here still holds is a sibling and no rival, and a file named for another topic than a
rival's stands beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

import msgspec

from wakeline.edges.rest.credential_upload import Step, decide
from wakeline.edges.rest.credentials import CredentialView
from wakeline.model.credential import Credential, CredentialKind
from wakeline.model.errors import NotFound
from wakeline.model.route import ProviderKind
from wakeline.wire.apns.types import bundle_of


class Result(StrEnum):
    """What became of a file."""

    STORED = "stored"
    RENEWED = "renewed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    REFUSED = "refused"


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever imports says. `app`: for what no app covers yet; `create_apps`: make one named after the bundle id."""

    app: str = ""
    create_apps: bool = False
    replace: bool = False


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The app of a file; `made`: it does not exist yet."""

    app: str
    made: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with a file; `note` says why, if it is nothing."""

    result: Result
    add: bool = False
    note: str = ""


def bundles_of(facts: Credential) -> frozenset[str]:
    """Return the bundle ids that an APNs certificate or key names."""
    return frozenset(map(bundle_of, facts.topics)) if facts.provider is ProviderKind.APNS else frozenset()


def place(facts: Credential, apps: Mapping[str, Sequence[Credential]], wishes: Wishes, *, alone: bool) -> Place:
    """Return the app that a file is for; `alone`: the directory is about one bundle id. Raises NotFound, in words."""
    bundles = bundles_of(facts)
    covering = [slug for slug, there in apps.items() if any(_about(one, facts, bundles) for one in there)]
    if wishes.app and (wishes.app in covering or not covering):
        return _wished(wishes, apps)
    if len(covering) == 1:
        return Place(app=covering[0])
    if covering:
        raise NotFound(f"Several apps cover {_listed(bundles)}: {', '.join(covering)}.", fix="Say which with --app.")
    named = [bundle.lower() for bundle in sorted(bundles) if bundle.lower() in apps]
    if named:
        return Place(app=named[0])
    if wishes.create_apps and len(bundles) == 1:
        return Place(app=next(iter(bundles)).lower(), made=True)
    if len(apps) == 1 and alone:
        return Place(app=next(iter(apps)))
    raise NotFound(
        f"No app is known for {_listed(bundles) or 'it'}.",
        fix="Say which with --app ([credentials] app), or have one made for each bundle id with --create-apps.",
    )


def _wished(wishes: Wishes, apps: Mapping[str, Sequence[Credential]]) -> Place:
    if wishes.app not in apps and not wishes.create_apps:
        raise NotFound(
            f"There is no app {wishes.app}.", fix=f"Make it with `wakeline app create {wishes.app}`, or --create-apps."
        )
    return Place(app=wishes.app, made=wishes.app not in apps)


def _about(there: Credential, facts: Credential, bundles: frozenset[str]) -> bool:
    if there.kind is facts.kind is CredentialKind.FCM_SERVICE_ACCOUNT:
        return there.topics == facts.topics
    return there.fingerprint == facts.fingerprint or not bundles.isdisjoint(bundles_of(there))


def plan(facts: Credential, there: Sequence[Credential], siblings: Collection[str], wishes: Wishes) -> Plan:
    """Return what to do; `siblings`: fingerprints of what other files of the directory hold. Raises Conflict."""
    if any(_holds(one, facts) for one in there):
        return Plan(result=Result.UNCHANGED)
    rivals = [one for one in there if one.fingerprint not in siblings and not _elsewhere(one, facts)]
    decision = decide(facts, rivals, replace=wishes.replace, add=False)
    old = decision.credential
    if decision.step is not Step.REPLACE or old is None:
        return Plan(result=Result.STORED, add=len(rivals) < len(there))
    if not wishes.replace and _ends_before(facts, old):
        note = "What is stored ends later: this file is the older one. It stays as it is; --replace takes the file."
        return Plan(result=Result.SKIPPED, note=note)
    return Plan(result=Result.RENEWED)


def _holds(there: Credential, facts: Credential) -> bool:
    """Tell whether it is the same, for all that this file is for and perhaps more: a link fewer takes nothing away."""
    return (
        there.fingerprint == facts.fingerprint
        and (there.key_id, there.team_id) == (facts.key_id, facts.team_id)
        and set(there.topics) >= set(facts.topics)
        and set(there.environments) >= set(facts.environments)
    )


def _elsewhere(there: Credential, facts: Credential) -> bool:
    """Tell whether it is for other topics altogether."""
    return bool(there.topics and facts.topics) and set(there.topics).isdisjoint(facts.topics)


def _ends_before(facts: Credential, old: Credential) -> bool:
    return facts.not_after is not None and old.not_after is not None and facts.not_after < old.not_after


def of_view(view: CredentialView) -> Credential:
    """Return what `decide` has to know of a stored credential."""
    return Credential(
        id=0,
        app=0,
        kind=view.kind,
        environments=view.environments,
        topics=view.topics,
        key_id=view.key_id,
        team_id=view.team_id,
        fingerprint=view.fingerprint,
        not_after=None if view.not_after is None else int(view.not_after.timestamp() * 1000),
    )


def _listed(bundles: Collection[str]) -> str:
    return " and ".join(sorted(bundles))
