"""By what was judged: answers of similar past questions, of a serving that remembers some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from indexing.catalog.database import reading
from indexing.catalog.moving import present_ids
from indexing.catalog.reads import keys_of_ids
from indexing.search.legs.base import Hits, Kind, Scale, Sources
from indexing.search.request import Request
from indexing.search.timing import Steps

__all__ = ["MemoryLeg"]


@dataclass(frozen=True)
class MemoryLeg:
    """What documents are worth for a question by the judgments of near ones: `worth` of `keys`, ascending."""

    name: ClassVar[str] = "memory"
    kind: ClassVar[Kind] = "frequency"
    usual_weight: ClassVar[float] = 1.0
    lag: ClassVar[int] = 0

    keys: np.ndarray
    worth: np.ndarray

    @classmethod
    def make(cls, sources: Sources, request: Request, steps: Steps) -> MemoryLeg | None:
        """None where the serving has no memory, or one of vectors of another model."""
        memory = sources.settings.memory
        if memory is None or memory.dimension != sources.dimension:
            return None
        vector = sources.vector(request, steps)
        with steps.step("memory"):
            recalled = memory.recall(vector)
            keys: dict[str, int] = {}
            if recalled:
                with reading(sources.database) as connection:
                    live = sources.readers.live
                    artifact = (live.serving.memory or {}).get("artifact", "")
                    present = present_ids(connection, live.state.id, recalled, artifact)
                    recalled = {present[id_]: worth for id_, worth in recalled.items()}
                    keys = keys_of_ids(connection, live.state.id, recalled)
            pairs = sorted((key, recalled[id_]) for id_, key in keys.items())
        return cls(
            np.asarray([key for key, _ in pairs], np.int64),
            np.asarray([worth for _, worth in pairs], np.float32),
        )

    def find(self, k: int, allowed: np.ndarray | None) -> Hits:
        """Those that are worth something; what was judged wrong is not found by it."""
        good = self.worth > 0
        if allowed is not None:
            inside = self.keys < len(allowed)
            good &= inside
            good[inside] &= allowed[self.keys[inside]]
        keys, worth = self.keys[good], self.worth[good]
        order = np.lexsort((keys, -worth))[:k]
        return Hits(keys[order], worth[order], np.full(len(order), -1, np.int64))

    def score(self, documents: np.ndarray, found: Hits) -> Hits:
        scores = np.zeros(len(documents), np.float32)
        if len(self.keys):
            at = np.minimum(np.searchsorted(self.keys, documents), len(self.keys) - 1)
            known = self.keys[at] == documents
            scores[known] = self.worth[at[known]]
        return Hits(documents, scores, np.full(len(documents), -1, np.int64))

    def scale(self) -> Scale:
        """Worth is given in the units that count."""
        return Scale(0.0, 1.0)
