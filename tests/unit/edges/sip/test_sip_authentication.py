"""Who is believed (RFC 3261 section 22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from sip_registering import AOR, CONTACT, PASSWORD, Registering, Wire, call, contact, proving, register
from storing import HOUR
from wakeline.edges.sip.authentication import Caller
from wakeline.edges.sip.peers import Peers

pytestmark = pytest.mark.anyio

ALICE = "sip:alice@example.org"


async def test_a_phone_is_asked_for_its_password_and_registers_with_it() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user()
        question = await edge.register(CONTACT)
        assert question.status == 401
        assert [one.partition("algorithm=")[2].partition(",")[0] for one in question.all("www-authenticate")] == [
            "SHA-256",
            "MD5",
        ]
        assert not edge.bindings()
        assert (await edge.ask(proving(register(CONTACT), question))).status == 200
        assert len(edge.bindings()) == 1


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
async def test_a_caller_is_asked_with_407_and_goes_on_without_its_answer(algorithm: str) -> None:
    async with Registering(auth="digest") as edge:
        await edge.user("alice")
        question = await edge.ask(call())
        assert question.status == 407
        assert (await edge.ask(proving(call(), question, user="alice", algorithm=algorithm))).status == 202
        ((forwarded, caller),) = edge.proxy.came
        assert caller == Caller(aor=ALICE)
        assert "proxy-authorization" not in forwarded


async def test_an_answer_to_another_proxy_goes_on() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user("alice")
        theirs = 'Digest username="x", realm="pbx.example.com", nonce="n", uri="sip:b", response="0"'
        asked = call(proxy_authorization=theirs)
        proof = proving(call(), await edge.ask(asked), user="alice").get("proxy-authorization")
        asked.append("proxy-authorization", proof or "")
        assert (await edge.ask(asked)).status == 202
        ((forwarded, _),) = edge.proxy.came
        assert forwarded.all("proxy-authorization") == [theirs]


async def test_a_wrong_password_and_an_unknown_user_are_asked_again_alike() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user()
        wrong = await edge.ask(proving(register(CONTACT), await edge.register(CONTACT), "wrong"))
        unknown = register(CONTACT, user="nobody")
        nobody = await edge.ask(proving(unknown, await edge.ask(unknown), PASSWORD, user="nobody"))
        for answer in (wrong, nobody):
            assert answer.status == 401
            assert not any("stale" in one for one in answer.all("www-authenticate"))
            assert len(answer.all("www-authenticate")) == 2
        assert not edge.bindings()


async def test_a_user_whose_name_is_no_utf_8_is_nobody() -> None:
    async with Registering(auth="digest") as edge:
        assert (await edge.ask(call(user="al\udcffce"))).status == 407
        assert (await edge.ask(register(CONTACT, user="b\udcffb"))).status == 401


async def test_who_tries_passwords_is_in_the_log() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user()
        with capture_logs() as lines:
            question = await edge.register(CONTACT)
            await edge.ask(proving(register(CONTACT), question, "guessed"))
        (line,) = [one for one in lines if one["event"] == "sip.password_wrong"]
        assert (line["user"], line["source"]) == ("bob@example.org", edge.wire.remote.host)
        assert "guessed" not in str(lines)


async def test_nobody_registers_or_calls_as_another_user() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user()
        await edge.user("eve")
        question = await edge.register(CONTACT)
        assert (await edge.ask(proving(register(CONTACT), question, user="eve"))).status == 403
        asked = call(user="bob")
        assert (await edge.ask(proving(asked, await edge.ask(asked), user="eve"))).status == 403
        assert not edge.bindings()
        assert not edge.proxy.came


async def test_an_answer_counts_once_and_its_repetition_is_stale() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user()
        question = await edge.register(CONTACT)
        answered = proving(register(CONTACT), question)
        assert (await edge.ask(answered)).status == 200
        again = await edge.ask(answered)
        assert again.status == 401
        assert "stale=true" in again.all("www-authenticate")[0]
        assert (await edge.ask(proving(register(CONTACT, cseq=5), question, count=2))).status == 200


async def test_an_old_question_is_asked_anew_and_said_to_be_stale() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user()
        question = await edge.register(CONTACT)
        edge.clock.time += HOUR
        answer = await edge.ask(proving(register(CONTACT), question))
        assert answer.status == 401
        assert "stale=true" in answer.all("www-authenticate")[0]
        assert (await edge.ask(proving(register(CONTACT), answer))).status == 200


async def test_a_user_whose_digest_is_known_in_one_algorithm_is_asked_in_that() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user()
        known = edge.store.sip_users.get("bob", "example.org")
        assert known is not None
        await edge.store.sip_users.put(msgspec.structs.replace(known, sha256=""))
        (only,) = (await edge.register(CONTACT)).all("www-authenticate")
        assert "algorithm=MD5" in only


async def test_only_what_is_configured_is_asked_for_and_taken() -> None:
    async with Registering(auth="digest", digest_algorithms=("SHA-256",)) as edge:
        await edge.user()
        (only,) = (question := await edge.register(CONTACT)).all("www-authenticate")
        assert "algorithm=SHA-256" in only
        question.append("www-authenticate", only.replace("SHA-256", "MD5"))
        assert (await edge.ask(proving(register(CONTACT), question, algorithm="MD5"))).status == 401
        assert (await edge.ask(proving(register(CONTACT), question, algorithm="SHA-256"))).status == 200


async def test_a_foreign_domain_is_not_relayed_and_wakes_nobody() -> None:
    async with Registering(auth="digest") as edge:
        assert (await edge.ask(call(domain="example.com"))).status == 403
        assert (await edge.register(CONTACT, domain="example.com")).status == 403
        assert not edge.proxy.came


async def test_peers_are_believed_by_their_address() -> None:
    async with Registering(auth="digest", peers=("203.0.113.0/24",)) as edge:
        assert (await edge.ask(call(domain="pbx.example.com"), Wire("203.0.113.9"))).status == 202
        assert edge.proxy.came[0][1] == Caller(peer=True)
        assert (await edge.ask(register(CONTACT), Wire("203.0.113.9"))).status == 200
        assert (await edge.ask(call(), Wire("203.0.114.9"))).status == 407


async def test_with_no_authentication_everybody_is_believed() -> None:
    async with Registering() as edge:
        assert (await edge.ask(call(domain="example.com"))).status == 202
        assert edge.proxy.came[0][1] == Caller()


async def test_rfc_3323_who_shows_no_name_proves_who_it_is() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user("alice")
        asked = call(user="anonymous", domain="anonymous.invalid")
        assert (await edge.ask(proving(asked, await edge.ask(asked), user="alice"))).status == 202
        assert edge.proxy.came[0][1] == Caller(aor=ALICE)


async def test_within_a_dialog_nobody_is_asked() -> None:
    async with Registering(auth="digest") as edge:
        assert (await edge.ask(call("BYE", to=f"<{AOR}>;tag=b1"))).status == 202
        assert (await edge.ask(register(contact(), to=f"<{AOR}>;tag=b1"))).status in (400, 401)


async def test_a_caller_who_gives_up_while_it_is_asked_is_gone() -> None:
    async with Registering(auth="digest") as edge:
        await edge.user("alice")
        question = await edge.ask(call())
        asked = proving(call(), question, user="alice")
        asked.prepend("via", f"SIP/2.0/TCP {edge.wire.remote};branch=z9hG4bKgone")
        cancel = call("CANCEL", user="alice")
        cancel.prepend("via", f"SIP/2.0/TCP {edge.wire.remote};branch=z9hG4bKgone")
        for each in (asked, cancel):
            edge.layer.received(edge.wire, each.to_bytes(stream=True))
        answers = [await edge.wire.sent.get(), await edge.wire.sent.get()]
        assert sorted((one.cseq.method, getattr(one, "status", 0)) for one in answers) == [
            ("CANCEL", 200),
            ("INVITE", 487),
        ]
        await edge.ask(call("OPTIONS"))
        assert not edge.proxy.came


def test_peers_are_addresses_and_networks_of_both_families() -> None:
    peers = Peers(("192.0.2.1", "2001:db8::/32"))
    believed = ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::7", "fe80::1%eth0", "192.0.2.2", "pbx.example.org")
    assert [host for host in believed if peers.covers(host)] == ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::7"]
