"""The base of the first module of a pipeline, which turns inputs into tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from stlib.base.modules.module import Module
from stlib.errors import InvalidInput, ModelConfigError
from stlib.util.lists import refuse_text
from stlib.util.older_names import tell_older_name


class Features(dict[str, Any]):
    """What a batch is turned into: tensors and their like by name, also as attributes."""

    def to(self, device: Any, non_blocking: bool = False) -> Features:
        """Move every tensor to a device, in place."""
        for name, value in self.items():
            if isinstance(value, Tensor):
                self[name] = value.to(device, non_blocking=non_blocking)
        return self

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no feature {name!r}, but: {', '.join(self)}") from None


class InputModule(Module):
    """A module that also prepares inputs: ``preprocess`` makes the features dict that ``forward`` starts
    from.
    """

    save_in_root: ClassVar[bool] = True

    tokenizer: Any
    """A fast tokenizer of ``transformers`` or ``tokenizers``, or a word tokenizer of this library."""

    batch_token_factor: ClassVar[int] = 64
    """Tokens of one forward pass per unit of ``batch_size``; higher for modules that need no padding."""

    features_in_rows: ClassVar[bool] = True
    """Whether features have a row for each input, so that a batch of them can be cut into smaller ones."""

    @property
    def ignores_task(self) -> bool:
        """Whether it is certain that a text has the same features as a query and as a document."""
        return False

    @property
    def modalities(self) -> list[Any]:
        """Kinds of input the module takes; text unless overridden."""
        return ["text"]

    def preprocess(self, inputs: list[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Features of a batch of inputs, with ``prompt`` in front of each text.

        A subclass overrides this or, as earlier generations did, :meth:`tokenize`.
        """
        if type(self).tokenize is InputModule.tokenize:
            raise NotImplementedError(
                f"{type(self).__name__} must define preprocess(inputs, prompt=None, **kwargs)"
            )
        tell_older_name(type(self).__name__, "its method tokenize", "preprocess")
        return self.tokenize(prepend_prompt(inputs, prompt), **kwargs)

    def tokenize(self, texts: list[Any], **kwargs: Any) -> dict[str, Any]:
        """Older name of :meth:`preprocess`."""
        tell_older_name(type(self).__name__, "tokenize(…)", "preprocess(…)")
        return self.preprocess(texts, **kwargs)

    def save_tokenizer(self, output_path: str, **kwargs: Any) -> None:
        """Write the tokenizer to a folder: all its files, or ``tokenizer.json`` for one of ``tokenizers``."""
        tokenizer = getattr(self, "tokenizer", None)
        if tokenizer is None:
            return
        if hasattr(tokenizer, "save_pretrained"):
            tokenizer.save_pretrained(output_path, **kwargs)
        elif hasattr(tokenizer, "save"):
            tokenizer.save(str(Path(output_path) / "tokenizer.json"), **kwargs)


def prepend_prompt(texts: list[Any], prompt: str | None) -> list[Any]:
    """The texts with ``prompt`` in front; of a pair, in front of its first text."""
    refuse_text(texts=texts)
    if not prompt:
        return texts
    return [prompt + text if isinstance(text, str) else (prompt + text[0], *text[1:]) for text in texts]


def check_texts(inputs: list[Any]) -> list[str | tuple[str, ...]]:
    """Texts and text pairs of a batch; ``{"text": …}`` is unwrapped.

    Raises:
        InvalidInput: an input is something else; the message says which and what it is.
    """
    refuse_text(inputs=inputs)
    return [_check_text(item, position) for position, item in enumerate(inputs)]


def _check_text(item: Any, position: int) -> str | tuple[str, ...]:
    if isinstance(item, dict) and set(item) == {"text"}:
        item = item["text"]
    if isinstance(item, str):
        return item
    if isinstance(item, (list, tuple)) and len(item) == 2 and all(isinstance(part, str) for part in item):
        return tuple(item)
    shown = f"keys {sorted(map(str, item))}" if isinstance(item, dict) else repr(item)[:60]
    raise InvalidInput(
        f"input {position} is a {type(item).__name__} ({shown}); this model takes texts or pairs of texts"
    )


def check_token_ids(ids: Any, rows: int | None) -> None:
    """Refuse tokens that a table of vectors has no row for, before a device reads beyond it.

    Args:
        ids: array or tensor of token ids, best on the CPU.
        rows: of the table; None if that is not known.

    Raises:
        ModelConfigError: there is such a token.
    """
    if rows is None or not len(ids) or 0 in ids.shape:
        return
    if (most := int(ids.max())) >= rows:
        raise ModelConfigError(
            f"the tokenizer gives the token {most:,}, and the model has vectors up to {rows - 1:,}: the "
            "tokenizer and weights are not from one model, get it again; for tokens that were added to a "
            "transformer, call its resize_token_embeddings"
        )
