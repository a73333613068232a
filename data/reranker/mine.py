"""Questions with the passages that the project's own index returns for them: what the teacher will score."""

from __future__ import annotations

import json
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.recipe.text import Pair
from indexing import Collection, Document

logger = logging.getLogger(__name__)

# Pairs of each source that are indexed, and of those how many ask a question. Entries of dictionaries and
# package lists make good wrong answers but ask little: their questions are single words.
INDEXED = {"wordnet": 10_000, "package-list": 20_000, "gcide": 15_000, "debian": 30_000, "ontology": 30_000}
ASKING = {"wordnet": 300, "package-list": 1_500, "gcide": 1_000, "ontology": 2_500}
ALL = 40_000
ASKING_OTHERS = 3_000

MAX_CHARACTERS = 1_500
_QUESTION = (8, 300)  # characters
_PASSAGE = 40
# (from rank, to rank, how many): mostly what stands near the top, where the order matters.
RANKS = ((0, 5, 3), (5, 15, 2), (15, 50, 2))
_SEED = 20_240_607


@dataclass(frozen=True)
class Candidates:
    """A question, its own passage first, then others that were found for it."""

    source: str
    query: str
    passages: list[str]


def mine(pairs: Sequence[Pair], limit: int) -> Iterator[Candidates]:
    """Index the passages of ``pairs`` and search them with at most ``limit`` of their questions (hybrid)."""
    chooser = random.Random(_SEED)  # noqa: S311 - sampling, not security
    pairs = capped(usable(pairs, chooser), INDEXED, ALL)
    asking = capped(pairs, ASKING, ASKING_OTHERS)[:limit]
    logger.info("%d passages, %d questions", len(pairs), len(asking))
    with tempfile.TemporaryDirectory() as home, Collection.create("pairs", None, home=home) as collection:
        collection.add(Document(id=str(row), text=pair.text) for row, pair in enumerate(pairs))
        for pair in asking:
            found = [result.text for result in collection.search(pair.query, k=RANKS[-1][1] + 1).results]
            others = [text for text in dict.fromkeys(found) if text != pair.text]
            if len(others) >= RANKS[-1][1] // 2:
                yield Candidates(pair.source, pair.query, [pair.text, *chosen_of(others, chooser)])


def write_candidates(rows: Iterator[Candidates], path: Path) -> None:
    """One JSON array ``[source, query, passages]`` a line; the file appears when it is whole."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps([row.source, row.query, row.passages], ensure_ascii=False) + "\n")
    temporary.rename(path)


def read_candidates(path: Path) -> list[Candidates]:
    """The rows written by :func:`write_candidates`."""
    with path.open(encoding="utf-8") as lines:
        return [Candidates(*json.loads(line)) for line in lines]


def usable(pairs: Sequence[Pair], chooser: random.Random) -> list[Pair]:
    least, most = _QUESTION
    cut = [Pair(pair.source, pair.query, pair.text[:MAX_CHARACTERS]) for pair in pairs]
    kept = [
        pair
        for pair in cut
        if least <= len(pair.query) <= most and len(pair.text) >= _PASSAGE and pair.query != pair.text
    ]
    chooser.shuffle(kept)
    return kept


def capped(pairs: Sequence[Pair], limits: dict[str, int], usual: int) -> list[Pair]:
    seen: Counter[str] = Counter()
    kept = []
    for pair in pairs:
        seen[pair.source] += 1
        if seen[pair.source] <= limits.get(pair.source, usual):
            kept.append(pair)
    return kept


def chosen_of(found: Sequence[str], chooser: random.Random) -> list[str]:
    chosen: list[str] = []
    for start, stop, count in RANKS:
        among = found[start:stop]
        chosen += chooser.sample(among, min(count, len(among)))
    return chosen
