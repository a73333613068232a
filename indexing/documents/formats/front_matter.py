"""The fields that stand before a Markdown text: YAML between lines of `---`, TOML between lines of `+++`."""

from __future__ import annotations

import re
import sys
from typing import Any, NamedTuple

import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["FrontMatter", "split_front_matter"]

_LIMIT = 2**20
# The marks may have blanks after them; `...` ends YAML as well, and so does the end of the file after a mark.
_YAML = re.compile(r"---[ \t]*\n(?:(.*?)\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TOML = re.compile(r"\+\+\+[ \t]*\n(?:(.*?)\n)??\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"\s*(?:[\w.-]+[ \t]*[:=]|#)")
# A colon in a title that has no quotes is the usual reason why YAML is not valid.
_TITLE = re.compile(r"""^title[ \t]*[:=][ \t]*["']?([^\s\[{&*!|>"'].*?)["']?[ \t]*$""", re.MULTILINE)
_REFERENCE = re.compile(r"(?:^|[\s\[{,:-])\*\w")
# Fields that refer to fields that refer to fields have no end to their size.
_MOST_REFERENCES = 20
_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FrontMatter(NamedTuple):
    """`fields` by name; `kept` is what could not be read as fields and is part of the text; `rest` the text
    after it, which begins at `line` of the file; `note` is what a person should know.
    """

    fields: dict[str, Any]
    kept: str
    rest: str
    line: int
    note: str = ""


def split_front_matter(text: str) -> FrontMatter:
    """What stands before the text. What is not valid there stays in the text as it is written."""
    for pattern, language, parse in ((_YAML, "YAML", _parse_yaml), (_TOML, "TOML", _parse_toml)):
        found = pattern.match(text, 0, _LIMIT)
        if found is None:
            continue
        inside, rest = found.group(1) or "", text[found.end() :]
        line = found.group().count("\n") + 1
        try:
            fields = parse(inside)
        except ValueError:
            if not _FIELD.match(inside):
                continue  # a text between two rules
            title = _TITLE.search(inside)
            note = f"the front matter is not valid {language}: it was read as text"
            return FrontMatter({"title": title.group(1)} if title else {}, inside, rest, line, note)
        if fields is None:
            continue
        return FrontMatter(fields, "", rest, line)
    return FrontMatter({}, "", text, 1)


def _parse_yaml(text: str) -> dict[str, Any] | None:
    """None for what is YAML, but no fields. Raises `ValueError`."""
    if len(_REFERENCE.findall(text)) > _MOST_REFERENCES:
        raise ValueError("too many references")
    try:
        front = yaml.load(text, _SAFE)  # noqa: S506 - a safe loader, in C where there is one
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if front is None:
        return {}
    return {str(name): value for name, value in front.items()} if isinstance(front, dict) else None


def _parse_toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error
