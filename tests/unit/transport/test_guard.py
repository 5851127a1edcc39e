from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.model.errors import AddressRefused, ConnectFailed
from wakeline.transport.addresses import refusal
from wakeline.transport.guard import Guard, check_token_uri, read_url, system_resolver

pytestmark = pytest.mark.anyio
PUBLIC = "93.184.216.34"


def guard(*addresses: str, **rules: Any) -> Guard:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return Guard(resolve=resolve, **rules)


async def test_a_public_host_passes_with_exactly_the_addresses_of_one_look_up() -> None:
    asked: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", PUBLIC]

    destination = await Guard(resolve=resolve).check("https://Hooks.Example.com./in?key=1#part")

    assert asked == [("hooks.example.com", 443)]
    assert destination.addresses == (PUBLIC, "2606:2800:220:1:248:1893:25c8:1946")
    assert (destination.origin.host, destination.origin.port) == ("hooks.example.com", 443)
    assert destination.target == "/in?key=1"


REFUSED = {
    "0.0.0.0": "unspecified",  # noqa: S104 - an address to refuse, nothing is bound
    "10.1.2.3": "private",
    "100.64.0.1": "shared",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarks",
    "203.0.113.9": "documentation",
    "224.0.0.251": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b:1::808:808": "NAT64",
    "2002:c0a8:101::1": "private",
    "2001::1": "protocols",
    "fd12:3456::1": "private",
    "fe80::1": "link-local",
    "fec0::1": "private",
    "ff02::1": "multicast",
    "4000::1": "reserved",
}


@pytest.mark.parametrize(("address", "cause"), REFUSED.items())
async def test_an_address_that_is_not_public_is_refused_with_its_cause(address: str, cause: str) -> None:
    with pytest.raises(AddressRefused, match=f"hooks.example.*{cause}"):
        await guard(address).check("https://hooks.example/")


@pytest.mark.parametrize(("address", "cause"), REFUSED.items())
async def test_the_same_address_written_into_the_url_is_refused(address: str, cause: str) -> None:
    host = f"[{address}]" if ":" in address else address

    with pytest.raises(AddressRefused, match=cause):
        await guard().check(f"https://{host}/")


async def test_one_bad_address_among_good_ones_refuses_the_host() -> None:
    with pytest.raises(AddressRefused, match="loopback"):
        await guard(PUBLIC, "127.0.0.1").check("https://rebind.example/")


@pytest.mark.parametrize("address", ["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2606:4700::1111"])
async def test_an_ipv6_address_that_leads_to_a_public_one_passes(address: str) -> None:
    destination = await guard(address).check("https://hooks.example/")

    assert destination.addresses == (str(ipaddress.ip_address(address)),)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_whatever_python_calls_special_in_ipv4_is_refused(address: IPv4Address) -> None:
    special = address.is_private or address.is_multicast or address.is_reserved or address.is_link_local
    if special or address.is_loopback or address.is_unspecified or not address.is_global:
        assert refusal(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_embedded_ipv4_address_is_judged_like_itself(address: IPv4Address) -> None:
    number = int(address)
    mapped = IPv6Address((0xFFFF << 32) | number)
    nat64 = IPv6Address((0x64FF9B << 96) | number)
    sixtofour = IPv6Address((0x2002 << 112) | (number << 80) | 1)

    for carrier in (mapped, nat64, sixtofour):
        assert bool(refusal(carrier)) == bool(refusal(address))
        assert bool(refusal(carrier, allow_private=True)) == bool(refusal(address, allow_private=True))


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_only_global_unicast_ipv6_passes(address: IPv6Address) -> None:
    if not refusal(address):
        carries = address.ipv4_mapped or address in ipaddress.ip_network("64:ff9b::/96")
        assert carries or address in ipaddress.ip_network("2000::/3") or int(address) < 2**32


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.9", "100.64.0.1", "::1", "fd00::1", "::ffff:192.168.0.1"])
async def test_the_private_rule_can_be_lifted_for_all_hosts(address: str) -> None:
    assert (await guard(address, allow_private=True).check("https://hooks.lan/")).addresses


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "0.1.2.3", "224.0.0.1", "255.255.255.255", "ff02::1", "fe80::1"]
)
async def test_what_is_not_merely_private_stays_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        await guard(address, allow_private=True, configured=frozenset({"hooks.lan"})).check("https://hooks.lan/")


@pytest.mark.parametrize("listed", ["Proxy.LAN", "proxy.lan.", "10.0.0.9", "[fd00::1]", "fd00:0::1"])
async def test_a_host_of_the_configuration_file_may_be_private(listed: str) -> None:
    rules = guard("10.0.0.9", configured=frozenset({listed}))
    bare = listed.strip("[].")
    url = f"https://[{bare}]/" if ":" in bare else f"https://{bare}/"

    assert (await rules.check(url)).addresses


async def test_a_neighbour_of_a_configured_host_may_not_be_private() -> None:
    with pytest.raises(AddressRefused):
        await guard("10.0.0.9", configured=frozenset({"proxy.lan"})).check("https://evil.proxy.lan/")


async def test_plain_http_needs_permission() -> None:
    with pytest.raises(AddressRefused, match="plain http"):
        await guard(PUBLIC).check("http://hooks.example/")

    destination = await guard(PUBLIC, allow_http=True).check("http://hooks.example/")
    assert destination.origin.port == 80


async def test_ports_can_be_limited() -> None:
    rules = guard(PUBLIC, ports=frozenset({443, 8443}))

    assert (await rules.check("https://hooks.example:8443/")).origin.port == 8443
    with pytest.raises(AddressRefused, match="port 22"):
        await rules.check("https://hooks.example:22/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example/path",
        "//hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "https://",
        "https:///path",
        "https://user@hooks.example/",
        "https://user:secret@hooks.example/",
        "https://good.example\\@127.0.0.1/",
        "https://good.example\t/",
        "https://good.example\r\nHost: evil/",
        "https:// good.example/",
        "https://bücher.example/",
        "https://[::1/",
        "https://[::1]evil.example/",
        "https://[fe80::1%25eth0]/",
        "https://[hooks.example]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://1.2.3.4.5/",
        "https://-bad.example/",
        "https://bad-.example/",
        "https://a..b/",
        "https://.example/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 127}example/",
        "https://hooks.example:0/",
        "https://hooks.example:65536/",
        "https://hooks.example:http/",
        "https://hooks%2eexample/",
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        read_url(url)


@given(st.text(max_size=40).map(lambda tail: "https://hooks.example" + tail) | st.text(max_size=60))
def test_any_text_is_either_read_or_refused(url: str) -> None:
    try:
        origin, target = read_url(url)
    except AddressRefused:
        return
    assert read_url(f"{origin}{target}") == (origin, target)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@hooks.example/",
        "https://127.0.0.1/hunter2?key=hunter2",
        "http://hooks.example/hunter2",
        "ftp://hooks.example/hunter2",
        "https://hooks.example:0/hunter2",
        "https://bücher.example/hunter2",
    ],
)
async def test_a_refusal_shows_no_secret_of_the_url(url: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        await guard(PUBLIC).check(url)

    assert "hunter2" not in caught.value.detail + caught.value.fix + str(caught.value.__cause__ or "")


async def test_a_name_without_address_is_a_failed_connection_and_no_refusal() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(ConnectFailed, match=r"hooks\.example cannot be resolved: Name or service"):
        await Guard(resolve=resolve).check("https://hooks.example/")
    with pytest.raises(ConnectFailed, match="no address"):
        await guard().check("https://hooks.example/")


async def test_the_system_knows_localhost() -> None:
    assert {"127.0.0.1", "::1"} & set(await system_resolver("localhost", 443))


@pytest.mark.parametrize(
    "url",
    [
        "https://oauth2.googleapis.com/token",
        "https://accounts.google.com/o/oauth2/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "https://oauth2.googleapis.com:443/token",
    ],
)
def test_googles_token_hosts_are_accepted(url: str) -> None:
    check_token_uri(url, token_hosts=())


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/token",
        "https://oauth2.googleapis.com.evil.example/token",
        "https://evil-googleapis.com/token",
        "https://storage.googleapis.com/my-bucket/token",
        "http://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com:8443/token",
        "https://127.0.0.1:9000/token",
    ],
)
def test_any_other_token_uri_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_token_uri(url, token_hosts=("listed.example",))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000/token", "https://127.0.0.1:9001/token", "https://oauth.lan/token", "http://[::1]:1/t"],
)
def test_a_listed_token_host_may_use_any_port_and_plain_http(url: str) -> None:
    check_token_uri(url, token_hosts=("127.0.0.1", "OAuth.lan", "::1"))
