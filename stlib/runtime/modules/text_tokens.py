"""Texts to padded token ids, as a transformer wants them, with the settings that lie beside a model.

Special tokens, truncation and padding are added here rather than by the tokenizer: its own settings would be
shared by all threads, and its plain ids come from the faster :class:`~stlib.runtime.words.TokenReader`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, normalizers

from stlib.errors import ModelConfigError
from stlib.runtime.files import read_object
from stlib.runtime.modules.base import EXPANDED, Features
from stlib.runtime.modules.expansion import Expansion
from stlib.runtime.modules.static import read_tokenizer
from stlib.runtime.positions import text_positions
from stlib.runtime.words import TokenReader
from stlib.util.config_keys import PROCESSING_GROUPS, drop_unknown_keys
from stlib.util.panics import TOKENISING

# Tokens of one batch: the activations of a layer stay in the caches of one core.
MAX_TOKENS = 512
# Below this, texts of different lengths share a batch: a run's fixed cost is larger than the padding's.
MIN_TOKENS = 128

_SIDES = ("left", "right")
_NO_LIMIT = 10**9  # greater numbers limit nothing; transformers writes 10**30


@dataclass(frozen=True)
class TokenSettings:
    """How token ids of single texts become rows of a batch.

    Attributes:
        max_length: tokens kept per text, special ones included; None without a limit.
        padding_side: ``"left"`` or ``"right"``.
        truncation_side: the end at which long texts are cut.
        pad_id: what fills up shorter rows.
        add_special_tokens: put the model's own tokens around each text.
    """

    max_length: int | None = None
    padding_side: str = "right"
    truncation_side: str = "right"
    pad_id: int = 0
    add_special_tokens: bool = True


class TextTokens:
    """Makes batches of token ids from texts.

    Args:
        tokenizer: neither pads nor truncates.
        settings: see there.
        digest: what the tokenizer is known by in a fingerprint.
    """

    def __init__(self, tokenizer: Tokenizer, settings: TokenSettings, digest: str) -> None:
        self.settings = settings
        self.digest = digest
        self.reader = TokenReader(tokenizer)
        self._special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        with TOKENISING:
            self._before, self._after = _surroundings(tokenizer) if settings.add_special_tokens else ([], [])

    def batches(
        self,
        texts: list[str],
        prompt: str = "",
        max_length: int | None = None,
        alone: bool = False,
        expansion: Expansion | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], Features]]:
        """Which of the texts, longest first, and their ``input_ids`` and ``attention_mask [n, tokens]``.

        Args:
            texts: any number; each is in exactly one batch.
            prompt: put in front of each text; its length in tokens becomes ``prompt_length``.
            max_length: wins over that of the settings.
            alone: every text is a batch by itself.
            expansion: how each text is filled up; where is told as ``query_expansion_positions``.
        """
        room = self._room(max_length, expansion)
        flat, lengths = self.reader.ids([prompt + text for text in texts] if prompt else texts)
        begins = np.cumsum(lengths) - lengths
        kept = lengths if room is None else np.minimum(lengths, room)
        if self.settings.truncation_side == "left":
            begins = begins + lengths - kept
        extra = {"prompt_length": self._prompt_length(prompt, room)} if prompt else {}
        order = np.argsort(-kept, kind="stable")
        around = len(self._before) + len(self._after)
        # Only a fixed width is made by the tokenizer's own padding, which may be in front of the text.
        least = 0 if expansion is None else expansion.length
        ahead = self.settings.padding_side == "left" and (expansion is None or expansion.strategy == "fixed")
        for rows in order[:, None] if alone else _cut(order, np.maximum(kept + around, least)):
            pieces = [flat[begins[row] : begins[row] + kept[row]] for row in rows]
            batch = self._pad(pieces, least, ahead)
            if expansion is not None:
                _expand(batch, expansion, ahead)
            yield rows, {**batch, **extra}

    def shorten(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of the ids of one text those that are read, without special ones."""
        room = self._room(None)
        if room is None or len(ids) <= room:
            return ids
        return ids[len(ids) - room :] if self.settings.truncation_side == "left" else ids[:room]

    def _room(self, max_length: int | None, expansion: Expansion | None = None) -> int | None:
        limit = max_length if expansion is None else expansion.limit(max_length)
        limit = self.settings.max_length if limit is None else limit
        return None if limit is None else max(limit - len(self._before) - len(self._after), 0)

    def _pad(self, pieces: list[NDArray[np.int64]], least: int, ahead: bool) -> Features:
        before, after = len(self._before), len(self._after)
        # A row needs one slot at least, since a model cannot run on none.
        width = max(before + len(pieces[0]) + after, least, 1)
        ids = np.full((len(pieces), width), self.settings.pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, piece in enumerate(pieces):
            length = before + len(piece) + after
            at = width - length if ahead else 0
            ids[row, at : at + before] = self._before
            ids[row, at + before : at + length - after] = piece
            ids[row, at + length - after : at + length] = self._after
            mask[row, at : at + length] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def _prompt_length(self, prompt: str, room: int | None) -> int:
        """Tokens of the prompt on its own, without a special token at its end (the text follows there)."""
        flat, _ = self.reader.ids([prompt])
        ids = [*self._before, *flat[:room].tolist(), *self._after]
        return len(ids) - bool(ids and ids[-1] in self._special)


def _expand(batch: Features, expansion: Expansion, ahead: bool) -> None:
    """Put the token into as many free slots of each row as it lacks, in place."""
    mask = batch["attention_mask"]
    added = (mask == 0) if ahead else (mask == 0) & (np.arange(mask.shape[1]) < expansion.length)
    batch["input_ids"][added] = expansion.token_id
    batch[EXPANDED] = added
    if expansion.attend:
        mask[added] = 1


def load_text_tokens(folder: Path, limit: int | None, settings: dict[str, Any]) -> TextTokens:
    """The tokenizer of a transformer's folder with the settings beside it.

    Args:
        folder: holds ``tokenizer.json``, and perhaps ``tokenizer_config.json``, ``special_tokens_map.json``
            and ``config.json``.
        limit: tokens kept per text; None leaves it to tokenizer and model.
        settings: ``do_lower_case``, ``processor_kwargs`` and ``processing_kwargs`` of the module.

    Raises:
        MissingModelFile, ModelConfigError: a file is missing or wrong.
    """
    tokenizer, digest = read_tokenizer(folder / "tokenizer.json")
    saved = _read_sides(tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    path = folder / "tokenizer_config.json"
    own = read_object(path)
    check_length(own, "model_max_length", path)
    given = {**own, **settings.get("processor_kwargs", {})}
    lower = bool(settings.get("do_lower_case"))
    switches = switch_normalizer(tokenizer, given)
    if lower:
        _lowercase_first(tokenizer)
    per_call = _per_call(settings.get("processing_kwargs") or {}, folder)
    if "max_length" in per_call:
        limit = per_call["max_length"]
    elif limit is None:
        limit = _usual_limit(given, settings.get("processor_kwargs", {}), read_object(folder / "config.json"))
    if per_call.get("truncation") is False:
        limit = None
    token_settings = TokenSettings(
        max_length=None if limit is None or limit > _NO_LIMIT else int(limit),
        padding_side=_side(given, saved, "padding_side", path),
        truncation_side=_side(given, saved, "truncation_side", path),
        pad_id=_pad_id(tokenizer, given, folder, saved),
        add_special_tokens=bool(per_call.get("add_special_tokens", True)),
    )
    return TextTokens(tokenizer, token_settings, f"{digest} {switches} {lower}")


def _read_sides(tokenizer: Tokenizer) -> dict[str, Any]:
    """Padding and truncation as the tokenizer's own file has them."""
    padding = tokenizer.padding or {}
    truncation = tokenizer.truncation or {}
    return {
        "padding_side": padding.get("direction", "right"),
        "truncation_side": truncation.get("direction", "right"),
        "pad_id": padding.get("pad_id"),
    }


def _side(given: dict[str, Any], saved: dict[str, Any], key: str, path: Path) -> str:
    side = given.get(key) or saved[key]
    if side not in _SIDES:
        raise ModelConfigError(f"{path}: {key} is {side!r}; allowed are: {', '.join(_SIDES)}")
    return side


def _pad_id(tokenizer: Tokenizer, given: dict[str, Any], folder: Path, saved: dict[str, Any]) -> int:
    special = read_object(folder / "special_tokens_map.json")
    for token in (given.get("pad_token"), special.get("pad_token")):
        text = token.get("content") if isinstance(token, dict) else token
        found = tokenizer.token_to_id(text) if isinstance(text, str) else None
        if found is not None:
            return found
    for value in (saved["pad_id"], read_object(folder / "config.json").get("pad_token_id")):
        if isinstance(value, int) and value >= 0:
            return value
    return 0


def switch_normalizer(tokenizer: Tokenizer, given: dict[str, Any]) -> dict[str, Any]:
    """Set the switches of BERT's normaliser as configured; returns those that differed from the file."""
    normalizer: Any = tokenizer.normalizer
    if not isinstance(normalizer, normalizers.BertNormalizer):
        return {}
    keys = {
        "lowercase": "do_lower_case",
        "strip_accents": "strip_accents",
        "handle_chinese_chars": "tokenize_chinese_chars",
    }
    changed = {
        name: given[key]
        for name, key in keys.items()
        if key in given and getattr(normalizer, name) != given[key]
    }
    for name, value in changed.items():
        setattr(normalizer, name, value)
    tokenizer.normalizer = normalizer
    return changed


def _lowercase_first(tokenizer: Tokenizer) -> None:
    """Put a lowercasing step in front of the normalisation, unless it has one."""
    present: Any = tokenizer.normalizer
    is_sequence = isinstance(present, normalizers.Sequence)
    steps: list[Any] = [*present] if is_sequence else [present] if present else []
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])


def _per_call(processing: Any, folder: Path) -> dict[str, Any]:
    """Options of every call of the tokenizer, of which the runtime knows those that change single texts."""
    if not isinstance(processing, dict):
        raise ModelConfigError(f"{folder}: processing_kwargs is {processing!r}; it must be an object")
    processing = drop_unknown_keys(processing, PROCESSING_GROUPS, f"{folder}: processing_kwargs")
    merged = {**(processing.get("common") or {}), **(processing.get("text") or {})}
    known = {
        "max_length",
        "truncation",
        "add_special_tokens",
        "padding",
        "pad_to_multiple_of",
        "return_tensors",
    }
    unknown = sorted(set(merged) - known)
    if unknown:
        raise ModelConfigError(
            f"{folder}: processing_kwargs holds {', '.join(unknown)}; known are: {', '.join(known)}"
        )
    return merged


def _usual_limit(given: dict[str, Any], own: dict[str, Any], config: dict[str, Any]) -> Any:
    """What tokenizer and model allow when the module's settings do not tell."""
    limit = given.get("model_max_length")
    positions = text_positions(config)
    if "model_max_length" in own or positions is None or positions < 1:
        return limit
    return positions if limit is None else min(limit, positions)


def check_length(settings: dict[str, Any], key: str, path: Path) -> None:
    """Refuse a number of tokens in the settings of ``path`` that no text can be cut to; null is none.

    Raises:
        ModelConfigError: it is no whole number from 1.
    """
    length = settings.get(key)
    if length is None:
        return
    is_number = isinstance(length, (int, float)) and not isinstance(length, bool)
    # A float only as 1e30, as which some writers of JSON put down the "no limit" of transformers.
    if not is_number or length < 1 or (isinstance(length, float) and length <= _NO_LIMIT):
        raise ModelConfigError(
            f"{path}: {key}={length!r}; allowed is a whole number of tokens from 1, or null"
        )


def _surroundings(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Special tokens that the tokenizer puts in front of and behind a single text."""
    if tokenizer.num_special_tokens_to_add(False) == 0:
        return [], []
    for probe in ("a", "the", "1", "."):
        plain = tokenizer.encode(probe, add_special_tokens=False).ids
        whole = tokenizer.encode(probe).ids
        for before in range(len(whole) - len(plain) + 1):
            if plain and whole[before : before + len(plain)] == plain:
                return whole[:before], whole[before + len(plain) :]
    return tokenizer.encode("").ids, []


def _cut(order: NDArray[np.intp], lengths: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Portions of ``order`` (longest first) of texts of equal length, so that little is padding."""
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        end = start + 1
        while end < len(order) and (end - start + 1) * longest <= MAX_TOKENS:
            if lengths[order[end]] != longest and (end - start) * longest >= MIN_TOKENS:
                break
            end += 1
        yield order[start:end]
        start = end
