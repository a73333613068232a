"""What is passed over in a folder: hidden names, other people's code, what patterns or `.gitignore` name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from indexing.documents.options import ReadOptions
from indexing.errors import BadInput

__all__ = ["LARGEST_IGNORE_FILE", "Rules", "check_patterns", "read_ignore_file"]

IGNORE_FILES = (".gitignore", ".stlibignore")
LARGEST_IGNORE_FILE = 1 << 20
"""Bytes."""

# Folders that tools fill with copies of what others wrote; nobody means these when naming what lies above.
_VENDORED = frozenset(
    "node_modules bower_components jspm_packages __pycache__ site-packages dist-packages".split()
)
# A file that says the same of the folder it lies in: of a virtual environment, or a cache.
_VENDORED_BY = frozenset(("pyvenv.cfg", "CACHEDIR.TAG"))
_VENDOR_FOLDER, _VENDOR_LISTS = "vendor", frozenset(("modules.txt", "autoload.php"))


@dataclass(frozen=True)
class Rules:
    """What holds in one folder. `ignored` are the ignore files from the root down to it, each with the path
    of its folder below the root.
    """

    options: ReadOptions
    include: GitIgnoreSpec | None
    exclude: GitIgnoreSpec | None
    ignored: tuple[tuple[str, GitIgnoreSpec], ...] = ()

    @classmethod
    def of(cls, options: ReadOptions) -> Rules:
        include = GitIgnoreSpec.from_lines(options.include) if options.include else None
        exclude = GitIgnoreSpec.from_lines(options.exclude) if options.exclude else None
        return cls(options, include, exclude)

    def inside(self, read: Callable[[str], bytes | None], below: str, names: Iterable[str]) -> Rules:
        """The rules within a folder, which holds `names` and whose path below the root is `below`; `read`
        gives what one of these files holds, None where it cannot be read or is too large.
        """
        if not self.options.ignore_files:
            return self
        found = [(below, spec) for name in IGNORE_FILES if name in names if (spec := _patterns(read(name)))]
        return Rules(self.options, self.include, self.exclude, (*self.ignored, *found)) if found else self

    def reason_against(self, path: str, *, folder: bool) -> str | None:
        """Why the entry at `path` below the root is passed over: `hidden`, `vendored`, `excluded` or
        `ignored`; None if it is not.
        """
        name = path.rpartition("/")[2]
        if name.startswith(".") and not self.options.hidden:
            return "hidden"
        if folder and name in _VENDORED and not self.options.vendored:
            return "vendored"
        asked = path + "/" if folder else path
        if self.exclude is not None and self.exclude.check_file(asked).include:
            return "excluded"
        if self.include is not None and not folder and not self.include.check_file(asked).include:
            return "excluded"
        return "ignored" if self._is_ignored(asked) else None

    def _is_ignored(self, path: str) -> bool:
        """As git decides: the last pattern that matches wins, and a file deeper down has the later word."""
        verdict = False
        for below, spec in self.ignored:
            found = spec.check_file(path[len(below) :].lstrip("/")).include
            verdict = verdict if found is None else found
        return verdict

    def is_vendored(self, name: str, names: frozenset[str] | set[str]) -> bool:
        """Whether the folder `name`, which holds `names`, says itself that it is other people's work."""
        if self.options.vendored:
            return False
        lists = name == _VENDOR_FOLDER and not _VENDOR_LISTS.isdisjoint(names)
        return lists or not _VENDORED_BY.isdisjoint(names)


def check_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns that a person gave.

    Raises:
        BadInput: one that is no pattern.
    """
    patterns = tuple(patterns)
    for pattern in patterns:
        try:
            GitIgnoreSpec.from_lines([pattern])
        except ValueError as error:
            raise BadInput(
                f"{pattern!r} is no pattern ({error}): give one as in .gitignore, such as '*.md' or 'drafts/'"
            ) from error
        if not pattern.strip():
            raise BadInput("a pattern is blank: give one as in .gitignore, such as '*.md' or 'drafts/'")
    return patterns


def read_ignore_file(path: Path) -> bytes | None:
    """What it holds; None where it is no file that can be read, or too large."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_IGNORE_FILE:
            return None
        return path.read_bytes()
    except OSError:
        return None


def _patterns(data: bytes | None) -> GitIgnoreSpec | None:
    """The patterns of an ignore file; None where there are none."""
    if not data:
        return None
    kept: list[str] = []
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:  # git passes over what it does not understand
            continue
        kept.append(line)
    spec = GitIgnoreSpec.from_lines(kept)
    return spec if len(spec) else None
