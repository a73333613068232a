"""Metadata filters: `module = 'itertools' and not (kind in ('class', 'method') or version >= 3.12)`.

    filter     := any
    any        := all ("or" all)*
    all        := not ("and" not)*
    not        := "not" not | "(" any ")" | comparison
    comparison := field ("=" | "!=" | "<" | "<=" | ">" | ">=") value
                | field ["not"] "in" "(" value ("," value)* ")"
    field      := name | "quoted name"         name: letters, digits, _ - .
    value      := 'text' | number | true | false | null

Text compares with text and numbers with numbers; a list matches if one of its elements does; `= null` also
matches a missing field. Keywords may be written in any case. `''` inside a text is one quote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from indexing.documents.model import storable_text
from indexing.errors import FilterError

__all__ = [
    "KEYWORDS",
    "And",
    "Compare",
    "Node",
    "Not",
    "Or",
    "Value",
    "comparisons_of",
    "nesting",
    "parse_filter",
    "simplify",
]

Value: TypeAlias = str | int | float | bool | None
KEYWORDS = ("and", "or", "not", "in")  # as names of fields they stand in quotes
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")

# Far beyond what a person writes, and far below Python's recursion limit. SQLite's parser holds 100 symbols;
# what stands around the parentheses of a filter, and the comparison within, take up to 43 of them.
MAX_DEPTH = 50
MAX_LENGTH = 10_000
# SQLite takes expressions of 1000 levels; a chain of "or" is as many levels as it has links.
MAX_COMPARISONS = 500


@dataclass(frozen=True)
class Compare:
    field: str
    operator: str  # one of OPERATORS
    value: Value


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

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.-]))
      | (?P<word>[^\W\d][\w.-]*)
      | (?P<operator>!=|<=|>=|==|<>|=|<|>)
      | (?P<punctuation>[(),])
      | (?P<end>$)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def parse_filter(text: str) -> Node | None:
    """The tree of `text`, simplified; None for an empty filter. The database takes every tree returned.

    Raises:
        FilterError: with the position, what was found there and what was expected.
    """
    if not isinstance(text, str):
        raise FilterError(f'a filter is a text such as "legs = 4", got {type(text).__name__}')
    if len(text) > MAX_LENGTH:
        raise FilterError(f"filter of {len(text)} characters: at most {MAX_LENGTH} are allowed", MAX_LENGTH)
    tokens = _tokenise(storable_text(text))
    if tokens[0].kind == "end":
        return None
    node = simplify(_Parser(tokens).parse())
    if nesting(node) > MAX_DEPTH:
        raise FilterError(
            f"filter: at most {MAX_DEPTH} nested conditions; write it with fewer parentheses", 0
        )
    return node


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


def _tokenise(text: str) -> list[_Token]:
    tokens, position = [], 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise FilterError(f"filter, position {position + 1}: {_unreadable(text[position])}", position)
        token = _Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
        tokens.append(token)
        if token.kind == "end":
            return tokens
        position = match.end()


def _unreadable(character: str) -> str:
    if character == "'":
        return "this text has no closing quote ' (write '' for a quote inside a text)"
    if character == '"':
        return 'this field name has no closing quote "'
    return f"unexpected {character!r}; expected a field, a value, an operator or a parenthesis"


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._comparisons = 0

    def parse(self) -> Node:
        node = self._any()
        if self._peek().kind != "end":
            raise self._expected("'and', 'or' or the end of the filter")
        return node

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _expected(self, what: str) -> FilterError:
        token = self._peek()
        found = "the filter ends here" if token.kind == "end" else f"found {token.text!r}"
        return FilterError(f"filter, position {token.position + 1}: {found}; expected {what}", token.position)

    def _any(self) -> Node:
        nodes = [self._all()]
        while self._peek().is_word("or"):
            self._next()
            nodes.append(self._all())
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _all(self) -> Node:
        nodes = [self._not()]
        while self._peek().is_word("and"):
            self._next()
            nodes.append(self._not())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _not(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._expected(f"at most {MAX_DEPTH} nested conditions")
        try:
            if self._peek().is_word("not"):
                self._next()
                return Not(self._not())
            if self._peek().text == "(":
                self._next()
                node = self._any()
                self._punctuation(")")
                return node
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Node:
        name = self._field()
        if self._peek().is_word("in"):
            self._next()
            return self._in(name)
        if self._peek().is_word("not") and self._tokens[self._at + 1].is_word("in"):
            self._at += 2
            return Not(self._in(name))
        if self._peek().kind != "operator":
            raise self._expected("an operator: =, !=, <, <=, >, >=, in, not in")
        operator = {"==": "=", "<>": "!="}.get(self._peek().text, self._peek().text)
        self._next()
        position = self._at
        value = self._value()
        if operator not in ("=", "!=") and (value is None or isinstance(value, bool)):
            self._at = position
            raise self._expected(f"a text or a number after {operator}")
        return Compare(name, operator, value)

    def _field(self) -> str:
        token = self._peek()
        if token.kind == "quoted":
            self._next()
            return token.text[1:-1].replace('""', '"')
        if token.kind == "word" and not token.is_word(*KEYWORDS):
            self._next()
            return token.text
        raise self._expected("a field name")

    def _in(self, name: str) -> Node:
        self._punctuation("(")
        values = [self._value()]
        while self._peek().text == ",":
            self._next()
            values.append(self._value())
        self._punctuation(")")
        nodes = tuple(Compare(name, "=", value) for value in values)
        return nodes[0] if len(nodes) == 1 else Or(nodes)

    def _punctuation(self, text: str) -> None:
        if self._peek().kind != "punctuation" or self._peek().text != text:
            raise self._expected(repr(text))
        self._next()

    def _value(self) -> Value:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise self._expected(f"at most {MAX_COMPARISONS} comparisons in a filter")
        token = self._peek()
        if token.kind == "text":
            self._next()
            return token.text[1:-1].replace("''", "'")
        if token.kind == "number":
            self._next()
            return _number(token.text)
        if token.is_word("true", "false", "null"):
            self._next()
            return {"true": True, "false": False, "null": None}[token.text.lower()]
        raise self._expected("a value: 'text', a number, true, false or null")


def _number(text: str) -> int | float:
    try:
        number = int(text)
    except ValueError:
        return float(text)
    # SQL integers have 64 bits.
    return number if -(2**63) <= number < 2**63 else float(text)
