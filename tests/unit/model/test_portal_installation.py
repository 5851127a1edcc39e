"""A connected portal: whose its users are, and what its repr keeps to itself."""

from __future__ import annotations

import msgspec

from wakeline.model.bitrix24.installation import (
    BY_MEMBER_ID,
    ApplicationAccess,
    Installation,
    Tokens,
    WebhookAccess,
)

WAITING = Installation(
    id=1,
    name="n",
    app=1,
    access=WebhookAccess(url="https://p.test/rest/1/secret/"),
    client_endpoint="https://p.test/rest/",
    prefix=BY_MEMBER_ID,
)


def test_users_have_the_portals_id_as_soon_as_it_is_known() -> None:
    known = msgspec.structs.replace(WAITING, member_id="abc")

    assert known.user(7) == "abc:7"
    assert msgspec.convert(msgspec.to_builtins(known), Installation).prefix == "abc:"


def test_a_prefix_that_an_operator_chose_stays() -> None:
    for chosen in ("", "acme-"):
        assert msgspec.structs.replace(WAITING, prefix=chosen, member_id="abc").user(7) == f"{chosen}7"


def test_a_repr_opens_no_door() -> None:
    tokens = Tokens(access="ACCESS", refresh="REFRESH", access_expires=1)
    access = ApplicationAccess(client_id="local.1", client_secret="SECRET", tokens=tokens)
    shown = repr(msgspec.structs.replace(WAITING, application_token="PROOF")) + repr(access) + repr(WAITING.access)

    assert not [
        word for word in ("ACCESS", "REFRESH", "SECRET", "PROOF", "secret") if word in shown.replace("Access", "")
    ]
