"""Metadata filters: `module = 'itertools' and not (kind in ('class', 'method') or version >= 3.12)`.

    filter     := any
    any        := all ("or" all)*
    all        := not ("and" not)*
    not        := "not" not | "(" any ")" | comparison
    comparison := field ("=" | "!=" | "<" | "<=" | ">" | ">=") value
                | field ["not"] "in" values
                | field ["not"] "like" text
                | field ["not"] "between" value "and" value
                | field ["not"] "has" (value | ("any" | "all") values)
                | field "is" ["not"] "null"
    values     := "(" value ("," value)* ")"
    field      := name | "quoted name"         name: letters, digits, _ - .
    value      := 'text' | "text" | number | date | true | false | null
    date       := 2024-05 | 2024-05-01 | 2024-05-01T10:00 | 2024-05-01T10:00:00.5+02:00

*Texts* compare in their normal form: case, width, ways of writing accents and characters that are not seen
make no difference (`city = 'münchen'` finds `München`), accents do. Their order is that of code points.

*Dates* in metadata are ISO 8601 texts, and compare in time; without a zone they are UTC. A date in a filter
is the whole of it: `= 2024-05-01` is any time of that day, `<= 2024-05-01` includes the day, `> 2024-05-01`
begins after it, `between 2024-01-01 and 2024-03-31` includes both days; `2024-05` is the month. With quotes
the same compares with other texts too, as text, and `'2024'` is the year.

`like` takes `%` for any characters and `_` for one; `\\%` and `\\_` are these characters themselves.

Numbers compare with numbers, true and false with themselves. *Lists* fulfil a comparison if one of their
elements does, for `between` one that lies between; `has` is `=`, `has any` is `in`, `has all` asks for each.
`= null`, or `is null`, also matches a missing field. *Nested objects* have a name with dots: `author.name`.
Keywords may be written in any case; a quote inside a text is written twice.
"""

from __future__ import annotations

from indexing.documents.model import storable_text
from indexing.errors import FilterError
from indexing.search.filter_dates import span_of
from indexing.search.filter_tokens import Token, tokenise
from indexing.search.filter_tree import And, Compare, Node, Not, Or, comparisons_of, nesting, simplify
from indexing.search.filter_values import Date, Value, read_text

__all__ = [
    "KEYWORDS",
    "And",
    "Compare",
    "Date",
    "Node",
    "Not",
    "Or",
    "Value",
    "comparisons_of",
    "nesting",
    "parse_filter",
    "simplify",
]

KEYWORDS = ("and", "or", "not", "in")  # as names of fields they stand in quotes
_OPERATORS = "=, !=, <, <=, >, >=, in, like, between, has, is null"

# Far beyond what a person writes, and far below Python's recursion limit. SQLite's parser holds 100 symbols;
# what stands around the parentheses of a filter, and the comparison within, take up to 43 of them.
MAX_DEPTH = 50
MAX_LENGTH = 10_000
# SQLite takes expressions of 1000 levels; a chain of "or" is as many levels as it has links.
MAX_COMPARISONS = 500

# What other languages call it
_ALSO_CALLED = {
    "contains": "write has 'x' for an element of a list, like '%x%' for a part of a text",
    "includes": "write has 'x' for an element of a list, like '%x%' for a part of a text",
    "ilike": "write like, which makes no difference of case",
    "matches": "write like, with % for any characters",
    "startswith": "write like 'x%'",
    "endswith": "write like '%x'",
    "eq": "write =",
    "equals": "write =",
    "exists": "write is not null",
}


def parse_filter(text: str) -> Node | None:
    """The tree of `text`, simplified; None for an empty filter. The database takes every tree returned.

    Raises:
        FilterError: with the position, what was found there and what was expected.
    """
    if not isinstance(text, str):
        raise FilterError(f'a filter is a text such as "legs = 4", got {type(text).__name__}')
    if len(text) > MAX_LENGTH:
        raise FilterError(f"filter of {len(text)} characters: at most {MAX_LENGTH} are allowed", MAX_LENGTH)
    tokens = tokenise(storable_text(text))
    if tokens[0].kind == "end":
        return None
    node = simplify(_Parser(tokens).parse())
    if nesting(node) > MAX_DEPTH:
        raise FilterError(
            f"filter: at most {MAX_DEPTH} nested conditions; write it with fewer parentheses", 0
        )
    return node


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._comparisons = 0

    def parse(self) -> Node:
        node = self._any()
        if self._peek().kind != "end":
            raise self._expected("'and', 'or' or the end of the filter")
        return node

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _takes(self, *words: str) -> bool:
        """Whether these words come next, which are taken then."""
        here = self._tokens[self._at : self._at + len(words)]
        if not all(token.is_word(word) for token, word in zip(here, words, strict=False)):
            return False
        self._at += len(here)
        return True

    def _expected(self, what: str, tip: str = "") -> FilterError:
        token = self._peek()
        found = "the filter ends here" if token.kind == "end" else f"found {token.text!r}"
        more = f"; {tip}" if tip else ""
        return FilterError(
            f"filter, position {token.position + 1}: {found}; expected {what}{more}", token.position
        )

    def _any(self) -> Node:
        nodes = [self._all()]
        while self._takes("or"):
            nodes.append(self._all())
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _all(self) -> Node:
        nodes = [self._not()]
        while self._takes("and"):
            nodes.append(self._not())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _not(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._expected(f"at most {MAX_DEPTH} nested conditions")
        try:
            if self._takes("not"):
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
        if self._peek().kind == "operator":
            return self._ordered(name)
        if self._takes("is"):
            return self._is_null(name)
        negated = self._takes("not")
        node = self._by_word(name, negated)
        return Not(node) if negated else node

    def _field(self) -> str:
        token = self._peek()
        if token.kind == "quoted":
            return self._next().unquoted
        if token.kind == "word" and not token.is_word(*KEYWORDS):
            return self._next().text
        if token.kind == "text":
            raise self._expected("a field name", 'in double quotes it is one: "name"')
        raise self._expected("a field name")

    def _ordered(self, name: str) -> Node:
        written = self._next().text
        operator = {"==": "=", "<>": "!="}.get(written, written)
        value = self._value() if operator in ("=", "!=") else self._bound(f"after {operator}")
        return Compare(name, operator, value)

    def _is_null(self, name: str) -> Node:
        operator = "!=" if self._takes("not") else "="
        if not self._takes("null"):
            raise self._expected("null", "other values are compared with = and !=")
        self._count()
        return Compare(name, operator, None)

    def _by_word(self, name: str, negated: bool) -> Node:
        if self._takes("in"):
            return _one_of(name, self._values())
        if self._takes("like"):
            return self._like(name)
        if self._takes("between"):
            return self._between(name)
        if self._takes("has", "any"):
            return _one_of(name, self._values())
        if self._takes("has", "all"):
            values = [Compare(name, "=", value) for value in self._values()]
            return values[0] if len(values) == 1 else And(tuple(values))
        if self._takes("has"):
            return Compare(name, "=", self._value())
        if negated:
            raise self._expected("in, like, between or has after 'not'")
        raise self._expected(f"an operator: {_OPERATORS}", _ALSO_CALLED.get(self._peek().text.lower(), ""))

    def _like(self, name: str) -> Node:
        self._count()
        if self._peek().kind not in ("text", "quoted"):
            raise self._expected("a text after like", "% in it is any number of characters, _ one")
        return Compare(name, "like", self._next().unquoted)

    def _between(self, name: str) -> Node:
        first = self._peek()
        low = self._bound("after between")
        if not self._takes("and"):
            raise self._expected("'and' and the second value of between")
        second = self._at
        high = self._bound("after and")
        if isinstance(low, str | Date) != isinstance(high, str | Date):
            self._at = second
            raise self._expected(f"a value that compares with {first.text}")
        if _is_beyond(low, high):
            self._at = second
            raise self._expected(f"a value not below {first.text}", "the smaller one comes first")
        return Compare(name, "between", (low, high))

    def _bound(self, where: str) -> str | int | float | Date:
        position = self._at
        value = self._value()
        if value is None or isinstance(value, bool):
            self._at = position
            raise self._expected(f"a text, a number or a date {where}")
        return value

    def _values(self) -> list[Value]:
        self._punctuation("(")
        values = [self._value()]
        while self._peek().text == ",":
            self._next()
            values.append(self._value())
        self._punctuation(")")
        return values

    def _punctuation(self, text: str) -> None:
        if self._peek().kind != "punctuation" or self._peek().text != text:
            raise self._expected(repr(text))
        self._next()

    def _count(self) -> None:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise self._expected(f"at most {MAX_COMPARISONS} comparisons in a filter")

    def _value(self) -> Value:
        self._count()
        token = self._peek()
        if token.kind in ("text", "quoted"):
            return self._next().unquoted
        if token.kind == "number":
            return _number(self._next().text)
        if token.kind == "date" and span_of(token.text):
            return Date(self._next().text)
        if token.is_word("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[self._next().text.lower()]
        raise self._expected("a value: 'text', a number, a date, true, false or null", _tip(token))


def _one_of(name: str, values: list[Value]) -> Node:
    nodes = tuple(Compare(name, "=", value) for value in values)
    return nodes[0] if len(nodes) == 1 else Or(nodes)


def _is_beyond(low: str | int | float | Date, high: str | int | float | Date) -> bool:
    """Whether nothing can lie between, as the two are the wrong way round."""
    if isinstance(low, str | Date) or isinstance(high, str | Date):
        one, other = (read_text(value) for value in (low, high) if isinstance(value, str | Date))
        if one.span and other.span:
            return one.span.start >= other.span.end
        return one.form is not None and other.form is not None and one.form > other.form
    return low > high


def _tip(token: Token) -> str:
    if token.kind == "word":
        return f"a text stands in quotes: '{token.text}'"
    if token.kind == "date":
        return "there is no such day or time"
    if token.kind == "odd":
        return "a date is written 2024-05-31 or 2024-05-31T10:00:00Z, anything else in quotes"
    return ""


def _number(text: str) -> int | float:
    try:
        number = int(text)
    except ValueError:
        return float(text)
    # SQL integers have 64 bits.
    return number if -(2**63) <= number < 2**63 else float(text)
