"""Values as JSON by the types that are declared for them, and back, checked.

Nothing in what arrives says what is to be made of it: the types are those of this program. What does not fit
them is refused with the place where it stands.
"""

from __future__ import annotations

import base64
import binascii
import math
import operator
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from indexing.errors import BadInput

__all__ = ["check_type", "decode", "encode"]

_LISTS = (list, Sequence, Iterable)
_SETS = (set, frozenset)
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def encode(value: Any, type_: Any) -> Any:
    """`value`, of the declared `type_`, as what `json.dumps` takes.

    Raises:
        TypeError: it is not of that type.
    """
    origin, inner = get_origin(type_), get_args(type_)
    if type_ is Any or type_ is object:
        return _plain(value)
    if type_ in (None, type(None)):
        return _must(value, type(None))
    if type_ is bool:
        return _must(value, bool)
    if type_ is str:
        return _whole_characters(_must(value, str))
    if type_ is int:
        return operator.index(_must(value, Real))
    if type_ is float:
        number = float(_must(value, Real))
        return number if math.isfinite(number) else str(number)
    if type_ is bytes:
        return base64.b64encode(_must(value, bytes)).decode("ascii")
    if type_ is Path:
        return _whole_characters(str(_must(value, Path)))
    if origin is Literal:
        return value
    if origin in (Union, types.UnionType):
        return _encode_one_of(value, inner)
    if origin in _LISTS or origin in _SETS:
        return [encode(one, inner[0]) for one in value]
    if origin is tuple:
        return [encode(one, kind) for one, kind in _paired(_must(value, tuple), inner)]
    if origin in (dict, Mapping):
        return {_key(key): encode(one, inner[1]) for key, one in _must(value, Mapping).items()}
    return {name: encode(getattr(value, name), kind) for name, (kind, _) in _parts(type_).items()}


def decode(data: Any, type_: Any, place: str = "the value") -> Any:
    """What `encode` made of a value of `type_`; `place` names it in messages.

    Raises:
        BadInput: it is none of that type.
    """
    origin, inner = get_origin(type_), get_args(type_)
    if type_ is Any or type_ is object:
        return data
    if type_ in (None, type(None), bool):
        return _fit(data, type(None) if type_ is None else type_, place)
    if type_ is str:
        return _text(_fit(data, str, place), place)
    if type_ is int:
        return _int(_fit(data, int, place), place)
    if type_ is float:
        return _number(data, place)
    if type_ is bytes:
        return _bytes(_fit(data, str, place), place)
    if type_ is Path:
        return Path(_text(_fit(data, str, place), place))
    if origin is Literal:
        return _one_of_words(data, inner, place)
    if origin in (Union, types.UnionType):
        return _decode_one_of(data, inner, place)
    if origin in _LISTS or origin in _SETS:
        read = [decode(one, inner[0], f"{place}[{at}]") for at, one in enumerate(_fit(data, list, place))]
        return origin(read) if origin in _SETS else read
    if origin is tuple:
        pairs = _paired(_fit(data, list, place), inner, place)
        return tuple(decode(one, kind, f"{place}[{at}]") for at, (one, kind) in enumerate(pairs))
    if origin in (dict, Mapping):
        key = _read_key(inner[0])
        return {
            key(name, place): decode(one, inner[1], f"{place}.{name}")
            for name, one in _fit(data, dict, place).items()
        }
    return _decode_parts(_fit(data, dict, place), type_, place)


def check_type(type_: Any, seen: frozenset[Any] = frozenset()) -> None:
    """
    Raises:
        TypeError: `type_`, or something in it, is none that can be told in JSON.
    """
    origin, inner = get_origin(type_), get_args(type_)
    if type_ in (Any, object, None, type(None), bool, str, int, float, bytes, Path) or origin is Literal:
        return
    if origin in (*_LISTS, *_SETS, tuple, dict, Mapping, Union, types.UnionType):
        if origin in (dict, Mapping) and inner[0] not in (str, int):
            raise TypeError(f"keys of {type_} are neither text nor whole numbers")
        for one in inner:
            if one is not Ellipsis:
                check_type(one, seen)
        return
    if type_ not in seen:
        for kind, _ in _parts(type_).values():
            check_type(kind, seen | {type_})


@cache
def _parts(type_: Any) -> dict[str, tuple[Any, bool]]:
    """Name of each part of a record → its type, and whether it may be left out."""
    if is_dataclass(type_):
        hints = get_type_hints(type_)
        return {
            one.name: (hints[one.name], one.default is not MISSING or one.default_factory is not MISSING)
            for one in fields(type_)
            if one.init
        }
    if isinstance(type_, type) and issubclass(type_, tuple) and hasattr(type_, "_fields"):
        named: type[NamedTuple] = type_  # type: ignore[assignment]
        hints = get_type_hints(named)
        return {name: (hints[name], name in named._field_defaults) for name in named._fields}
    raise TypeError(f"{type_} cannot be told in JSON")


def _decode_parts(data: dict[str, Any], type_: Any, place: str) -> Any:
    parts = _parts(type_)
    if unknown := sorted(data.keys() - parts.keys()):
        raise BadInput(f"{place} has a part {unknown[0]!r} that it cannot have")
    if missing := [name for name, (_, free) in parts.items() if not free and name not in data]:
        raise BadInput(f"{place} lacks its part {missing[0]!r}")
    return type_(**{name: decode(data[name], parts[name][0], f"{place}.{name}") for name in data})


def _encode_one_of(value: Any, kinds: tuple[Any, ...]) -> Any:
    for kind in sorted(kinds, key=lambda kind: kind is float):  # a whole number stays one
        if _is_of(value, kind):
            return encode(value, kind)
    raise TypeError(f"{type(value).__name__} is none of {kinds}")


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    plain = type(None) if kind is None else get_origin(kind) or kind
    if isinstance(value, bool) and plain in (int, float):
        return False
    return plain is Any or isinstance(value, plain)


def _decode_one_of(data: Any, kinds: tuple[Any, ...], place: str) -> Any:
    reasons = []
    for kind in sorted(kinds, key=lambda kind: kind is float):
        try:
            return decode(data, kind, place)
        except BadInput as error:
            reasons.append(str(error))
    raise BadInput(reasons[0])


def _paired(values: Sequence[Any], kinds: tuple[Any, ...], place: str = "the value") -> list[tuple[Any, Any]]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return [(one, kinds[0]) for one in values]
    if len(values) != len(kinds):
        raise BadInput(f"{place} has {len(values)} parts and must have {len(kinds)}")
    return list(zip(values, kinds, strict=True))


def _plain(value: Any) -> Any:
    """What is declared as anything: what JSON knows, and nothing else."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _whole_characters(value)
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {_key(key): _plain(one) for key, one in value.items()}
    raise TypeError(f"{type(value).__name__} is nothing that JSON knows")


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _key(key: Any) -> str:
    return _whole_characters(key) if isinstance(key, str) else str(operator.index(key))


def _read_key(kind: Any) -> Any:
    return _text if kind is str else _whole


def _whole(text: str, place: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"{place} has the key {text[:40]!r}, which is no whole number") from None


def _must(value: Any, type_: type) -> Any:
    if not isinstance(value, type_):
        raise TypeError(f"{type(value).__name__} came where {type_.__name__} is declared")
    return value


def _fit(data: Any, type_: type, place: str) -> Any:
    if not isinstance(data, type_) or (type_ is int and isinstance(data, bool)):
        raise BadInput(f"{place} is {_KINDS.get(type(data), 'something else')}, and must be {_KINDS[type_]}")
    return data


_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def _number(data: Any, place: str) -> float:
    if isinstance(data, str) and data in _NOT_FINITE:
        return _NOT_FINITE[data]
    try:
        return float(data if isinstance(data, float) else _fit(data, int, place))
    except OverflowError:
        raise BadInput(f"{place} is a number that is too large") from None


def _int(number: int, place: str) -> int:
    """No database keeps larger ones."""
    if not -(2**63) <= number < 2**63:
        raise BadInput(f"{place} is a number that is too large")
    return number


def _text(text: str, place: str) -> str:
    """Halves of characters are none, and NUL is none that every database keeps."""
    if _whole_characters(text) != text or "\0" in text:
        raise BadInput(f"{place} has a character in it that is none (a lone surrogate, or NUL)")
    return text


def _whole_characters(text: str) -> str:
    """`text` without halves of characters, as names of files may have."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _bytes(text: str, place: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(f"{place} is not base64") from None


def _one_of_words(data: Any, words: tuple[Any, ...], place: str) -> Any:
    for word in words:
        if type(data) is type(word) and data == word:
            return word
    raise BadInput(f"{place} is none of {', '.join(map(repr, words))}")
