"""A filter tree as a SQL condition on the document table. Values and field names are bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, and_, case, false, literal, not_, or_, select, true

from indexing.catalog.log import slices
from indexing.catalog.schema import DocumentRow
from indexing.catalog.sqlite import flat_members, form_of, is_like, members, moment_of
from indexing.search.filter_tree import And, Compare, Node, Not, Or, nesting
from indexing.search.filter_values import Date, Text, Value, read_text

__all__ = ["condition", "has_kind", "known_fields", "matching_keys", "value_kinds"]

MAX_FIELDS = 1_000

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
# Types as SQLite's json_each names them
_NUMBERS = ("integer", "real")
_TYPE_OF_CONSTANT = {None: "null", True: "true", False: "false"}


def matching_keys(
    connection: Connection, collection_id: int, node: Node, among: Iterable[int] | None = None
) -> np.ndarray:
    """Keys of the live documents (only those `among` these, if given) that match, ascending, int64."""
    statement = (
        select(DocumentRow.key)
        .where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted, condition(node))
        .order_by(DocumentRow.key)
    )
    if among is None:
        return np.asarray(connection.scalars(statement).all(), dtype=np.int64)
    parts = (connection.scalars(statement.where(DocumentRow.key.in_(part))).all() for part in slices(among))
    return np.sort(np.asarray([key for part in parts for key in part], dtype=np.int64))


def has_kind(connection: Connection, collection_id: int, field: str, kinds: Iterable[str]) -> bool:
    """Whether a live document has a value of one of these kinds in `field` (none: any value); quick where
    many have.
    """
    member = _members(field)
    element = members(member.c.value, "e")
    match: ColumnElement[bool] = member.c.key == field
    if kinds := list(kinds):
        in_list = select(literal(1)).select_from(element).where(_kind(element).in_(kinds)).exists()
        match = and_(match, or_(_kind(member).in_(kinds), and_(member.c.type == "array", in_list)))
    found = select(literal(1)).select_from(member).where(match).exists()
    live = select(literal(1)).where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
    return connection.execute(live.where(found).limit(1)).first() is not None


def value_kinds(connection: Connection, collection_id: int, field: str) -> set[str]:
    """The kinds of values (see `kinds_compared`) that live documents have in `field`, also "null", "object"
    and "array"; those of elements of lists too. Reads all.
    """
    member = _members(field)
    element = members(member.c.value, "e")
    live = (DocumentRow.collection_id == collection_id, ~DocumentRow.deleted, member.c.key == field)
    values = select(_kind(member)).select_from(DocumentRow).join(member, true()).where(*live).distinct()
    elements = (
        select(_kind(element))
        .select_from(DocumentRow)
        .join(member, true())
        .join(element, true())
        .where(*live, member.c.type == "array")
        .distinct()
    )
    return {*connection.scalars(values), *connection.scalars(elements)}


def _kind(row: Any) -> Any:
    text = case((moment_of(row.c.value).is_(None), "text"), else_="date")
    kinds = {
        **dict.fromkeys(_NUMBERS, literal("number")),
        **dict.fromkeys(("true", "false"), literal("truth")),
    }
    return case({"text": text, **kinds}, value=row.c.type, else_=row.c.type)


def known_fields(connection: Connection, collection_id: int) -> list[str]:
    """The names of up to MAX_FIELDS metadata fields, in order."""
    member = flat_members(DocumentRow.meta, "m")
    statement = (
        select(member.c.key)
        .select_from(DocumentRow)
        .join(member, true())
        .where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
        .distinct()
        .limit(MAX_FIELDS)
    )
    return sorted(map(str, connection.scalars(statement)))


def condition(node: Node) -> ColumnElement[bool]:
    """The SQL condition of `node`; never NULL, so that `not` means the complement.

    Of an `and` or `or` the deepest part is written first: SQLite's parser remembers no more than 100 symbols.
    What asks a field for one of many values becomes one look at the field.
    """
    if isinstance(node, And | Or):
        negated = isinstance(node, And)
        values, others = _equalities(node.nodes, negated)
        parts = [condition(other) for other in sorted(others, key=nesting, reverse=True)]
        looks = [_is_one_of(field, wanted) for field, wanted in values.items()]
        return and_(*parts, *map(not_, looks)) if negated else or_(*parts, *looks)
    if isinstance(node, Not):
        return not_(condition(node.node))
    if node.operator == "=":
        return _is_one_of(node.field, [node.values[0]])
    if node.operator == "!=":
        return not_(_is_one_of(node.field, [node.values[0]]))
    return _has(node.field, lambda row: _fulfils(row, node))


def _equalities(nodes: Iterable[Node], negated: bool) -> tuple[dict[str, list[Value]], list[Node]]:
    """The values that `nodes` ask a field to have (`negated`: not to have), by field; and the other nodes."""
    values: dict[str, list[Value]] = {}
    others: list[Node] = []
    for node in nodes:
        inner = node.node if negated and isinstance(node, Not) else node
        operator = "!=" if negated and inner is node else "="
        if isinstance(inner, Compare) and inner.operator == operator:
            values.setdefault(inner.field, []).append(inner.values[0])
        else:
            others.append(node)
    return values, others


def _members(field: str) -> Any:
    """The members of metadata, among which there can be `field`: a name with a dot may be that of a member of
    a member.
    """
    return (flat_members if "." in field else members)(DocumentRow.meta, "m")


def _field_exists(field: str) -> ColumnElement[bool]:
    member = _members(field)
    return select(literal(1)).select_from(member).where(member.c.key == field).exists()


def _is_one_of(field: str, values: Sequence[Value]) -> ColumnElement[bool]:
    """True if the field, or one element of it when it is a list, is one of `values`; null is missing."""
    found = _has(field, lambda row: _equals(row, values))
    return or_(not_(_field_exists(field)), found) if None in values else found


def _has(field: str, matches: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    """True if the row of the field's value, or that of one of its elements when it is a list, `matches`."""
    member = _members(field)
    element = members(member.c.value, "e")
    in_list = select(literal(1)).select_from(element).where(matches(element)).exists()
    match = or_(
        and_(member.c.type.not_in(("array", "object")), matches(member)),
        and_(member.c.type == "array", in_list),
    )
    return select(literal(1)).select_from(member).where(member.c.key == field, match).exists()


def _equals(row: Any, values: Sequence[Value]) -> ColumnElement[bool]:
    types = [_TYPE_OF_CONSTANT[value] for value in values if value is None or isinstance(value, bool)]
    texts = [read_text(value) for value in values if isinstance(value, str | Date)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return or_(
        *([row.c.type.in_(types)] if types else []),
        *([and_(row.c.type == "text", _is_one_text(row.c.value, texts))] if texts else []),
        *([and_(row.c.type.in_(_NUMBERS), row.c.value.in_(numbers))] if numbers else []),
    )


def _is_one_text(value: Any, texts: Sequence[Text]) -> ColumnElement[bool]:
    forms = [text.form for text in texts if text.form is not None]
    moment = moment_of(value)
    spans = [moment.between(text.span.start, text.span.end - 1) for text in texts if text.span]
    return or_(*([form_of(value).in_(forms)] if forms else []), *spans) if forms or spans else false()


def _fulfils(row: Any, node: Compare) -> ColumnElement[bool]:
    """Whether one value does, for other operators than = and !=. May be NULL for false."""
    if node.operator == "like":
        return and_(row.c.type == "text", is_like(row.c.value, str(node.value)))
    if node.operator == "between":
        low, high = node.values
        return and_(_is_beyond(row, ">=", low), _is_beyond(row, "<=", high))
    return _is_beyond(row, node.operator, node.values[0])


def _is_beyond(row: Any, operator: str, value: Value) -> ColumnElement[bool]:
    if isinstance(value, str | Date):
        return and_(row.c.type == "text", _is_text_beyond(row.c.value, operator, read_text(value)))
    return and_(row.c.type.in_(_NUMBERS), _OPERATORS[operator](row.c.value, literal(value)))


def _is_text_beyond(value: Any, operator: str, text: Text) -> ColumnElement[bool]:
    """A date compares with dates in time; anything else as text."""
    compare = _OPERATORS[operator]
    as_text = false() if text.form is None else compare(form_of(value), literal(text.form))
    if text.span is None:
        return as_text
    operator, bound = text.span.bound(operator)
    in_time = _OPERATORS[operator](moment_of(value), bound)
    return in_time if text.form is None else or_(in_time, and_(moment_of(value).is_(None), as_text))
