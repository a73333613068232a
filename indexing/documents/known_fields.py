"""Which field of a row is the id, the title, the text: by the names that are known, or as a person says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from indexing.documents.options import ReadOptions
from indexing.documents.values import identifies

__all__ = [
    "KNOWN_NAMES",
    "Fields",
    "Plan",
    "UnknownField",
    "check_named",
    "choose_fields",
    "list_names",
    "unique_names",
]

ID_FIELDS = ("id", "_id")
# The first that is filled. A question or a prompt is the title where its answer is the text.
TITLE_FIELDS = ("title", "subject", "headline", "question", "prompt", "instruction", "name")
TEXT_FIELDS = (
    *("text", "contents", "content", "body"),
    *("answer", "answers", "completion", "output", "response"),
    *("passage", "article", "document", "abstract", "description", "summary", "context"),
    *("message", "review", "comment", "sentence"),
)
KNOWN_NAMES = frozenset((*ID_FIELDS, *TITLE_FIELDS, *TEXT_FIELDS))
_ANSWERS = frozenset(("text", "answer", "answers", "completion", "output", "response", "content", "body"))
_LONGEST_NAME = 200
_ASKED = frozenset(("question", "prompt", "instruction"))


class UnknownField(Exception):
    """A field that a person named is not there; the message says which there are."""


@dataclass(frozen=True)
class Fields:
    """Names of a row. `titles` and `texts` are looked at in turn until one is filled; where a person chose
    the texts (`chosen`) all of them are the text, and the other fields are not searched. `rest` are what may
    be metadata.
    """

    id: str | None
    titles: tuple[str, ...]
    texts: tuple[str, ...]
    rest: tuple[str, ...]
    chosen: bool = False
    plans: dict[tuple[str | None, str | None], Plan] = field(default_factory=dict, compare=False, repr=False)

    def plan(self, text: str | None, title: str | None) -> Plan:
        """What becomes of `rest` where these are the text and the title: each name, how its line begins (""
        if it has none) and whether a number in it is looked for by its digits.
        """
        plan = self.plans.get((text, title))
        if plan is None:
            plan = self.plans[text, title] = tuple(
                (name, "" if name == title or self.chosen else f"{name}: ", identifies(name))
                for name in self.rest
                if name != text
            )
        return plan


Plan: TypeAlias = "tuple[tuple[str, str, bool], ...]"


def choose_fields(names: Sequence[str], options: ReadOptions) -> Fields:
    """Choose by name, whatever the case: the known names in their order, or those that a person named.

    A field that was named and is not among `names` is passed over; see `check_named`.
    """
    by_lower = {name.strip().lower(): name for name in reversed(names)}

    def find(known: Iterable[str]) -> tuple[str, ...]:
        return tuple(by_lower[name] for name in known if name in by_lower)

    def named(*wanted: str | None) -> tuple[str, ...]:
        exact = [name if name in names else by_lower.get(name.strip().lower()) for name in wanted if name]
        return tuple(name for name in exact if name is not None)

    own_id = next(iter(find(ID_FIELDS)), None)
    key = next(iter(named(options.id_field)), own_id)
    chosen = named(*options.text_fields)
    texts = chosen or tuple(name for name in find(TEXT_FIELDS) if name != key)
    titles = named(options.title_field) or _titles(find(TITLE_FIELDS), texts, by_lower)
    titles = tuple(name for name in titles if name not in chosen)
    left_out = {
        key if key == own_id else None,
        by_lower.get("title") if by_lower.get("title") in titles else None,
        *chosen,
    }
    rest = tuple(name for name in names if name not in left_out and name.strip())
    if options.text_fields and not chosen:
        texts = ()
    return Fields(key, titles, texts, rest, bool(options.text_fields))


def _titles(found: tuple[str, ...], texts: tuple[str, ...], by_lower: Mapping[str, str]) -> tuple[str, ...]:
    """Titles that go with these texts: a question alone is no title, nor is a prompt without completion."""
    answered = not _ANSWERS.isdisjoint(name.strip().lower() for name in texts)
    return tuple(name for name in found if answered or name.strip().lower() not in _ASKED)


def check_named(options: ReadOptions, names: Iterable[str]) -> None:
    """Raises `UnknownField` if a field that a person named is not among `names`."""
    there = list(dict.fromkeys(names))
    lower = {name.strip().lower() for name in there}
    for name in (*options.text_fields, options.title_field, options.id_field):
        if name and name not in there and name.strip().lower() not in lower:
            raise UnknownField(f"has no field {name!r}; the fields are {list_names(there)}")


def unique_names(names: Sequence[str]) -> list[str]:
    """Names of columns; unnamed and repeated ones get one of their own. A long name is cut, as each row of
    the table repeats it.
    """
    unique: dict[str, None] = {}
    for position, name in enumerate(names, start=1):
        name = name.strip()[:_LONGEST_NAME] or f"column {position}"
        unique[name if name not in unique else f"{name} (column {position})"] = None
    return list(unique)


def list_names(names: Sequence[str]) -> str:
    """Names for a message."""
    return (", ".join(names[:12]) + (", …" if len(names) > 12 else "")) or "none"
