"""REGISTER: what is registered, for how long, and what is refused (RFC 3261 section 10, RFC 3327, RFC 5626, RFC 5627)."""

from __future__ import annotations

import pytest

from sip_registering import AOR, APNS, CONTACT, INSTANCE, PHONE, Registering, Wire, contact, register
from storing import HOUR, NOW
from wakeline.model.errors import StoreUnavailable
from wakeline.model.sip.binding import BindingChange

pytestmark = pytest.mark.anyio


async def test_a_phone_is_registered_and_told_for_how_long() -> None:
    async with Registering() as edge:
        answer = await edge.register(CONTACT, user_agent="Phone/1")
        (bound,) = edge.bindings()
        assert answer.status == 200
        assert answer.all("contact") == ["<sip:bob@192.0.2.7:5060;transport=tcp>;expires=3600"]
        assert (bound.aor, bound.flow, bound.user_agent) == (AOR, edge.wire.name, "Phone/1")
        assert (bound.expires, bound.kept, bound.registered) == (NOW + HOUR, NOW + HOUR, NOW)
        assert answer.get("date") == "Mon, 21 Sep 2026 14:13:20 GMT"
        assert [change.put for change in edge.changes] == [(bound,)]


async def test_a_query_shows_what_is_registered_and_changes_nothing() -> None:
    async with Registering() as edge:
        await edge.register(CONTACT)
        edge.clock.time += 60_000
        answer = await edge.register(expires=None, cseq=2, call_id="another")
        assert answer.all("contact") == ["<sip:bob@192.0.2.7:5060;transport=tcp>;expires=3540"]
        assert len(edge.changes) == 1


async def test_begun_seconds_count_as_whole_ones() -> None:
    async with Registering() as edge:
        await edge.register(CONTACT)
        edge.clock.time += 900
        assert (await edge.register(expires=None, cseq=2)).contacts[0].number("expires") == 3600


async def test_the_contacts_own_expires_goes_before_that_of_the_request() -> None:
    async with Registering(max_expires=7200) as edge:
        answer = await edge.register(f"{CONTACT};expires=600", "<sip:bob@192.0.2.8>", expires=90_000)
        lasts = {one.uri: one.number("expires") for one in answer.contacts}
        assert lasts == {"sip:bob@192.0.2.7:5060;transport=tcp": 600, "sip:bob@192.0.2.8": 7200}


async def test_who_wishes_nothing_gets_the_default() -> None:
    async with Registering(default_expires=1800) as edge:
        assert (await edge.register(CONTACT, expires=None)).contacts[0].number("expires") == 1800


async def test_section_10_3_too_short_a_registration_is_423_with_what_is_granted() -> None:
    async with Registering() as edge:
        answer = await edge.register(CONTACT, expires=30)
        assert (answer.status, answer.get("min-expires")) == (423, "60")
        assert not edge.bindings()
        assert not edge.changes


async def test_section_10_3_an_hour_is_never_too_short() -> None:
    async with Registering(min_expires=7200, default_expires=7200) as edge:
        assert (await edge.register(CONTACT, expires=3599)).status == 423
        assert (await edge.register(CONTACT, expires=3600)).status == 200


async def test_a_phone_unregisters_itself_and_no_other() -> None:
    async with Registering() as edge:
        await edge.register(contact())
        await edge.register(contact(instance="urn:uuid:other", host="192.0.2.8"), call_id="c2")
        answer = await edge.register(contact(), expires=0, cseq=2)
        assert [one.instance for one in answer.contacts] == ["urn:uuid:other"]
        assert [bound.instance for bound in edge.bindings()] == ["urn:uuid:other"]


async def test_an_asterisk_unregisters_all() -> None:
    async with Registering() as edge:
        await edge.register(contact())
        await edge.register(contact(instance="urn:uuid:other"), call_id="c2")
        answer = await edge.register("*", expires=0, call_id="c3")
        assert (answer.status, answer.all("contact"), edge.bindings()) == (200, [], [])
        assert set(edge.changes[-1].removed) == {INSTANCE, "urn:uuid:other"}


@pytest.mark.parametrize(("contacts", "expires"), [(("*",), 60), (("*",), None), (("*", CONTACT), 0)])
async def test_an_asterisk_stands_alone_with_expires_0(contacts: tuple[str, ...], expires: int | None) -> None:
    async with Registering() as edge:
        await edge.register(CONTACT)
        assert (await edge.register(*contacts, expires=expires, cseq=2)).status == 400
        assert len(edge.bindings()) == 1


async def test_section_10_3_step_7_a_request_that_was_overtaken_changes_nothing() -> None:
    async with Registering() as edge:
        await edge.register(contact(), cseq=5)
        for asked in (contact(), "*"):
            answer = await edge.register(asked, cseq=4, expires=0)
            assert answer.status == 500
        assert (await edge.register(contact(host="192.0.2.9"), cseq=5)).status == 500
        assert (await edge.register(contact(host="192.0.2.9"), cseq=1, call_id="c2")).status == 200
        assert [bound.contact for bound in edge.bindings()] == ["sip:bob@192.0.2.9;transport=tcp"]


async def test_a_phone_that_comes_from_another_address_is_the_same_phone() -> None:
    async with Registering() as edge:
        await edge.register(contact())
        edge.clock.time += 5000
        await edge.register(contact(host="198.51.100.9:1234", instance=INSTANCE.upper()), cseq=2)
        (bound,) = edge.bindings()
        assert bound.contact == "sip:bob@198.51.100.9:1234;transport=tcp"
        assert (bound.registered, bound.updated) == (NOW, NOW + 5000)


async def test_a_phone_without_an_instance_is_known_by_its_contact() -> None:
    async with Registering() as edge:
        await edge.register("<sip:bob@192.0.2.7;transport=tcp;x=1>")
        await edge.register("<sip:bob@192.0.2.7;transport=TCP>;expires=600", cseq=2)
        assert [bound.contact for bound in edge.bindings()] == ["sip:bob@192.0.2.7;transport=TCP"]


async def test_too_many_contacts_in_one_register_are_403() -> None:
    async with Registering(max_contacts=2) as edge:
        answer = await edge.register(*(f"<sip:bob@192.0.2.{last}>" for last in range(3)))
        assert (answer.status, answer.phrase) == (403, "Too many contacts in REGISTER")
        assert not edge.bindings()


async def test_the_phone_that_registered_longest_ago_gives_way() -> None:
    async with Registering(max_contacts=2) as edge:
        for last in range(3):
            edge.clock.time += 1000
            await edge.register(f"<sip:bob@192.0.2.{last}>", call_id=f"c{last}")
        assert [bound.contact for bound in edge.bindings()] == ["sip:bob@192.0.2.2", "sip:bob@192.0.2.1"]
        assert edge.changes[-1].removed == ("sip:bob@192.0.2.0",)


async def test_what_cannot_be_granted_for_one_contact_is_granted_for_none() -> None:
    async with Registering() as edge:
        assert (await edge.register(CONTACT, "<sip:bob@192.0.2.8>;expires=5")).status == 423
        assert not edge.bindings()


async def test_an_unknown_domain_and_an_address_without_user_are_404() -> None:
    async with Registering() as edge:
        assert (await edge.register(CONTACT, domain="example.com")).status == 404
        nobody = register(CONTACT)
        nobody.set("to", "<sip:example.org>")
        assert (await edge.ask(nobody)).status == 404


async def test_an_extension_that_is_not_served_is_420() -> None:
    async with Registering() as edge:
        answer = await edge.register(CONTACT, require="path, x-magic")
        assert (answer.status, answer.get("unsupported")) == (420, "x-magic")


@pytest.mark.parametrize("broken", ["<sip:bob@>", "<sip:bob@192.0.2.7", "<tel:+4930123>"])
async def test_a_contact_that_is_none_is_refused(broken: str) -> None:
    async with Registering() as edge:
        assert (await edge.register(broken)).status in (400, 416)
        assert not edge.bindings()


async def test_rfc_3327_path_is_kept_and_shown() -> None:
    async with Registering() as edge:
        path = "<sip:edge.example.org;lr>, <sip:inner.example.org;lr>"
        answer = await edge.register(CONTACT, path=path, supported="path")
        assert edge.bindings()[0].path == ("<sip:edge.example.org;lr>", "<sip:inner.example.org;lr>")
        assert answer.values("path") == list(edge.bindings()[0].path)


async def test_rfc_5626_flows_of_a_phone_stand_side_by_side() -> None:
    async with Registering() as edge:
        for flow in (1, 2, 1):
            answer = await edge.register(
                contact(more=f";reg-id={flow}"), supported="outbound", call_id=f"c{flow}-{len(edge.changes)}"
            )
        assert [bound.reg_id for bound in edge.bindings()] in ([1, 2], [2, 1])
        assert len({bound.uid for bound in edge.bindings()}) == 2
        assert answer.get("require") == "outbound"
        assert sorted(str(one.number("reg-id")) for one in answer.contacts) == ["1", "2"]


async def test_rfc_5626_one_flow_a_register_and_a_first_hop_that_keeps_it() -> None:
    async with Registering() as edge:
        two = (contact(more=";reg-id=1"), contact(more=";reg-id=2"))
        assert (await edge.register(*two, supported="outbound")).status == 400
        far = register(two[0], supported="outbound, path")
        far.append("via", "SIP/2.0/TCP 203.0.113.1;branch=z9hG4bKfar")
        assert (await edge.ask(far)).status == 439
        far.append("path", "<sip:token@edge.example.org;lr;ob>")
        assert (await edge.ask(far)).status == 200


async def test_rfc_5626_reg_id_means_nothing_without_outbound_or_instance() -> None:
    async with Registering() as edge:
        answer = await edge.register(contact(more=";reg-id=1"), supported="path")
        assert "require" not in answer
        await edge.register("<sip:bob@192.0.2.9>;reg-id=1", supported="outbound", call_id="c2")
        assert [bound.reg_id for bound in edge.bindings()] == [0, 0]


async def test_rfc_5627_a_phone_that_asks_gets_its_public_gruu() -> None:
    async with Registering() as edge:
        answer = await edge.register(contact(APNS), supported="gruu")
        gruu = f"sip:bob@example.org;gr={INSTANCE}"
        assert answer.contacts[0].params["pub-gruu"] == f'"{gruu}"'
        bound = edge.store.sip_bindings.by_gruu(gruu)
        assert bound is not None
        assert bound.instance == INSTANCE


async def test_rfc_5627_no_gruu_without_an_instance_or_a_question() -> None:
    async with Registering() as edge:
        await edge.register(contact(), supported="path")
        await edge.register("<sip:bob@192.0.2.9>", supported="gruu", call_id="c2")
        assert [bound.gruu for bound in edge.bindings()] == ["", ""]


async def test_a_full_disk_registers_nobody_and_says_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_: BindingChange) -> None:
        raise StoreUnavailable("the disk is full")

    async with Registering() as edge:
        monkeypatch.setattr(edge.store.sip_bindings, "change", full)
        answer = await edge.register(CONTACT)
        assert (answer.status, answer.get("retry-after")) == (500, "5")
        assert not edge.bindings()
        assert not edge.changes


async def test_q_orders_phones() -> None:
    async with Registering() as edge:
        answer = await edge.register("<sip:bob@192.0.2.8>;q=0.5", "<sip:bob@192.0.2.9>;q=0.7")
        assert [one.q for one in answer.contacts] == [0.7, 0.5]


async def test_two_registers_of_one_address_at_once_both_count() -> None:
    async with Registering() as edge:
        one, other = Wire(PHONE, 1), Wire(PHONE, 2)
        edge.wire = other
        for wire, last in ((one, 8), (other, 9)):
            asked = register(f"<sip:bob@192.0.2.{last}>", call_id=f"c{last}")
            asked.prepend("via", f"SIP/2.0/TCP {wire.remote};branch=z9hG4bK-{last}")
            edge.layer.received(wire, asked.to_bytes(stream=True))
        answers = [await one.sent.get(), await other.sent.get()]
        assert [len(answer.all("contact")) for answer in answers] == [1, 2]
