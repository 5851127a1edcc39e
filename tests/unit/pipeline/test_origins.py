from __future__ import annotations

from wakeline.model.route import Environment, ProviderKind, Route
from wakeline.pipeline.origins import BROWSERS, admits

MOZILLA = "https://updates.push.services.mozilla.com"


def route(topic: str, *, app: int = 1, provider: ProviderKind = ProviderKind.WEBPUSH) -> Route:
    return Route(id=1, app=app, provider=provider, environment=Environment.PRODUCTION, topic=topic)


def test_a_new_push_service_is_admitted_until_there_are_as_many_as_allowed() -> None:
    known = [route("https://one.example"), route("https://two.example")]
    assert admits(known, 1, "https://three.example", 3)
    assert not admits(known, 1, "https://three.example", 2)


def test_a_push_service_with_a_route_stays_admitted_when_the_bound_is_lowered() -> None:
    known = [route("https://one.example"), route("https://two.example")]
    assert admits(known, 1, "https://two.example", 1)


def test_the_browsers_own_push_services_are_always_admitted_and_use_nothing_up() -> None:
    known = [route(origin) for origin in BROWSERS] + [route("https://one.example")]
    assert admits(known[3:], 1, MOZILLA, 1)
    assert admits(known, 1, "https://two.example", 2)


def test_other_apps_and_other_providers_use_nothing_up() -> None:
    known = [route("https://one.example", app=2), route("acme-1", provider=ProviderKind.FCM)]
    assert admits(known, 1, "https://two.example", 1)
