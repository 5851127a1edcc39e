"""What holds deliveries: routes to where their targets are, held for the very code that the deliveries wait with."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline import ports
from wakeline.doctor.explanation import Step
from wakeline.model.app import ApnsEnvironment, App
from wakeline.model.delivery import Delivery
from wakeline.model.device import Target
from wakeline.model.moments import moment
from wakeline.model.route import Hold, ProviderKind, Route


async def holds_of(
    app: App, deliveries: Sequence[Delivery], routes: ports.Routes, devices: ports.Devices
) -> list[Hold]:
    """Return what holds the routes of deliveries that are held; nothing if all of them wait for something else, such as a limit."""
    codes = {delivery.code for delivery in deliveries}
    held = [route for route in routes.all() if route.app == app.id and route.hold is not None]
    held = [route for route in held if route.hold is not None and route.hold.code in codes]
    if not held:
        return []
    asked = {delivery.target for delivery in deliveries}
    known = await devices.by_target_ids(list(asked))
    targets = [one for device in known.values() for one in device.targets if one.id in asked]
    on_the_way = (route for route in held if any(_is_way(app, route, target) for target in targets))
    return list(dict.fromkeys(route.hold for route in on_the_way if route.hold is not None))


def held_step(hold: Hold) -> Step:
    """Return a hold as a step of an explanation."""
    return Step(at=moment(hold.since), what=f"the route is held ({hold.reason.value}, {hold.code})", detail=hold.cause)


def _is_way(app: App, route: Route, target: Target) -> bool:
    """Tell whether pushes to a target go by a route; which bundle id it is for is not looked at."""
    if route.provider is not target.kind.provider:
        return False
    match route.provider:
        case ProviderKind.APNS:
            forced = app.settings.apns_environment
            return forced is not ApnsEnvironment.AS_REGISTERED or route.environment is target.environment
        case ProviderKind.WEBPUSH:
            return route.topic == target.topic
        case ProviderKind.FCM | ProviderKind.HTTP:
            return True
