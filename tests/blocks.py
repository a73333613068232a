"""Code blocks of documentation, which tests run as they stand."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def blocks(path: Path, heading: str, language: str = "python") -> list[str]:
    """The fenced blocks of a language under a heading, up to the next one."""
    text = path.read_text("utf-8")
    # A comment in a block is no heading.
    bare = _FENCED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    places = [(found[1], found.end()) for found in _HEADING.finditer(bare)] + [("", len(text))]
    for (name, start), (_, end) in pairwise(places):
        if name == heading:
            return [code for found, code in _FENCED.findall(text[start:end]) if found == language]
    raise AssertionError(f"{path.name} has no heading {heading!r}: {[name for name, _ in places]}")


def run(codes: list[str], name: str) -> dict[str, object]:
    """Runs blocks one after the other, as one program; returns its names."""
    names: dict[str, object] = {"__name__": name}
    for number, code in enumerate(codes):
        exec(compile(code, f"{name}, block {number + 1}", "exec"), names)
    return names
