"""Whatever a REGISTER says, it is registered or refused: never a defect, and nothing of it breaks the next one."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sip_registering import APNS, CONTACT, FCM, Registering, register
from wakeline.wire.sip.message import Request, parse

PIECES = st.sampled_from(
    [
        "<sip:bob@192.0.2.7>",
        "sip:bob@192.0.2.7",
        "*",
        "<*>",
        "<sips:bob@[2001:db8::7]:5061>",
        "<tel:+49>",
        "<sip:%00@h>",
        "<sip:@h>",
        f"<sip:bob@192.0.2.7;{APNS}>",
        f"<sip:bob@192.0.2.7;{FCM}>",
        "<sip:bob@192.0.2.7;pn-provider>",
        "<sip:b@h;pn-provider=webpush;pn-prid=%%>",
        "<sip:b@h;pn-tok=a;pn-type=apple;app-id=.>",
        ";expires=",
        ";expires=0",
        ";expires=99999999999999999999",
        ";expires=-1",
        ";q=7",
        ";q=0.5",
        ";reg-id=0",
        ";reg-id=x",
        ";reg-id=1",
        ";+sip.instance=",
        ';+sip.instance="<>"',
        ';+sip.instance="<urn:uuid:1>"',
        ";+sip.pnsreg",
        ";message-expires=1e9",
        ";;",
        "=",
        '"',
        ",",
        "<",
        ">",
        " ",
        "\t",
        "\udcff",
        "é",
        ";a=b",
    ]
)
CONTACTS = st.lists(st.lists(PIECES, min_size=1, max_size=5).map("".join), max_size=3)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["supported", "require", "path", "feature_caps", "user_agent", "expires", "authorization", "to", "from"]
    ),
    st.sampled_from(
        [
            "outbound",
            "gruu, path",
            "",
            "<sip:p;lr;ob>",
            "<sip:p",
            '*;+sip.pns="apns"',
            "*;+sip.pns",
            "0",
            "-1",
            "x",
            "\udcff",
            "Digest",
            "Digest a=",
        ]
    )
    | st.just("<sip:bob@example.org>;tag=x"),
    max_size=4,
)


@given(contacts=CONTACTS, fields=FIELDS, digest=st.booleans())
def test_whatever_it_says_it_is_answered(contacts: list[str], fields: dict[str, str], digest: bool) -> None:
    asyncio.run(_answered(contacts, fields, "digest" if digest else "none"))


async def _answered(contacts: list[str], fields: dict[str, str], auth: str) -> None:
    async with Registering(auth=auth) as edge:
        await edge.apple()
        await edge.firebase()
        asked = register()
        for contact in contacts:
            asked.append("contact", contact)
        for name, value in fields.items():
            asked.set(name.replace("_", "-"), value)
        again = parse(asked.to_bytes(stream=True))
        assert isinstance(again, Request)
        answer = await edge.ask(again)
        assert answer.status in {200, 400, 401, 403, 404, 416, 420, 423, 439, 555}
        if auth == "none":
            await edge.register("*", expires=0, call_id="other")
            assert (await edge.register(CONTACT, cseq=2)).status == 200
