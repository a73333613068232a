"""Choosing the training pairs: how much of each source, without repeats, in a seeded order."""

from __future__ import annotations

import json
import logging
import random
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from data.recipe import sources
from data.recipe.text import Pair

logger = logging.getLogger(__name__)

# Pairs taken of each source at most. Dictionaries and package descriptions carry the breadth (people,
# places, medicine, chemistry, everyday words); manuals and docstrings the technical prose.
LIMITS = {
    "package-list": 75_000,
    "debian": 50_000,
    "wordnet": 112_000,
    "gcide": 40_000,
    "foldoc": 14_000,
    "jargon": 2_200,
    "vera": 3_000,
    "documentation": 45_000,
    "manual": 3_000,
    "ontology": 50_000,
    "factbook": 9_000,
    "docstring": 45_000,
}

_FILES = 600  # of a manual that are read
_PAIRS_PER_MANUAL = 2_500
_SEED = 20_240_607


def build_pairs(work: Path, package_lists: Iterable[Path]) -> list[Pair]:
    """Read every source below ``work`` (laid out by ``fetch.sh``) and choose the pairs, shuffled."""
    readers = list(_readers(work, package_lists))
    by_source: dict[str, dict[str, Pair]] = {}
    for label, read in readers:
        before = sum(map(len, by_source.values()))
        for pair in read():
            if pair is not None:
                by_source.setdefault(pair.source, {}).setdefault(pair.text.lower()[:120] + pair.query, pair)
        logger.info("%s: %d pairs", label, sum(map(len, by_source.values())) - before)
    chooser = random.Random(_SEED)  # noqa: S311 - sampling, not security
    chosen: list[Pair] = []
    for source in sorted(by_source):
        pairs = list(by_source[source].values())
        chooser.shuffle(pairs)
        chosen += pairs[: LIMITS.get(source, 2_000)]
    chooser.shuffle(chosen)
    return chosen


def build_handbook_pairs(folder: Path) -> list[Pair]:
    """Pairs of prose about science, statistics, graphics, music and offices: manuals of applications.

    Every manual below ``folder`` gives the same number of pairs at most, so that none dominates.
    """
    chooser = random.Random(_SEED)  # noqa: S311 - sampling, not security
    chosen: list[Pair] = []
    for manual in sorted(path for path in folder.iterdir() if path.is_dir()):
        found = {pair.text.lower()[:120]: pair for pair in sources.documentation(manual, _FILES) if pair}
        pairs = [replace(pair, source="handbook") for pair in found.values()]
        chooser.shuffle(pairs)
        logger.info("%s: %d pairs", manual.name, min(len(pairs), _PAIRS_PER_MANUAL))
        chosen += pairs[:_PAIRS_PER_MANUAL]
    chooser.shuffle(chosen)
    return chosen


def write_pairs(pairs: Iterable[Pair], path: Path) -> None:
    """One JSON array ``[source, query, text]`` a line."""
    with path.open("w", encoding="utf-8") as out:
        for pair in pairs:
            out.write(json.dumps([pair.source, pair.query, pair.text], ensure_ascii=False) + "\n")


def read_pairs(path: Path) -> list[Pair]:
    """The pairs written by :func:`write_pairs`."""
    with path.open(encoding="utf-8") as lines:
        return [Pair(*json.loads(line)) for line in lines]


def _readers(
    work: Path, package_lists: Iterable[Path]
) -> Iterator[tuple[str, Callable[[], Iterator[Pair | None]]]]:
    share = work / "debian" / "usr" / "share"
    for path in package_lists:
        yield path.name, lambda path=path: sources.package_list(path)
    for path in sorted((work / "lists").glob("*Translation-en*")):
        yield path.name, lambda path=path: sources.debian_descriptions(path)
    yield "wordnet", lambda: sources.wordnet(share / "wordnet")
    for path in sorted((share / "dictd").glob("*.index")):
        yield path.name, lambda path=path: sources.dictd(path)
    for folder in [*sorted((share / "doc").iterdir()), share / "R", share / "perl"]:
        yield f"documentation {folder.name}", lambda folder=folder: sources.documentation(folder)
    yield "manual pages", lambda: sources.man_pages(share / "man")
    for path in sorted((work / "ontology").glob("*.json*")):
        yield path.name, lambda path=path: sources.ontology_json(path)
    for path in sorted((work / "ontology").glob("*.obo")):
        yield path.name, lambda path=path: sources.ontology_obo(path)
    yield "factbook", lambda: sources.factbook(work / "factbook")
    for key in ("stdlib", "purelib"):
        folder = Path(sysconfig.get_path(key))
        yield f"docstrings {key}", lambda folder=folder: sources.docstrings(folder)
