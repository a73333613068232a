"""Expansion of queries by mask tokens, as late-interaction models use it.

Source: Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late
Interaction over BERT", SIGIR 2020.
"""

from __future__ import annotations

import logging
from typing import Any

from stlib.base.transformer.inputs import CallOptions
from stlib.errors import InvalidOption

logger = logging.getLogger(__name__)

STRATEGIES = ("fixed", "min")
_KEYS = ("strategy", "attend", "token", "length")


def check_expansion(given: dict[str, Any] | None, query_length: int | None) -> dict[str, Any] | None:
    """The settings with their defaults filled in, or None.

    Keys: ``strategy`` (``"fixed"``: every query has ``length`` tokens; ``"min"``: at least so many),
    ``length``, ``attend`` (whether the model attends to the added tokens, default False), and ``token``
    (default: the mask token, else the end token).

    Raises:
        InvalidOption: a key or value is not allowed, or ``query_length`` cuts what is to be added.
    """
    if given is None:
        return None
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        raise InvalidOption(f"query_expansion has the keys {', '.join(unknown)}; use {', '.join(_KEYS)}")
    strategy, length, attend = given.get("strategy"), given.get("length"), given.get("attend", False)
    if strategy not in STRATEGIES:
        raise InvalidOption(f"query_expansion['strategy'] is {strategy!r}; use one of {STRATEGIES}")
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise InvalidOption(
            f"query_expansion['length'] is {length!r}; it is the number of tokens to fill up to, e.g. 32"
        )
    if not isinstance(attend, bool):
        raise InvalidOption(f"query_expansion['attend'] is {attend!r}; use True or False")
    if query_length is not None and query_length < length:
        raise InvalidOption(
            f"query_length is {query_length} and query_expansion fills up to {length} tokens; "
            "raise the one or lower the other"
        )
    return {"strategy": strategy, "attend": attend, "token": given.get("token"), "length": length}


def expansion_token(expansion: dict[str, Any], tokenizer: Any) -> int:
    """Id of the token that queries are filled up with.

    Raises:
        InvalidOption: the tokenizer does not know it.
    """
    token = expansion["token"]
    if token is None:
        known = [tokenizer.mask_token_id, tokenizer.eos_token_id]
        found = next((i for i in known if i is not None), None)
        if found is None:
            raise InvalidOption(
                "the tokenizer has neither a mask nor an end token; name one: query_expansion={'token': …, …}"
            )
        return found
    found = tokenizer.convert_tokens_to_ids(token)
    if found is None or (found == tokenizer.unk_token_id and token != tokenizer.unk_token):
        raise InvalidOption(f"query_expansion['token'] is {token!r}, which the tokenizer does not know")
    return found


def set_lengths(expansion: dict[str, Any], options: CallOptions, max_length: int | None) -> None:
    """Let the tokenizer leave room for the tokens to add, in place."""
    text = options.kinds["text"]
    if expansion["strategy"] == "fixed":
        text.update(max_length=expansion["length"], padding="max_length")
    elif max_length is not None:
        text["max_length"] = max(text.get("max_length", max_length), expansion["length"])


def expand(expansion: dict[str, Any], features: dict[str, Any], token: int) -> None:
    """Replace padding below the wanted length by the token, in place.

    ``features["query_expansion_positions"]`` ``[n, tokens]`` says where.
    """
    import torch
    from torch.nn.functional import pad

    missing = expansion["length"] - features["input_ids"].shape[1]
    if missing > 0:
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            if name in features:
                features[name] = pad(features[name], (0, missing))
    mask = features["attention_mask"]
    places = torch.arange(mask.shape[1], device=mask.device) < expansion["length"]
    added = (mask == 0) & places
    if expansion["strategy"] == "fixed" and not added.any(dim=1).all():
        logger.warning("queries fill all %d tokens; what goes beyond was cut", expansion["length"])
    features["input_ids"] = features["input_ids"].masked_fill(added, token)
    features["query_expansion_positions"] = added
    if expansion["attend"]:
        features["attention_mask"] = mask.masked_fill(added, 1)
