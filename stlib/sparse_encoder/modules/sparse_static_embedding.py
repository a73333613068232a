"""Texts as the fixed weights of their words: no network runs, a look-up in a table is all."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from stlib.base.folder import read_json_object
from stlib.base.modules.input_module import InputModule, check_texts, check_token_ids, prepend_prompt
from stlib.base.modules.module import DimensionNames
from stlib.base.modules.transformer_preprocess import lock_of
from stlib.base.transformer.files import load_tokenizer
from stlib.base.transformer.inputs import tokenize
from stlib.errors import InvalidOption, MissingModelFile, ModelConfigError
from stlib.util.file_io import check_relative_path, load_file_path, resolve_model_folder
from stlib.util.panics import TOKENISING

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

# The name that collections of weights by word have on the hub.
_WEIGHTS_NAME = "idf.json"


class SparseStaticEmbedding(DimensionNames, InputModule):
    """``sentence_embedding [n, vocabulary]``: the weight of each token that a text holds, once however often.

    The usual way of queries in an inference-free model, beside a SPLADE for documents. Behind another module
    that made a ``sentence_embedding``, the weights are multiplied with that.

    Args:
        tokenizer: of transformers; texts are read without special tokens.
        weight: ``[vocabulary]``, e.g. inverse document frequencies; None: ones.
        frozen: leave the weights as they are when training.

    Raises:
        InvalidOption: the weights are no vector, or fewer than the tokenizer has tokens.
    """

    without_memory: ClassVar[bool] = True
    save_in_root: ClassVar[bool] = True
    config_keys: ClassVar[list[str]] = ["frozen"]

    def __init__(self, tokenizer: Any, weight: Tensor | None = None, frozen: bool = False) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        if weight is None:
            weight = torch.ones(len(tokenizer.get_vocab()))
        if weight.ndim != 1:
            raise InvalidOption(f"weight has the shape {tuple(weight.shape)}; it is one number per token")
        self.weight = nn.Parameter(weight, requires_grad=not frozen)
        self.frozen = frozen
        self.num_dimensions = weight.shape[0]
        self.truncated_inputs = 0
        """Inputs that the tokenizer cut since the module was built."""

    @property
    def ignores_task(self) -> bool:
        return True

    @property
    def max_seq_length(self) -> int:
        """Tokens kept per text; those of the tokenizer."""
        return self.tokenizer.model_max_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self.tokenizer.model_max_length = value

    def get_embedding_dimension(self) -> int:
        """Size of the vocabulary."""
        return self.num_dimensions

    def preprocess(self, inputs: list[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Token ids and mask ``[n, longest]`` without special tokens."""
        texts = prepend_prompt(list(check_texts(inputs)), prompt)
        keywords = {"padding": True, "truncation": True, "return_tensors": "pt", "add_special_tokens": False}
        with lock_of(self.tokenizer), TOKENISING:
            features, cut = tokenize(self.tokenizer, texts, keywords)
        self.truncated_inputs += cut
        features["input_ids"] = features["input_ids"].long()  # of texts without any token, too
        check_token_ids(features["input_ids"], self.num_dimensions)
        return features

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        ids, mask = features["input_ids"], features["attention_mask"]
        embeddings = self.weight.new_zeros(len(ids), self.num_dimensions)
        # Padding adds nothing, not even where its token is one of the text.
        if torch.is_grad_enabled():
            embeddings = embeddings.scatter_reduce(1, ids, mask.to(embeddings.dtype), "amax") * self.weight
        elif ids.shape[1]:
            own = ids.gather(1, mask.argmax(dim=1, keepdim=True))  # a token of the text, in place of padding
            tokens = torch.where(mask.bool(), ids, own)
            embeddings.scatter_(1, tokens, self.weight[tokens] * mask.any(dim=1, keepdim=True))
        if features.get("sentence_embedding") is not None:
            embeddings = embeddings * features["sentence_embedding"]
        features["sentence_embedding"] = embeddings
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_tokenizer(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)
        self.save_config(output_path)

    @classmethod
    def from_json(
        cls,
        json_path: str | os.PathLike[str],
        tokenizer: Any,
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        **config: Any,
    ) -> Self:
        """Weights by word from a JSON object; words that it lacks weigh nothing.

        Args:
            json_path: a file, or a model (folder or id) that holds ``idf.json``.
            tokenizer: of transformers. Words that are none of its tokens are left out, with a warning.
            token, cache_folder, revision, local_files_only: as for :meth:`load`.
            config: further arguments of the constructor.

        Raises:
            MissingModelFile: there is no such file.
            ModelConfigError: it is no JSON object of numbers.
        """
        path = Path(json_path)
        if not path.is_file():
            hub = (token, cache_folder, revision, local_files_only)
            found = load_file_path(os.fspath(json_path), _WEIGHTS_NAME, "", *hub)
            if found is None:
                raise MissingModelFile(
                    f"{os.fspath(json_path)!r} is no file and holds no {_WEIGHTS_NAME}; pass a JSON file of "
                    "weights by word, or a model that has one"
                )
            path = Path(found)
        return cls(tokenizer, weight=_read_weights(path, tokenizer), **config)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        processor_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """See :meth:`Module.load`; reads the tokenizer and the weights, which the configuration may place in
        a JSON file (``path``) as early models did.
        """
        hub = (token, cache_folder, revision, local_files_only)
        config = cls.load_config(model_name_or_path, subfolder, None, *hub)
        folder = resolve_model_folder(model_name_or_path, *hub) / subfolder
        tokenizer = load_tokenizer(folder, dict(processor_kwargs or {}))
        path = config.pop("path", None)
        if isinstance(path, str) and path.endswith(".json"):
            inner = folder / check_relative_path(path)
            return cls.from_json(inner if inner.is_file() else path, tokenizer, *hub, **config)
        module = cls.from_config({"tokenizer": tokenizer, **config}, model_name_or_path, subfolder)
        return cls.load_torch_weights(model_name_or_path, subfolder, *hub, model=module)

    def __repr__(self) -> str:
        tokenizer = type(self.tokenizer).__name__
        return f"SparseStaticEmbedding({self.get_config_dict()}, {self.num_dimensions}, {tokenizer})"


def _read_weights(path: Path, tokenizer: Any) -> Tensor:
    """``[vocabulary]`` weights of a JSON object."""
    by_word = read_json_object(path)
    vocabulary = tokenizer.get_vocab()
    unknown = [word for word in by_word if word not in vocabulary]
    if unknown:
        logger.warning("%s weighs %d words that are no tokens, e.g. %r", path, len(unknown), unknown[0])
    weight = torch.zeros(len(vocabulary))
    known = {vocabulary[word]: value for word, value in by_word.items() if word in vocabulary}
    try:
        weight[list(known)] = torch.tensor(list(known.values()), dtype=weight.dtype)
    except (TypeError, ValueError) as error:
        raise ModelConfigError(f"{path} is to hold a number for each word: {error}") from error
    return weight
