"""A filter cut into words, texts, numbers, dates and signs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from indexing.errors import FilterError

__all__ = ["Token", "tokenise"]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<date>\d{4}-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)?(?![\w.:+-]))
      | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?(?![\w.:-]))
      | (?P<odd>[-+]?\d[\w.:/+-]*)
      | (?P<word>[^\W\d][\w.-]*)
      | (?P<operator>!=|<=|>=|==|<>|=|<|>)
      | (?P<punctuation>[(),])
      | (?P<end>$)
    )""",
    re.VERBOSE | re.IGNORECASE,
)

_UNCLOSED = {
    "'": "this text has no closing quote ' (write '' for a quote inside a text)",
    '"': 'this text or field name has no closing quote " (write "" for a quote inside it)',
}
_TIPS = {
    **dict.fromkeys("“”„‟«»‘’‚‛", "this is a curly quote; texts stand in straight ones, 'so'"),
    "&": "write 'and' between two conditions",
    "|": "write 'or' between two conditions",
    "!": "write 'not' before a condition, or != between field and value",
    ":": "write = between field and value",
    "~": "write like '%part%' for a part of a text",
    "[": "a list of values stands in parentheses: in ('a', 'b')",
    "{": "a filter of this form is for Python; write field = 'value' here",
    "/": "write like '%part%' for a part of a text",
    "*": "write like '%' with % for any characters",
}


@dataclass(frozen=True)
class Token:
    """`kind` is a name of a group above; `position` its first character, from 0."""

    kind: str
    text: str
    position: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words

    @property
    def unquoted(self) -> str:
        """Of a text, or a name in quotes: what stands within."""
        quote = self.text[0]
        return self.text[1:-1].replace(quote * 2, quote)


def tokenise(text: str) -> list[Token]:
    """The tokens of a filter; the last one is its end.

    Raises:
        FilterError: with the position of what is none.
    """
    tokens, position = [], 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise FilterError(f"filter, position {position + 1}: {_unreadable(text[position])}", position)
        token = Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
        tokens.append(token)
        if token.kind == "end":
            return tokens
        position = match.end()


def _unreadable(character: str) -> str:
    if character in _UNCLOSED:
        return _UNCLOSED[character]
    what = _TIPS.get(character, "expected a field, a value, an operator or a parenthesis")
    return f"unexpected {character!r}; {what}"
