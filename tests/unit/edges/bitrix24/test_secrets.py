from __future__ import annotations

import string

import pytest

from wakeline.edges.bitrix24 import secrets

pytestmark = pytest.mark.anyio


async def test_a_password_is_kept_as_argon2id_and_found_again() -> None:
    kept = await secrets.password_hash("pässword")

    assert kept.startswith("$argon2id$")
    assert await secrets.is_password("pässword", kept)
    assert not await secrets.is_password("password", kept)


@pytest.mark.parametrize("kept", ["", "no hash", "$argon2id$v=19$broken"])
async def test_where_no_password_is_kept_none_is_right(kept: str) -> None:
    assert not await secrets.is_password("", kept)
    assert not await secrets.is_password("anything", kept)


def test_every_secret_is_new_and_long_enough() -> None:
    for make, least in (
        (secrets.new_token, 32),
        (secrets.new_code, 32),
        (secrets.new_client_secret, 50),
        (secrets.new_application_token, 32),
        (secrets.new_webhook_code, 16),
    ):
        made = {make() for _ in range(50)}
        assert len(made) == 50
        assert {len(one) for one in made} == {least if make is not secrets.new_token else 64}
        assert set("".join(made)) <= set(string.ascii_letters + string.digits)


def test_a_client_id_is_that_of_a_local_application() -> None:
    assert secrets.new_client_id().startswith("local.")


def test_a_text_is_compared_with_what_is_kept_of_it() -> None:
    assert secrets.matches("text", secrets.digest("text"))
    assert not secrets.matches("texT", secrets.digest("text"))
