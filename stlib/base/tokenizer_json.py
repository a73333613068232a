"""Take tokens out of a fast tokenizer, and words into it, on the JSON form of the ``tokenizers`` library."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer


@dataclass(frozen=True)
class TokenizerJson:
    """A tokenizer as its JSON document. Every change returns a new one with ids from 0 without gaps.

    Attributes:
        data: the document, as ``tokenizer.json`` holds it.
        unk_token: token for what the vocabulary lacks.
        pad_token: token for padding.
    """

    data: dict[str, Any]
    unk_token: str | None
    pad_token: str | None

    @classmethod
    def from_transformers(cls, tokenizer: Any) -> TokenizerJson:
        """From a fast transformers tokenizer."""
        data = json.loads(tokenizer.backend_tokenizer.to_str())
        return cls(data, tokenizer.unk_token, tokenizer.pad_token)._with_missing_added_tokens()

    def build(self) -> Tokenizer:
        """The tokenizer of the document."""
        return Tokenizer.from_str(json.dumps(self.data))

    def ids(self) -> dict[str, int]:
        """Token to id."""
        vocab = self.data["model"]["vocab"]
        # Unigram models keep a list of (token, score); the position is the id.
        return dict(vocab) if isinstance(vocab, dict) else {token: i for i, (token, _) in enumerate(vocab)}

    def tokens(self) -> list[str]:
        """Tokens in the order of their ids."""
        ids = self.ids()
        return sorted(ids, key=ids.__getitem__)

    def without_markers(self) -> TokenizerJson:
        """Without post-processing and without added tokens other than those for unknown text and padding."""
        keep = {self.unk_token, self.pad_token}
        markers = [added["content"] for added in self.data["added_tokens"] if added["content"] not in keep]
        data = {**self.data, "post_processor": None}
        return TokenizerJson(data, self.unk_token, self.pad_token).without(markers)

    def without(self, tokens: Iterable[str]) -> TokenizerJson:
        """Without some tokens, except the one for unknown text where the model cannot be without."""
        gone = set(tokens) - (
            {self.unk_token} if self.data["model"]["type"] in ("WordPiece", "WordLevel") else set()
        )
        if not gone:
            return self
        data = copy.deepcopy(self.data)
        model = data["model"]
        if isinstance(model["vocab"], dict):
            kept = [token for token in self.tokens() if token not in gone]
            model["vocab"] = {token: i for i, token in enumerate(kept)}
        else:
            unknown = None if model.get("unk_id") is None else model["vocab"][model["unk_id"]][0]
            model["vocab"] = [row for row in model["vocab"] if row[0] not in gone]
            names = [token for token, _ in model["vocab"]]
            model["unk_id"] = names.index(unknown) if unknown in names else None
        if "merges" in model:
            model["merges"] = [m for m in model["merges"] if gone.isdisjoint(_merge_tokens(m))]
        data["added_tokens"] = [added for added in data["added_tokens"] if added["content"] not in gone]
        pad = None if self.pad_token in gone else self.pad_token
        unk = None if self.unk_token in gone else self.unk_token
        return TokenizerJson(data, unk, pad)._with_current_ids()

    def with_words(self, words: Iterable[str]) -> TokenizerJson:
        """With whole words in the vocabulary; what the pre-tokenizer splits is added as one multi-word token.

        Words that are there already, or that normalisation leaves empty, are skipped.
        """
        tokenizer = self.build()
        pieces_of = {word: _pieces(tokenizer, word) for word in words}
        # A vocabulary entry that no text reaches, as it would be split, makes room for the multi-word token.
        unreachable = [word for word, pieces in pieces_of.items() if len(pieces) > 1]
        present = set(self.tokens())
        base = self.without(present.intersection(unreachable))
        data = copy.deepcopy(base.data)
        result = TokenizerJson(data, base.unk_token, base.pad_token)
        present = set(result.tokens())
        for piece in [pieces[0] for pieces in pieces_of.values() if len(pieces) == 1]:
            if piece not in present:
                present.add(piece)
                result._append(piece, as_word=True)
        for word in unreachable:
            phrase = (tokenizer.normalizer.normalize_str(word) if tokenizer.normalizer else word).strip()
            if phrase not in present:
                present.add(phrase)
                result._append(phrase)
                data["added_tokens"].append(_multi_word_token(phrase))
        return result._with_current_ids()

    def with_prefix_space(self) -> TokenizerJson:
        """With the first word of a text treated like any other, where a byte-level tokenizer tells them
        apart.
        """
        data = copy.deepcopy(self.data)
        step = data.get("pre_tokenizer") or {}
        for part in step.get("pretokenizers", [step]):
            if part.get("type") == "ByteLevel":
                part["add_prefix_space"] = True
        return TokenizerJson(data, self.unk_token, self.pad_token)

    def _append(self, token: str, as_word: bool = False) -> None:
        vocab = self.data["model"]["vocab"]
        if isinstance(vocab, dict):
            vocab[token] = len(vocab)
            if as_word and "merges" in self.data["model"]:
                self._make_reachable(token)
        else:
            # The least likely score: the word wins only where no other split exists, as whole words do
            # anyway.
            vocab.append([token, min(score for _, score in vocab)])

    def _make_reachable(self, token: str) -> None:
        """Add the BPE merges that lead from the parts that exist to the whole token.

        Neighbours are paired from the left, round by round, until one part is left; parts that are new
        become tokens in alphabetical order.
        """
        model = self.data["model"]
        ranks = {_merge_pair(merge): rank for rank, merge in enumerate(model["merges"])}
        parts = _apply_merges(list(token), ranks)
        used: set[str] = set()
        while len(parts) > 1:
            for pair in zip(parts[::2], parts[1::2], strict=False):
                if pair not in ranks:
                    ranks[pair] = len(model["merges"])
                    model["merges"].append(list(pair))
                    used.update(pair)
            parts = _apply_merges(list(token), ranks)
        for part in sorted(used.difference(model["vocab"])):
            model["vocab"][part] = len(model["vocab"])

    def _with_missing_added_tokens(self) -> TokenizerJson:
        """Some tokenizers keep added tokens beside the vocabulary; here each is in it, at its own id if
        possible.
        """
        present = self.ids()
        missing = [added["content"] for added in self.data["added_tokens"] if added["content"] not in present]
        if not missing:
            return self
        result = TokenizerJson(copy.deepcopy(self.data), self.unk_token, self.pad_token)
        for token in missing:
            result._append(token)
        return result

    def _with_current_ids(self) -> TokenizerJson:
        """Ids of added tokens, padding and post-processing brought in line with the vocabulary."""
        ids, data = self.ids(), self.data
        for added in data["added_tokens"]:
            added["id"] = ids[added["content"]]
        if data.get("padding") and self.pad_token in ids:
            data["padding"]["pad_id"] = ids[self.pad_token]
        post = data.get("post_processor") or {}
        for key in ("cls", "sep"):
            if key in post:
                post[key] = [post[key][0], ids[post[key][0]]]
        for special in post.get("special_tokens", {}).values() if isinstance(post, dict) else ():
            special["ids"] = [ids[token] for token in special["tokens"] if token in ids]
        return self

    def ends(self) -> tuple[list[str], list[str]]:
        """Tokens that the post-processor puts in front of and behind a single text."""
        post = self.data.get("post_processor") or {}
        if post.get("type") in ("BertProcessing", "RobertaProcessing"):
            return [post["cls"][0]], [post["sep"][0]]
        if post.get("type") != "TemplateProcessing" or not post["single"]:
            return [], []
        first, last = (post["single"][i].get("SpecialToken", {}).get("id") for i in (0, -1))
        special = post["special_tokens"]
        return special.get(first, {}).get("tokens", []), special.get(last, {}).get("tokens", [])


def _merge_pair(merge: Any) -> tuple[str, str]:
    """Both sides of a BPE merge; older files write the pair as one string."""
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return left, right


def _merge_tokens(merge: Any) -> set[str]:
    left, right = _merge_pair(merge)
    return {left, right, left + right}


def _apply_merges(parts: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Merge neighbours, the earliest rule first, until no rule applies."""
    while len(parts) > 1:
        pairs = [(ranks.get(pair, len(ranks)), i) for i, pair in enumerate(itertools.pairwise(parts))]
        rank, i = min(pairs)
        if rank == len(ranks):
            break
        parts = [*parts[:i], parts[i] + parts[i + 1], *parts[i + 2 :]]
    return parts


def _pieces(tokenizer: Tokenizer, word: str) -> list[str]:
    text = tokenizer.normalizer.normalize_str(word) if tokenizer.normalizer else word
    if not text:
        return []
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def _multi_word_token(content: str) -> dict[str, Any]:
    # Stripped on both sides, so that spaces around the phrase belong to it.
    return {
        "id": 0,
        "content": content,
        "single_word": False,
        "lstrip": True,
        "rstrip": True,
        "normalized": True,
        "special": False,
    }
