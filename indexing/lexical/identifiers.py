"""Names that are one word to a person and several to a tokenizer: `AB-1234/7`, `3.11.4`, `jane@example.com`,
`os.path.join`, `lru_cache`, `getElementById`, `C++`.

Each is a term as a whole, as it stands there in lower case; so are pieces of it that are such names
themselves (`example.com` of an address), and the parts of CamelCase. What stands between other joints is a
word anyway.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from indexing.lexical.folding import fold_marks
from indexing.lexical.runs import cut_runs
from indexing.normal_forms import normal_form

__all__ = ["DASHES", "Identifier", "cut_identifiers", "identifiers"]

_JOINTS = r"-._/@:\\&"
_LETTER = r"[^\W_]"
_NAME = re.compile(
    rf"__{_LETTER}\w*__|{_LETTER}+(?:(?:[{_JOINTS}]{{1,3}}{_LETTER}+)+(?:\+\+|\#)?|(?:\+\+|\#)(?!\w))?"
)
_PLAIN = re.compile(r"[^\W\d_]+(?:-+[^\W\d_]+)*|\d+")  # `high-speed` is words and nothing more
_CUTS = tuple((frozenset(joints), re.compile(f"[{joints}]+")) for joints in (r"/@:\\&", "-", ".", "_"))
_HUMPS = re.compile("[a-z][A-Z]|[A-Z]{2}[a-z]{2}|[A-Za-z][0-9]{3}|[0-9]{3}[A-Za-z]")
_HUMP = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Whether ASCII text may have a name in it at all: most prose has none, and this is five times as fast.
_HINT = re.compile(
    rf"[{_JOINTS}A-Z0-9+#](?:"
    rf"(?<=[0-9A-Za-z{_JOINTS}][._/@:\\&])[0-9A-Za-z{_JOINTS}]"  # joined by anything but a hyphen
    r"|(?<=[0-9A-Za-z-]-)[A-Za-z]*[0-9]|(?<=[0-9])[A-Za-z]*-+[0-9A-Za-z]"  # by a hyphen, with a digit
    r"|(?<=[0-9A-Za-z]\+)\+|(?<=[0-9A-Za-z]#)|(?<=__)[0-9A-Za-z]"
    r"|(?<=[a-z][A-Z])|(?<=[A-Z][A-Z])[a-z]{2}|(?<=[0-9])[0-9]{2}[A-Za-z]|(?<=[A-Za-z][0-9])[0-9]{2})"
)
DASHES = "\u2010\u2011\u2012\u2013\u2212"
"""Written for a hyphen between letters and digits."""
_AS_HYPHENS = str.maketrans(dict.fromkeys(DASHES, "-"))

_LONGEST = 200  # characters; longer ones are data rather than names
_MOST_HUMPS = 8

_plain: set[str] = set()
"""Words seen lately that have no such name in them, so that most words of a text cost one look."""
_MOST_PLAIN = 50_000
_LONGEST_PLAIN = 40


class Identifier(NamedTuple):
    """One name. `wholes`: terms as they are, the name itself first, none where it is one word; `humps`: the
    parts of CamelCase, which still are to be stemmed.
    """

    name: str
    wholes: tuple[str, ...]
    humps: tuple[str, ...]


def identifiers(text: str) -> list[Identifier]:
    """The names in a text, those of equal words once, in a fixed order."""
    text = cut_runs(_hyphenated(text))[0]  # scripts without spaces have no such names
    if text.isascii() and not _HINT.search(text):
        return []
    found: list[Identifier] = []
    for word in sorted(set(text.split()).difference(_plain)):
        names = _names_in(word) if len(word) <= _LONGEST else ()
        if names:
            found += names
        elif len(word) <= _LONGEST_PLAIN:
            if len(_plain) >= _MOST_PLAIN:
                _plain.clear()
            _plain.add(word)
    return found


def cut_identifiers(text: str, most: int) -> tuple[str, list[Identifier]]:
    """A text without the names in it, which leave a space, and the names; after `most` of them they stay."""
    found: list[Identifier] = []
    rest: list[str] = []
    for word in _hyphenated(text).split():
        for part in cut_runs(word)[0].split() if len(word) <= _LONGEST else ():
            for name in _names_in(part) if len(found) < most else ():
                word = word.replace(name.name, " ", 1)
                found.append(name)
        rest.append(word)
    return " ".join(rest), found


def _hyphenated(text: str) -> str:
    """In one width and with one dash."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_AS_HYPHENS)


@lru_cache(maxsize=20_000)
def _names_in(word: str) -> tuple[Identifier, ...]:
    names = (_identifier(match.group()) for match in _NAME.finditer(word))
    return tuple(name for name in names if name is not None)


def _identifier(name: str) -> Identifier | None:
    humps = _humps(name) if _HUMPS.search(name) else []
    wholes = () if name.isalnum() or _PLAIN.fullmatch(name) else tuple(dict.fromkeys(_nested(_fold(name))))
    return Identifier(name, wholes, tuple(humps)) if wholes or humps else None


def _humps(name: str) -> list[str]:
    found = []
    for word in re.findall("[A-Za-z0-9]+", name):
        if _HUMPS.search(word):
            parts = _HUMP.findall(word)
            found += [part.lower() for part in parts if len(part) > 1] if len(parts) <= _MOST_HUMPS else []
    return found


def _nested(name: str) -> list[str]:
    """The name, and what is left of it between ever finer joints, as long as that has joints itself."""
    found, pieces = [name], [name]
    for joints, cut in _CUTS:
        if not joints.isdisjoint(name):
            pieces = [piece for whole in pieces for piece in cut.split(whole)]
            found += [piece for piece in pieces if piece and not piece.isalnum()]
    return found


def _fold(name: str) -> str:
    return name.lower() if name.isascii() else fold_marks(normal_form(name))
