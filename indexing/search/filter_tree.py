"""Filters as trees: what the parser makes of them, and SQL, columns and Python compare by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from indexing.search.filter_values import Value

__all__ = ["And", "Compare", "Node", "Not", "Or", "comparisons_of", "nesting", "simplify"]


@dataclass(frozen=True)
class Compare:
    """`operator` is one of = != < <= > >= like between. A field whose value is a list fulfils it if one of
    the elements does; for `!=`, if none is equal. `between` has both ends as its value, which belong to it.
    """

    field: str
    operator: str
    value: Value | tuple[Value, Value]

    @property
    def values(self) -> tuple[Value, ...]:
        return self.value if isinstance(self.value, tuple) else (self.value,)


@dataclass(frozen=True)
class And:
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    node: Node


Node: TypeAlias = Compare | And | Or | Not


def simplify(node: Node, negated: bool = False) -> Node:
    """The same condition, its contrary if `negated`: `not` stands before comparisons only, no `and` directly
    in an `and`, no `or` in an `or`.
    """
    if isinstance(node, Not):
        return simplify(node.node, not negated)
    if isinstance(node, Compare):
        return Not(node) if negated else node
    kind = And if isinstance(node, And) is not negated else Or
    nodes: list[Node] = []
    for child in node.nodes:
        simple = simplify(child, negated)
        nodes += simple.nodes if isinstance(simple, kind) else [simple]
    return kind(tuple(nodes))


def nesting(node: Node) -> int:
    """What a parser must remember of a simplified condition while it reads it, the deepest part of each `and`
    and `or` first: an open parenthesis, and before every further part the one before it and the word.
    """
    if isinstance(node, Compare | Not):
        return 0
    opened = [nesting(child) + (isinstance(node, And) and isinstance(child, Or)) for child in node.nodes]
    first, *others = sorted(opened, reverse=True)
    return max([first, *(2 + other for other in others)])


def comparisons_of(node: Node) -> list[Compare]:
    """The comparisons of a filter, in order."""
    if isinstance(node, Compare):
        return [node]
    nodes = (node.node,) if isinstance(node, Not) else node.nodes
    return [comparison for child in nodes for comparison in comparisons_of(child)]
