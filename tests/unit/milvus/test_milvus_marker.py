"""What a marker says, and the names of collections in Milvus."""

from __future__ import annotations

import pytest

from indexing.milvus.marker import Followed, collection_name, digest_of, number_of, prefix_of

UUID = "0123456789abcdef0123456789abcdef"


def test_a_marker_is_read_as_it_was_written():
    followed = Followed("made", 7, 3, {5: "aa", 9: "bb"}, (1, 2))
    assert Followed.from_json(followed.to_json()) == followed


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"made_of": "x"}', '{"made_of": 1, "change": 2, "purged": 0, "tip": {}}']
)
def test_what_somebody_else_wrote_is_none(text):
    assert Followed.from_json(text) is None


def test_the_tip_are_the_last_chunks_that_are_there():
    followed = Followed("made", 7, 3, {1: "aa", 2: "bb"})
    after = followed.advanced(8, [(n, bytes([n])) for n in range(10, 17)], removed=[2])
    tip = {1: "aa", **{n: digest_of(bytes([n])) for n in range(10, 17)}}
    assert after == Followed("made", 8, 3, tip, (2,))
    assert after.advanced(9, [], removed=range(30, 40)).gone == tuple(range(32, 40))
    assert sorted(after.advanced(9, [(20, b"x")], removed=[]).tip) == [*range(10, 17), 20]


def test_a_marker_of_the_largest_numbers_fits():
    rows = [(2**63 - n, bytes(4096)) for n in range(1, 20)]
    followed = Followed("f" * 32, 2**63 - 1, 2**63 - 1).advanced(
        2**63 - 1, rows, [2**63 - n for n in range(1, 20)]
    )
    assert len(followed.to_json()) < 1_000


def test_names():
    assert collection_name(UUID, 12, 3) == f"stlib_{UUID}_12_3"
    assert number_of(f"stlib_{UUID}_12_3") == 3
    assert number_of("stlib_else") == 0
    assert not collection_name(UUID, 12, 3).startswith(prefix_of(UUID, 1))
    assert collection_name(UUID, 12, 3).startswith(prefix_of(UUID))


@pytest.mark.parametrize("uuid", ["", "../../etc", "A" * 32, "0" * 31, f"{UUID}/x"])
def test_an_altered_uuid_names_nothing_else(uuid):
    """Names of files come of it."""
    prefix = prefix_of(uuid, 1)
    assert prefix != prefix_of(UUID, 1)
    assert prefix.replace("_", "").isalnum()
    assert len(prefix) == len(prefix_of(UUID, 1))
