"""Digest authentication, by the examples of RFC 7616 and by its rules."""

from __future__ import annotations

import re

import pytest

from wakeline.wire.sip.digest import (
    NONCE_LIFE_MS,
    Credentials,
    Nonces,
    NonceVerdict,
    challenges,
    expected,
    parse_credentials,
    proves,
    secret_hash,
)

KEY = bytes(range(32))
NOW = 1_790_000_000_000
MUFASA = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{response}", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def credentials(value: str) -> Credentials:
    found = parse_credentials(value)
    assert found is not None
    return found


def using(nonce: str, count: int, qop: str = "auth") -> Credentials:
    return Credentials(
        username="bob",
        realm="r",
        nonce=nonce,
        uri="sip:h",
        response="",
        qop=qop,
        count=count,
        count_text=f"{count:08x}",
    )


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc7616_3_9_1_the_examples_prove_their_password(algorithm: str, response: str) -> None:
    given = credentials(MUFASA.format(algorithm=algorithm, response=response))
    secrets = {
        name: secret_hash("Mufasa", "http-auth@example.org", "Circle of Life", name) for name in ("MD5", "SHA-256")
    }
    assert proves(given, secrets, "GET")
    assert not proves(given, secrets, "REGISTER")
    assert not proves(given, {name: secret_hash("Mufasa", "r", "x", name) for name in secrets}, "GET")
    assert not proves(given, {}, "GET")


def test_a_client_of_before_qop_proves_its_password_too() -> None:
    secret = secret_hash("Mufasa", "testrealm@host.com", "Circle Of Life", "MD5")
    given = credentials(
        'Digest username="Mufasa",realm="testrealm@host.com",nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
        'uri="/dir/index.html",response="670fd8c2df070c60b045671b8b24ff02"'
    )
    assert proves(given, {"MD5": secret.upper()}, "GET")
    assert (given.algorithm, given.qop, given.count) == ("MD5", "", 0)


def test_what_a_client_quotes_or_not_is_read() -> None:
    given = credentials(
        'DIGEST  username = "a \\"b\\", c" , realm=r,nonce="n,1", uri="sip:h;x=1,2",response=AB, QOP="auth",nc=0000000a,'
        'cnonce="",algorithm="sha-256"'
    )
    assert (given.username, given.nonce, given.uri, given.response) == ('a "b", c', "n,1", "sip:h;x=1,2", "ab")
    assert (given.algorithm, given.qop, given.count, given.count_text) == ("SHA-256", "auth", 10, "0000000a")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic Ym9i",
        "Digest",
        'Digest username="a"',
        'Digest username="a", realm="r", nonce="n", uri="u"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", algorithm=MD5-sess',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth-int, nc=00000001, cnonce="c"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth, nc=1, cnonce="c"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth, nc=00000001',
        'Digest username="a, realm="r", nonce="n", uri="u", response="x"',
    ],
)
def test_what_we_did_not_ask_for_is_no_answer(value: str) -> None:
    assert parse_credentials(value) is None


def test_rfc8760_2_3_the_stronger_algorithm_is_asked_for_first() -> None:
    sha, md5 = challenges('my "realm"', "n", opaque="o", stale=True)
    assert sha == 'Digest realm="my \\"realm\\"", nonce="n", algorithm=SHA-256, qop="auth", opaque="o", stale=true'
    assert md5 == sha.replace("SHA-256", "MD5")
    assert "stale" not in challenges("r", "n")[0]


def test_a_challenge_can_be_answered() -> None:
    nonces = Nonces(KEY)
    nonce = re.search('nonce="([^"]+)"', challenges("r", nonces.issue(NOW))[0])
    assert nonce is not None
    asked = using(nonce[1], 1)
    response = expected(asked, secret_hash("bob", "r", "pw", "MD5"), "REGISTER")
    given = credentials(
        f'Digest username="bob", realm="r", nonce="{nonce[1]}", uri="sip:h", response="{response}", qop=auth, '
        'nc=00000001, cnonce=""'
    )
    assert nonces.check(given, NOW) is NonceVerdict.FRESH
    assert proves(given, {"MD5": secret_hash("bob", "r", "pw", "MD5")}, "REGISTER")


def test_nonces_differ_within_a_millisecond() -> None:
    nonces = Nonces(KEY)
    assert len({nonces.issue(NOW) for _ in range(100)}) == 100


def test_a_count_is_taken_once() -> None:
    nonces = Nonces(KEY)
    nonce = nonces.issue(NOW)
    for count in (1, 3, 2, 4):
        assert nonces.check(using(nonce, count), NOW) is NonceVerdict.FRESH
        nonces.use(using(nonce, count))
        assert nonces.check(using(nonce, count), NOW) is NonceVerdict.STALE
    for count in (1, 2, 3, 4):
        assert nonces.check(using(nonce, count), NOW) is NonceVerdict.STALE
    nonces.use(using(nonce, 1000))
    assert nonces.check(using(nonce, 5), NOW) is NonceVerdict.STALE
    assert nonces.check(using(nonce, 999), NOW) is NonceVerdict.FRESH
    assert nonces.check(using(nonce, 1001), NOW) is NonceVerdict.FRESH


def test_without_a_count_a_nonce_is_taken_once() -> None:
    nonces = Nonces(KEY)
    old = using(nonces.issue(NOW), 0, qop="")
    assert nonces.check(old, NOW) is NonceVerdict.FRESH
    nonces.use(old)
    assert nonces.check(old, NOW) is NonceVerdict.STALE


def test_a_wrong_password_does_not_use_up_a_count() -> None:
    nonces = Nonces(KEY)
    given = using(nonces.issue(NOW), 1)
    nonces.check(given, NOW)
    assert nonces.check(given, NOW) is NonceVerdict.FRESH


def test_old_foreign_and_future_nonces_are_stale() -> None:
    nonces = Nonces(KEY)
    nonce = nonces.issue(NOW)
    assert nonces.check(using(nonce, 1), NOW + NONCE_LIFE_MS - 1) is NonceVerdict.FRESH
    assert nonces.check(using(nonce, 1), NOW + NONCE_LIFE_MS) is NonceVerdict.STALE
    assert nonces.check(using(nonce, 1), NOW - 1) is NonceVerdict.STALE
    assert Nonces(KEY[::-1]).check(using(nonce, 1), NOW) is NonceVerdict.STALE
    for forged in ("", "x", nonce[:-1], f"{NOW + 5:012x}{nonce[12:]}", "\u00e9" * 60):
        assert nonces.check(using(forged, 1), NOW) is NonceVerdict.STALE


def test_what_is_forgotten_for_lack_of_room_is_not_new_again() -> None:
    nonces = Nonces(KEY, remembered=3)
    issued = [using(nonces.issue(NOW + at), 1) for at in range(5)]
    for given in issued[:4]:
        nonces.use(given)
    assert [nonces.check(given, NOW + 10) for given in issued] == [*[NonceVerdict.STALE] * 4, NonceVerdict.FRESH]


def test_a_repr_shows_no_proof() -> None:
    response = "8ca523f5e9506fed4657c9700eebdbec"
    assert response not in repr(credentials(MUFASA.format(algorithm="MD5", response=response)))
