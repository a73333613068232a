"""How many answers to past questions would change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.tuning.gate.model import ReplayChange
from app.tuning.gate.test import DEPTH

if TYPE_CHECKING:
    from indexing import Collection

__all__ = ["replay_questions"]


def replay_questions(
    collection: Collection, texts: Sequence[str], baseline: int, candidate: int, mode: str = "hybrid"
) -> ReplayChange | None:
    """Asks both servings past questions; None without any. Of the best ten counts which documents they are,
    not their order.
    """
    asked = {text: text for text in texts if text.strip()}
    if not asked:
        return None
    before = collection.rankings(asked, mode=mode, depth=DEPTH, serving=baseline)
    after = collection.rankings(asked, mode=mode, depth=DEPTH, serving=candidate)
    first = sum(before[text][:1] != after[text][:1] for text in asked)
    ten = sum(len(set(after[text]) - set(before[text])) / len(after[text]) for text in asked if after[text])
    return ReplayChange(len(asked), first / len(asked), ten / len(asked))
