"""Values as JSON by their declared types: what goes out comes back the same, and nothing else comes in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.desk.codec import check_type, decode, encode
from app.desk.table import ENTRIES
from indexing import SearchResults
from indexing.errors import BadInput


class Point(NamedTuple):
    x: int
    y: int | None = None


@dataclass(frozen=True)
class Everything:
    name: str
    count: int
    share: float
    there: bool
    data: bytes
    path: Path
    place: Point
    mode: Literal["on", "off"]
    score: float | int | None
    spans: list[tuple[int, int]]
    names: frozenset[str]
    many: tuple[str, ...]
    grades: Mapping[str, int]
    by_number: dict[int, str]
    anything: Any
    inner: Point | None = None
    more: Sequence[str] = field(default_factory=list)


VALUE = Everything(
    name="größe\u202e <script>",
    count=-3,
    share=math.inf,
    there=False,
    data=b"\x00\xff",
    path=Path("/a/ö"),
    place=Point(1),
    mode="off",
    score=3,
    spans=[(0, 2), (3, 4)],
    names=frozenset({"a", "b"}),
    many=("x",),
    grades={"d": 1},
    by_number={7: "seven"},
    anything={"a": [1, 2.5, None, True, "x"]},
    inner=Point(1, 2),
    more=["y"],
)


def over_the_wire(value, type_):
    return decode(json.loads(json.dumps(encode(value, type_), allow_nan=False)), type_)


def test_a_value_comes_back_the_same():
    back = over_the_wire(VALUE, Everything)
    assert back == VALUE
    assert [type(getattr(back, name)) for name in ("score", "place", "names", "many", "path")] == [
        int,
        Point,
        frozenset,
        tuple,
        type(Path()),
    ]


@given(st.floats() | st.integers(-(2**60), 2**60) | st.none())
def test_numbers_keep_their_kind_and_value(number):
    back = over_the_wire(number, float | int | None)
    assert type(back) is type(number)
    assert back == number or (math.isnan(back) and math.isnan(number))


def test_half_a_character_does_not_travel():
    assert over_the_wire("name\ud800.txt", str) == "name?.txt"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 1.5}, "a.count is a number, and must be a whole number"),
        ({"count": True}, "a.count is true or false, and must be a whole number"),
        ({"count": 2**70}, "a.count is a number that is too large"),
        ({"share": "1"}, "a.share is a text, and must be a whole number"),
        ({"there": 1}, "a.there is a whole number, and must be true or false"),
        ({"name": "\ud800"}, "a.name has a character in it that is none"),
        ({"name": "a\0b"}, "a.name has a character in it that is none"),
        ({"data": "%"}, "a.data is not base64"),
        ({"place": {"x": 1, "z": 2}}, "a.place has a part 'z' that it cannot have"),
        ({"place": {"y": 1}}, "a.place lacks its part 'x'"),
        ({"mode": "maybe"}, "a.mode is none of 'on', 'off'"),
        ({"score": []}, "a.score is a list"),
        ({"spans": [[1]]}, r"a.spans\[0\] has 1 parts and must have 2"),
        ({"names": {}}, "a.names is an object, and must be a list"),
        ({"by_number": {"x": "y"}}, "a.by_number has the key 'x', which is no whole number"),
        ({"__class__": "os.system"}, "a has a part '__class__' that it cannot have"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(change, words):
    with pytest.raises(BadInput, match=words):
        decode({**encode(VALUE, Everything), **change}, Everything, "a")


def test_what_is_of_another_type_does_not_go_out():
    for value, type_ in [("1", int), (object(), Any), ([], str | None), (VALUE, dict[str, int])]:
        with pytest.raises(TypeError):
            encode(value, type_)


def test_every_function_that_pages_ask_takes_and_gives_closed_types():
    for entry in ENTRIES.values():
        for name, kind in entry.takes.items():
            if name != entry.files:
                check_type(kind)
        check_type(entry.gives)
    check_type(SearchResults)
    with pytest.raises(TypeError, match="cannot be told in JSON"):
        check_type(list[Exception])
