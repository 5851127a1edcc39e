from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wakeline.model.delivery import pack, pack_all
from wakeline.storage import bulk

targets = st.integers(min_value=1, max_value=2**48 - 1)


@given(st.lists(st.tuples(st.integers(1, 2**18), st.integers(0, 2**16 - 1)), unique_by=lambda pair: pair[0]), st.data())
def test_a_target_is_found_where_it_stands(recipients: list[tuple[int, int]], data: st.DataObject) -> None:
    packed = pack_all([pack(target, generation) for target, generation in recipients])
    places = {target: place for place, (target, _) in enumerate(recipients)}
    wanted = data.draw(st.sampled_from(sorted(places)) if places else targets) if data.draw(st.booleans()) else 7

    assert bulk.position(packed, wanted) == places.get(wanted)


def test_bytes_of_two_numbers_side_by_side_are_no_target() -> None:
    wanted = 0x0102_0304_0506
    astride = wanted.to_bytes(6, "little")
    packed = b"\0" * 5 + astride + b"\0" * 5

    assert packed.find(astride) == 5
    assert bulk.position(packed, wanted) is None
    assert bulk.position(packed + pack_all([pack(wanted, 9)]), wanted) == 2
