"""Where a filter may not mean what was meant: misspelt fields, values of another kind.

A hint may read the metadata of all documents; hence no more than `MAX_HINTS` are looked for.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

from sqlalchemy import Connection

from indexing.normal_forms import normal_form
from indexing.search.filter_lookup import has_kind, known_fields, value_kinds
from indexing.search.filter_tree import Node, comparisons_of
from indexing.search.filter_values import KINDS, Date, Value, kinds_compared

__all__ = ["asked_kinds", "filter_hints"]

MAX_HINTS = 5
NEAR_NAMES = 3
_LONGEST = 60  # characters of a field name that are repeated


def filter_hints(connection: Connection, collection_id: int, node: Node) -> list[str]:
    """A line for each field that no document has, or that has no value of the kind it is compared with."""
    hints: list[str] = []
    known: list[str] | None = None
    for field, asked in _by_field(node).items():
        lacking = [kinds for kinds in asked if not has_kind(connection, collection_id, field, kinds)]
        if not lacking:
            continue
        held = value_kinds(connection, collection_id, field)
        if not held or held == {"object"}:
            known = known_fields(connection, collection_id) if known is None else known
            hints.append(_inner_fields(field, known) if held else _no_field(field, known))
        elif held & KINDS.keys():
            hints.append(_other_kind(field, asked[lacking[0]], held))
        if len(hints) == MAX_HINTS:
            break
    return hints


def asked_kinds(node: Node) -> Iterator[tuple[str, frozenset[str], Value]]:
    """Field, kinds of stored values that would compare (none: any), and the value, for each in a filter."""
    for comparison in comparisons_of(node):
        for value in comparison.values:
            yield comparison.field, kinds_compared(comparison.operator, value), value


def _by_field(node: Node) -> dict[str, dict[frozenset[str], Value]]:
    """Field → kinds that would compare → the first value of the two."""
    fields: dict[str, dict[frozenset[str], Value]] = {}
    for field, kinds, value in asked_kinds(node):
        fields.setdefault(field, {}).setdefault(kinds, value)
    return fields


def _other_kind(field: str, value: Value, held: set[str]) -> str:
    holds = " and ".join(name for kind, name in KINDS.items() if kind in held)
    wrong = "text" if isinstance(value, str) else next(iter(kinds_compared("=", value)))
    return f"the field {_name(field)} holds {holds}, not {KINDS[wrong]}{_remedy(value, held)}"


def _remedy(value: Value, held: set[str]) -> str:
    """How the same would be written as a value of a kind that the field holds."""
    if isinstance(value, str):
        other = _as_number(value) if "number" in held else None
        if "truth" in held and value.lower() in ("true", "false"):
            other = value.lower()
        if other is None and "date" in held and "text" not in held:
            return ": write a date such as 2024-05-31 or 2024-05"
        return "" if other is None else f": write {other} without quotes"
    if "text" in held or ("date" in held and isinstance(value, int) and 1_000 <= value <= 9_999):
        return f": write '{_spell(value)}' in quotes"
    return ""


def _as_number(text: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return text.strip() if isinstance(value, int | float) and not isinstance(value, bool) else None


def _spell(value: Value) -> str:
    if isinstance(value, Date):
        return value.text
    return str(value).lower() if isinstance(value, bool) else str(value)


def _no_field(field: str, known: list[str]) -> str:
    return f"no document has the field {_name(field)}{_near(field, known)}"


def _inner_fields(field: str, known: list[str]) -> str:
    inner = [name for name in known if name.startswith(f"{field}.")]
    return f"the field {_name(field)} holds fields of its own: {_listed(inner)}"


def _near(field: str, known: list[str]) -> str:
    """The names that are spelt about like it; else those that end like it, else some."""
    by_form: dict[str, str] = {}
    for name in known:
        by_form.setdefault(normal_form(name), name)
    form = normal_form(field)
    near = difflib.get_close_matches(form, by_form, NEAR_NAMES)
    near = near or [other for other in by_form if other.rpartition(".")[2] == form][:NEAR_NAMES]
    if near:
        return "; did you mean " + " or ".join(_name(by_form[other]) for other in near) + "?"
    return f"; there are: {_listed(known)}" if known else ""


def _listed(names: list[str]) -> str:
    return ", ".join(map(_shorten, names[:10])) + ", …" * (len(names) > 10)


def _name(field: str) -> str:
    return repr(_shorten(field))


def _shorten(field: str) -> str:
    return field if len(field) <= _LONGEST else field[: _LONGEST - 1] + "…"
