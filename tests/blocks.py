"""Code blocks of documentation, which tests run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest

from app.cli import main

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


def run_commands(lines: str) -> str:
    """Runs the lines of a block: `stlib` in this process, other programs as such, `export` for the lines that
    follow; variables and the like are replaced by a shell. Returns what was written to stdout.

    Raises:
        AssertionError: a command failed, or complained.
    """
    said = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        show = subprocess.run(
            ["/bin/sh", "-euc", f"set -- {line}\nprintf '%s\\n' \"$@\""],
            capture_output=True,
            text=True,
            check=True,
        )
        program, *arguments = show.stdout.splitlines()
        if program == "export":
            os.environ.update(one.split("=", 1) for one in arguments)
        elif program == "stlib":
            said.append(_run_stlib(arguments))
        else:
            subprocess.run([program, *arguments], check=True)
    return "".join(said)


def _run_stlib(arguments: list[str]) -> str:
    out, complaints = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(complaints), pytest.raises(SystemExit) as end:
        main(arguments)
    code = end.value.code or 0
    assert (code, complaints.getvalue()) == (0, ""), (arguments, complaints.getvalue())
    return out.getvalue()
