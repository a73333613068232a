"""Where a filter may not mean what was meant: misspelt fields, values of another kind.

A hint may read the metadata of all documents; hence no more than `MAX_HINTS` are looked for.
"""

from __future__ import annotations

import difflib
import json

from sqlalchemy import Connection

from indexing.search.filter_sql import KINDS, has_kind, known_fields, value_kind, value_kinds
from indexing.search.filters import Compare, Node, Value, comparisons_of

__all__ = ["filter_hints"]

MAX_HINTS = 5
NEAR_NAMES = 3
_LONGEST = 60  # characters of a field name that are repeated


def filter_hints(connection: Connection, collection_id: int, node: Node) -> list[str]:
    """A line for each field that no document has, or that has no value of the kind it is compared with."""
    hints: list[str] = []
    known: list[str] | None = None
    for field, of_kind in _by_field(node).items():
        lacking = [kind for kind in of_kind if not has_kind(connection, collection_id, field, kind)]
        if not lacking:
            continue
        held = value_kinds(connection, collection_id, field)
        if not held:
            known = known_fields(connection, collection_id) if known is None else known
            hints.append(f"no document has the field {_name(field)}{_near(field, known)}")
        elif held != {"null"}:
            hints.append(_other_kind(field, of_kind[lacking[0]], held))
        if len(hints) == MAX_HINTS:
            break
    return hints


def _by_field(node: Node) -> dict[str, dict[str | None, Compare]]:
    """Field → kind of value → the first comparison of the two."""
    fields: dict[str, dict[str | None, Compare]] = {}
    for comparison in comparisons_of(node):
        fields.setdefault(comparison.field, {}).setdefault(value_kind(comparison.value), comparison)
    return fields


def _other_kind(field: str, comparison: Compare, held: set[str]) -> str:
    holds = " and ".join(name for kind, name in KINDS.items() if kind in held)
    wrong = KINDS[value_kind(comparison.value) or ""]
    return f"the field {_name(field)} holds {holds}, not {wrong}{_remedy(comparison, held)}"


def _remedy(comparison: Compare, held: set[str]) -> str:
    """How the comparison would be written with the same value of a kind that the field holds."""
    value = comparison.value
    if isinstance(value, str):
        other = _as_number(value) if "number" in held else None
        if "truth" in held and value.lower() in ("true", "false"):
            other = value.lower()
        return "" if other is None else f": write {other} without quotes"
    if "text" in held:
        return f": write '{_spell(value)}' in quotes"
    return ""


def _as_number(text: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return text.strip() if isinstance(value, int | float) and not isinstance(value, bool) else None


def _spell(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _near(field: str, known: list[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(field.lower(), by_lower, NEAR_NAMES)
    if near:
        return "; did you mean " + " or ".join(_name(by_lower[name]) for name in near) + "?"
    return "; there are: " + ", ".join(map(_shorten, known[:10])) + ", …" * (len(known) > 10) if known else ""


def _name(field: str) -> str:
    return repr(_shorten(field))


def _shorten(field: str) -> str:
    return field if len(field) <= _LONGEST else field[: _LONGEST - 1] + "…"
