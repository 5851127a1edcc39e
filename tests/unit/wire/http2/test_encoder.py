"""The encoder against `hpack.Decoder`, which plays the peer."""

from __future__ import annotations

from hpack import Decoder
from hpack.hpack import encode_integer
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from handmade_http2 import STABLE
from wakeline.wire.http2.answers import Fields
from wakeline.wire.http2.encoder import Encoder, Prefix, integer

NAMES = st.sampled_from(
    [b":method", b":path", b":authority", b"authorization", b"user-agent", b"apns-topic", b"x-long", b"te"]
)
VALUES = st.one_of(
    st.sampled_from([b"", b"POST", b"GET", b"/", b"a", b"bearer t"]),
    st.binary(max_size=30),
    st.integers(100, 1500).map(lambda size: b"v" * size),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8).map(tuple)


def decoded(decoder: Decoder, prefix: Prefix) -> list[tuple[bytes, bytes]]:
    fields = decoder.decode(prefix.before + prefix.after, raw=True)
    return [(bytes(name), bytes(value)) for name, value in fields]


def in_order(fields: Fields) -> list[tuple[bytes, bytes]]:
    return sorted(fields, key=lambda field: not field[0].startswith(b":"))


@given(value=st.integers(0, 2**40), bits=st.integers(1, 8))
def test_integers_are_spelt_as_hpack_does(value: int, bits: int) -> None:
    assert integer(value, (0, bits)) == bytes(encode_integer(value, bits))


class PeersTable(RuleBasedStateMachine):
    """Whatever fields and table sizes come in whatever order, the peer reads what was meant."""

    sets: list[Fields]

    @initialize(sets=st.lists(FIELDS, min_size=1, max_size=4))
    def begin(self, sets: list[Fields]) -> None:
        self.sets = sets
        self.encoder = Encoder()
        self.decoder = Decoder(max_header_list_size=2**20)
        self.pending: list[int] = []

    @rule(size=st.sampled_from([0, 1, 33, 64, 100, 500, 2000, 4095, 4096, 4097, 65_536]))
    def the_peer_changes_its_table(self, size: int) -> None:
        self.encoder.resize(size)
        self.decoder.max_allowed_table_size = size
        self.pending.append(size)

    @rule(which=st.integers(0, 3), literal=FIELDS)
    def requests_are_sent(self, which: int, literal: Fields) -> None:
        stable = self.sets[which % len(self.sets)]
        for _ in range(len(stable) + 2):
            settled = self.encoder.settled(stable, literal)
            prefix = settled or self.encoder.prefix(stable, literal)
            assert decoded(self.decoder, prefix) == [*in_order(stable), *literal]
        assert self.encoder.settled(stable, literal) is not None, "the table is still changing"

    @invariant()
    def both_tables_are_the_same(self) -> None:
        if hasattr(self, "decoder") and self.encoder._announced == self.encoder._limit == self.encoder._smallest:
            assert list(self.encoder._entries) == list(self.decoder.header_table.dynamic_entries)


TestPeersTable = PeersTable.TestCase


def test_a_table_that_shrank_and_grew_between_two_requests_is_announced_twice() -> None:
    encoder = Encoder()
    encoder.prefix(STABLE, ())
    encoder.resize(0)
    encoder.resize(300)
    assert encoder.prefix(STABLE, ()).before.startswith(b"\x20\x3f\x8d\x02")  # 0, then 300


def test_a_larger_table_is_not_used_and_needs_no_word() -> None:
    encoder = Encoder()
    while encoder.settled(STABLE, ()) is None:
        encoder.prefix(STABLE, ())
    encoder.resize(65_536)
    assert encoder.settled(STABLE, ()) is not None


def test_fields_that_do_not_fit_together_stay_literals() -> None:
    encoder = Encoder()
    stable = ((b"x-one", b"1" * 3000), (b"x-two", b"2" * 3000))
    first = encoder.prefix(stable, ())
    assert encoder.settled(stable, ()) == first
    assert len(first.after) > 6000


def test_secrets_are_marked_as_never_to_be_indexed() -> None:
    prefix = Encoder().prefix((), ((b"authorization", b"bearer t"),))
    assert prefix.after.startswith(b"\x1f\x08")


def test_callers_who_make_up_fields_do_not_fill_the_memory() -> None:
    encoder = Encoder()
    encoder.resize(0)
    for number in range(2000):
        encoder.prefix(((b"x-%d" % number, b""),), ())
    assert len(encoder._settled) <= 256
