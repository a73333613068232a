"""Settings of late-interaction models in the forms of PyLate and of Stanford's ColBERT.

Both insert a marker in front of queries and documents as a token; here it is a prompt, which gives the same
ids once the tokenizer takes the marker for one token.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stlib.base.folder import read_json_object

PYLATE = "ColBERT"
"""What PyLate calls its models."""

STANFORD = "HF_ColBERT"
"""The architecture of Stanford's models."""

PYLATE_DENSE = "pylate.models.Dense.Dense"
"""The class by which PyLate names its projection."""

_USUAL_QUERY_LENGTH = 32
_PYLATE_KEYS = (
    "query_length",
    "document_length",
    "query_expansion",
    "do_query_expansion",
    "attend_to_expansion_tokens",
    "attend_to_mask_tokens",
    "query_prefix",
    "document_prefix",
    "skiplist_words",
)


@dataclass(frozen=True)
class ForeignSettings:
    """What another library's folder says, in our terms.

    Attributes:
        transformer: arguments of :class:`~stlib.base.modules.transformer.Transformer`.
        prefixes: marker of queries and documents by task.
        skiplist_words: None where nothing is said.
    """

    transformer: dict[str, Any] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    skiplist_words: list[str] | None = None

    def words_or_punctuation(self) -> list[str]:
        """The skip list, which both libraries fill with punctuation unless told otherwise."""
        return list(string.punctuation) if self.skiplist_words is None else self.skiplist_words

    def prompts(self, saved: dict[str, Any]) -> dict[str, Any]:
        """Saved prompts with the markers in front."""
        marked = {
            task: prefix + (saved.get(task) or "").removeprefix(prefix)
            for task, prefix in self.prefixes.items()
        }
        return {**saved, **marked}


def pylate_settings(config: dict[str, Any]) -> ForeignSettings:
    """What ``config_sentence_transformers.json`` holds that only PyLate writes; nothing for other models."""
    if not any(key in config for key in _PYLATE_KEYS):
        return ForeignSettings()
    given = {key: config[key] for key in ("query_length", "document_length") if config.get(key) is not None}
    if "query_expansion" in config:
        given["query_expansion"] = config["query_expansion"]
    elif config.get("do_query_expansion") is False:
        given["query_expansion"] = None
    else:
        attend = config.get("attend_to_expansion_tokens", config.get("attend_to_mask_tokens"))
        length = given.pop("query_length", None) or _USUAL_QUERY_LENGTH
        given["query_expansion"] = _expansion(length, bool(attend))
    return ForeignSettings(
        transformer=given,
        prefixes={
            task: config[f"{task}_prefix"] or ""
            for task in ("query", "document")
            if f"{task}_prefix" in config
        },
        skiplist_words=config.get("skiplist_words"),
    )


def is_stanford(folder: Path) -> bool:
    """Whether a transformers folder is of Stanford's ColBERT, with its projection among the weights."""
    return STANFORD in architectures(folder)


def architectures(folder: Path) -> list[str]:
    """Names of the classes that a transformers folder was saved from."""
    path = folder / "config.json"
    return (read_json_object(path) if path.is_file() else {}).get("architectures") or []


def settings_of(folder: Path, config: dict[str, Any]) -> ForeignSettings:
    """What a folder holds that is of another library.

    Args:
        config: its ``config_sentence_transformers.json``.
    """
    return stanford_settings(folder) if not config and is_stanford(folder) else pylate_settings(config)


def stanford_settings(folder: Path) -> ForeignSettings:
    """What ``artifact.metadata`` says; the usual settings of ColBERT without the file."""
    path = folder / "artifact.metadata"
    said = read_json_object(path) if path.is_file() else {}
    transformer: dict[str, Any] = {
        "query_expansion": _expansion(
            said.get("query_maxlen") or _USUAL_QUERY_LENGTH, bool(said.get("attend_to_mask_tokens"))
        )
    }
    if said.get("doc_maxlen") is not None:
        transformer["document_length"] = said["doc_maxlen"]
    return ForeignSettings(
        transformer=transformer,
        prefixes={
            "query": f"{said.get('query_token_id') or '[unused0]'} ",
            "document": f"{said.get('doc_token_id') or '[unused1]'} ",
        },
        skiplist_words=list(string.punctuation) if said.get("mask_punctuation", True) else [],
    )


def register_prefixes(tokenizer: Any, prefixes: dict[str, str]) -> None:
    """Let the tokenizer take each marker that it knows for one token.

    Markers it does not know stay text, so that no embeddings are added.
    """
    if tokenizer is None:
        return
    known = {**tokenizer.get_vocab(), **getattr(tokenizer, "added_tokens_encoder", {})}
    found = []
    for prefix in prefixes.values():
        parts = (prefix, *prefix.split(None, 1)[:1]) if prefix.strip() else ()
        marker = next((part for part in parts if part in known), None)
        if marker is not None and tokenizer.tokenize(marker) != [marker]:
            found.append(_special(marker))
    if found:
        tokenizer.add_special_tokens({"additional_special_tokens": found})


def _special(marker: str) -> Any:
    from transformers import AddedToken

    return AddedToken(marker, normalized=False, special=True)


def _expansion(length: int, attend: bool) -> dict[str, Any]:
    return {"strategy": "fixed", "attend": attend, "length": length}
