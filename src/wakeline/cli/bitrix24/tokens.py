"""`wakeline bitrix24 token`: tokens without a browser, for servers and tests."""

from __future__ import annotations

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts
from wakeline.edges.rest.bitrix24.tokens import MadeToken, NewToken

token = noun("token", "Tokens of applications.")


@token.command
async def create(*, application: str, user: int, admin: bool = False, context: Ctx) -> None:
    """Make a pair of tokens, as a user would get it by signing in; it is shown this once.

    Parameters
    ----------
    application
        Its client id.
    user
        In whose name it works; made if absent.
    admin
        Make the user an administrator, who may send pushes.
    """
    new = NewToken(application=application, user=user, admin=admin)
    async with context.gateway() as gateway:
        made: MadeToken = await gateway.call("bitrix24.token.create", body=new)
    context.printer.result(
        {"access_token": made.access_token, "refresh_token": made.refresh_token},
        lambda: facts(
            [
                ("access token", made.access_token),
                ("good until", made.expires),
                ("refresh token", made.refresh_token),
                ("good until", made.refresh_expires),
                ("user", made.user),
                ("scopes", made.scopes),
                ("", "Keep them now: they are not shown again."),
            ]
        ),
    )
