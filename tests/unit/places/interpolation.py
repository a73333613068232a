"""Variables in a compose file, as its specification says: `${A}`, `${A:-else}`, `${A-else}`, `${A:+then}`,
`${A:?message}`, one inside another. What is not chosen is not looked at: nothing is missing there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"\w+")


class Missing(Exception):
    """A variable that must be there is not; compose says so and does nothing."""


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """The tree of a compose file with texts in place of variables. A key of an environment without a value
    takes the variable of its name, and is left out where there is none.
    """
    if isinstance(value, dict):
        return {key: _entry(key, one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [interpolate(one, variables) for one in value]
    return _text(value, variables) if isinstance(value, str) else value


def _entry(key: str, value: Any, variables: Mapping[str, str]) -> Any:
    if key == "environment" and isinstance(value, dict):
        given = {name: variables.get(name) if one is None else one for name, one in value.items()}
        return interpolate({name: one for name, one in given.items() if one is not None}, variables)
    return interpolate(value, variables)


def _text(text: str, variables: Mapping[str, str]) -> str:
    """`text` with each `${…}` replaced; `$$` is a dollar."""
    out, i = [], 0
    while i < len(text):
        if text.startswith("$$", i):
            out.append("$")
            i += 2
        elif text.startswith("${", i):
            end = _end(text, i)
            out.append(_value(text[i + 2 : end], variables))
            i = end + 1
        else:
            out.append(text[i])
            i += 1
    return "".join(out)


def _end(text: str, start: int) -> int:
    """Where the brace after `start` is closed."""
    depth = 0
    for i in range(start, len(text)):
        depth += text.startswith("${", i) - (text[i] == "}")
        if depth == 0:
            return i
    raise ValueError(f"a brace is not closed: {text}")


def _value(inner: str, variables: Mapping[str, str]) -> str:
    match = _NAME.match(inner)
    assert match is not None, inner
    name, rest = match[0], inner[match.end() :]
    given = variables.get(name)
    found = bool(given) if rest.startswith(":") else given is not None
    kind, word = rest.removeprefix(":")[:1], rest.removeprefix(":")[1:]
    if kind == "+":
        return _text(word, variables) if found else ""
    if found:
        return given or ""
    if kind == "-":
        return _text(word, variables)
    if kind == "?":
        raise Missing(f"required variable {name} is missing a value: {word}")
    assert not kind, inner
    return ""
