"""Queries filled up with a mask token, as late-interaction models use it.

Source: Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late
Interaction over BERT", SIGIR 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stlib.errors import ModelConfigError
from stlib.runtime.files import read_object
from stlib.runtime.positions import text_positions

STRATEGIES = ("fixed", "min")
_KEYS = {"strategy", "length", "attend", "token"}
# Of tokenizers that do not say which token they mask by: BERT's and RoBERTa's.
_USUAL_MASKS = ("[MASK]", "<mask>")
_MOST = 2**16  # tokens of a query, where the model does not tell how many it reads


@dataclass(frozen=True)
class Expansion:
    """How queries are filled up.

    Attributes:
        strategy: ``"fixed"``: every query has ``length`` tokens, special ones included; ``"min"``: at least.
        length: see there.
        attend: whether the model attends to the added tokens; it gives vectors for them either way.
        token_id: what is added.
    """

    strategy: str
    length: int
    attend: bool
    token_id: int

    def limit(self, max_length: int | None) -> int | None:
        """Tokens kept of a query, its own limit being ``max_length``; None leaves it to the model."""
        if self.strategy == "fixed":
            return self.length
        return None if max_length is None else max(max_length, self.length)


def read_expansion(given: Any, folder: Path, id_of: Callable[[str], int | None]) -> Expansion | None:
    """The settings ``query_expansion`` of a transformer in ``folder``; None for none.

    Raises:
        ModelConfigError: they are malformed, or the tokenizer does not know the token.
    """
    if given is None or given == {}:
        return None
    if not isinstance(given, dict) or set(given) - _KEYS:
        raise ModelConfigError(
            f"{folder}: query_expansion={given!r}; allowed is an object of {', '.join(sorted(_KEYS))}"
        )
    strategy, length, attend = given.get("strategy"), given.get("length"), given.get("attend", False)
    if strategy not in STRATEGIES or not isinstance(attend, bool):
        raise ModelConfigError(
            f"{folder}: query_expansion={given!r}; its strategy is one of {', '.join(STRATEGIES)} and its "
            "attend true or false"
        )
    most = text_positions(read_object(folder / "config.json")) or _MOST
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= most:
        raise ModelConfigError(
            f"{folder}: query_expansion={given!r}; its length is a whole number of tokens from 1 to {most}"
        )
    token = given.get("token")
    names = _mask_tokens(folder) if token is None else [token]
    found = next((i for name in names if (i := id_of(name)) is not None), None)
    if found is None:
        raise ModelConfigError(
            f"{folder}: query_expansion={given!r} names no token that tokenizer.json has; name one as 'token'"
        )
    return Expansion(strategy, length, attend, found)


def _mask_tokens(folder: Path) -> Iterable[str]:
    """Tokens that a tokenizer may mean by its mask, or else by its end, in that order."""
    files = [read_object(folder / name) for name in ("tokenizer_config.json", "special_tokens_map.json")]
    for key, usual in (("mask_token", _USUAL_MASKS), ("eos_token", ())):
        for file in files:
            token = file.get(key)
            text = token.get("content") if isinstance(token, dict) else token
            if isinstance(text, str):
                yield text
        yield from usual
