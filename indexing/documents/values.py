"""What a field holds, as text to search or as an id: strings, numbers, lists, objects, bytes, dates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from indexing.documents.storable import MAX_DEPTH, storable_value

__all__ = [
    "id_of",
    "identifies",
    "is_vector",
    "lines_of",
    "plain_value",
    "text_in_bytes",
    "text_of",
    "worth_a_line",
]

# The names of numbers that are looked for by their digits, in one of their words or at their end.
_IDENTIFIER = re.compile(
    r"(?<![a-z])(?:ids?|no|nr|num|key|sku|isbn|issn|ean|upc|gtin|asin|zip|plz|phone|tel|fax|mobile|ref|order|"
    r"invoice|ticket|case|account|serial|part|pmid|doi)(?![a-z])|(?:number|nummer|numero|número|code)s?(?![a-z])"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LONGEST_WORD = 256  # ASCII without a blank beyond this is a picture or a key, nothing that anyone types
_SHORT_ITEM = 40
_VECTOR = 64  # numbers in a list of floats; so many are an embedding, which no filter asks for


def identifies(name: str) -> bool:
    """Whether a number of this name is looked for by its digits: `order_id`, `phoneNumber`, `Rechnungsnr`."""
    return _IDENTIFIER.search(_CAMEL.sub("_", name).lower()) is not None


def worth_a_line(text: str) -> bool:
    """Whether somebody may look for it: no picture in base64, no key of a thousand letters."""
    return len(text) <= _LONGEST_WORD or not text.isascii() or any(map(str.isspace, text))


def text_of(value: Any, depth: int = 0) -> str:
    """A value as text to search: what a list or object holds stands on lines of its own."""
    if isinstance(value, str):
        return value
    value = plain_value(value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or depth > MAX_DEPTH:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        parts = ((name, text_of(inner, depth + 1)) for name, inner in value.items())
        return "\n".join(f"{name}: {part}" for name, part in parts if part)
    if isinstance(value, (list, tuple)):
        return "\n".join(part for inner in value if (part := text_of(inner, depth + 1)))
    if isinstance(value, bytes):
        return text_in_bytes(value) or ""
    ok, stored = storable_value(value)
    if not ok:
        return ""
    return (
        stored
        if isinstance(stored, str)
        else text_of(stored, depth + 1)
        if isinstance(stored, list)
        else str(stored)
    )


def lines_of(name: str, value: Any, identifier: bool, depth: int = 0) -> list[str]:
    """`name: value` for the texts in a stored value, one line for each object's field."""
    if isinstance(value, str):
        return [f"{name}: {value}"] if value.strip() and worth_a_line(value) else []
    if isinstance(value, int) and not isinstance(value, bool):
        return [f"{name}: {value}"] if identifier else []
    if isinstance(value, dict):
        inner = ((f"{name}.{key}", item, identifies(key)) for key, item in value.items())
        return [line for path, item, found in inner for line in lines_of(path, item, found, depth + 1)]
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            joint = ", " if max(map(len, value)) <= _SHORT_ITEM else "\n"
            return lines_of(name, joint.join(filter(None, value)), identifier, depth + 1)
        return [line for item in value for line in lines_of(name, item, identifier, depth + 1)]
    return []


def is_vector(value: Any) -> bool:
    """Whether this is a list of floats, of the length of an embedding, or holds such lists: several of one
    document, or passages with theirs.
    """
    if isinstance(value, (list, tuple)) and value:
        return len(value) >= _VECTOR if isinstance(value[0], float) else is_vector(value[0])
    return isinstance(value, dict) and any(map(is_vector, value.values()))


def plain_value(value: Any) -> Any:
    """The value without what wraps it: types of numpy, and MongoDB's extended JSON, as `{"$oid": "65f…"}` and
    `{"$date": "2024-05-01"}`.
    """
    if type(value).__module__ == "numpy":
        return value.tolist()
    if isinstance(value, dict) and len(value) == 1:
        name, inner = next(iter(value.items()))
        if isinstance(name, str) and name.startswith("$") and isinstance(inner, (str, int, float)):
            if (
                name in ("$numberLong", "$numberInt")
                and isinstance(inner, str)
                and inner.lstrip("-").isdigit()
            ):
                return int(inner[:400])
            return inner
    return value


def id_of(value: Any) -> str | None:
    """The text of an id; None where it is no text, number or moment. 1.0 is what a table writes for 1."""
    value = plain_value(value)
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return None if not math.isfinite(value) else str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return text_in_bytes(value) or value.hex() or None
    ok, stored = storable_value(value)
    return str(stored) if ok and isinstance(stored, (str, int, float)) and str(stored).strip() else None


def text_in_bytes(value: bytes) -> str | None:
    """Bytes that are text."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if "\x00" not in text else None
