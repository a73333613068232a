"""Fixed vectors of words, such as GloVe, as the first module of a pipeline."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from stlib.base.folder import missing_file
from stlib.base.modules.input_module import InputModule, check_token_ids, prepend_prompt
from stlib.base.modules.module import DimensionNames
from stlib.errors import InvalidInput, InvalidOption, ModelConfigError
from stlib.sentence_transformer.modules.tokenizer.whitespace import WhitespaceTokenizer
from stlib.sentence_transformer.modules.tokenizer.word import TransformersTokenizerWrapper, WordTokenizer
from stlib.util.registry import resolve_module_class, saved_type

logger = logging.getLogger(__name__)

_PADDING = "PADDING_TOKEN"  # id 0 in vocabularies read from text files


class WordEmbeddings(DimensionNames, InputModule):
    """Look up each word: ``token_embeddings [n, words, d]``, padded with id 0.

    Args:
        tokenizer: a word tokenizer, or one of transformers.
        embedding_weights: ``[vocabulary, d]``.
        update_embeddings: let training change the vectors.
        max_seq_length: words kept per input.

    Raises:
        InvalidOption: the tokenizer is neither.
    """

    config_file_name: ClassVar[str] = "wordembedding_config.json"
    config_keys: ClassVar[list[str]] = ["tokenizer_class", "update_embeddings", "max_seq_length"]

    def __init__(
        self,
        tokenizer: Any,
        embedding_weights: Any,
        update_embeddings: bool = False,
        max_seq_length: int = 1000000,
    ) -> None:
        super().__init__()
        if not isinstance(tokenizer, WordTokenizer):
            if not hasattr(tokenizer, "save_pretrained"):
                raise InvalidOption(f"the tokenizer is a {type(tokenizer).__name__}; pass a WordTokenizer")
            tokenizer = TransformersTokenizerWrapper(tokenizer)
        weights = torch.as_tensor(
            np.asarray(embedding_weights) if isinstance(embedding_weights, list) else embedding_weights
        )
        self.emb_layer = nn.Embedding.from_pretrained(weights.float(), freeze=not update_embeddings)
        self.tokenizer: WordTokenizer = tokenizer
        self.update_embeddings = update_embeddings
        self.max_seq_length = max_seq_length

    def preprocess(self, inputs: list[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        texts = prepend_prompt(inputs, prompt)
        words = [
            torch.tensor(self.tokenizer.tokenize(t)[: self.max_seq_length], dtype=torch.int64) for t in texts
        ]
        lengths = torch.tensor([len(w) for w in words])
        ids = nn.utils.rnn.pad_sequence(words, batch_first=True)
        if ids.shape[1] == 0:  # no input has a known word; later modules expect one slot
            ids = torch.zeros(len(words), 1, dtype=torch.int64)
        check_token_ids(ids, self.emb_layer.num_embeddings)
        mask = (torch.arange(ids.shape[1]) < lengths.unsqueeze(1)).to(torch.int64)
        return {"input_ids": ids, "attention_mask": mask, "sentence_lengths": lengths}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features["token_embeddings"] = self.emb_layer(features["input_ids"])
        return features

    def get_embedding_dimension(self) -> int:
        """``d``."""
        return self.emb_layer.embedding_dim

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "tokenizer_class": saved_type(type(self.tokenizer)),
            "update_embeddings": self.update_embeddings,
            "max_seq_length": self.max_seq_length,
        }

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)
        self.tokenizer.save(output_path)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        **kwargs: Any,
    ) -> WordEmbeddings:
        """See :meth:`Module.load`; a tokenizer class that is not ours needs ``trust_remote_code``."""
        hub = (token, cache_folder, revision, local_files_only)
        config = cls.load_config(model_name_or_path, subfolder, None, *hub)
        folder = cls.load_dir_path(model_name_or_path, subfolder, *hub)
        if not config or folder is None:
            raise missing_file(model_name_or_path, subfolder, cls.config_file_name)
        reference = config.pop("tokenizer_class", "")
        tokenizer_class: Any = resolve_module_class(reference, folder, trust_remote_code=trust_remote_code)
        if not issubclass(tokenizer_class, WordTokenizer):
            raise ModelConfigError(
                f"{folder}/{cls.config_file_name} names {reference!r}, which is no word tokenizer"
            )
        weights = cls.load_torch_weights(model_name_or_path, subfolder, *hub)
        given = {"tokenizer": tokenizer_class.load(folder), "embedding_weights": weights["emb_layer.weight"]}
        return cls.from_config({**config, **given}, model_name_or_path, subfolder)

    @classmethod
    def from_text_file(
        cls,
        embeddings_file_path: str,
        update_embeddings: bool = False,
        item_separator: str = " ",
        tokenizer: WordTokenizer | None = None,
        max_vocab_size: int | None = None,
    ) -> WordEmbeddings:
        """Read a text file (``.gz`` too) with a word and its vector per line.

        A first line of two numbers, as word2vec writes, is skipped; lines of another width are skipped and
        counted.

        Raises:
            InvalidInput: no line of the file holds a vector.
            FileNotFoundError: there is no such file.
        """
        tokenizer = WhitespaceTokenizer() if tokenizer is None else tokenizer
        vocab, skipped = [_PADDING], 0
        rows: list[np.ndarray] = []
        for word, vector in _read_vectors(Path(embeddings_file_path), item_separator):
            if rows and len(vector) != len(rows[0]):
                skipped += 1
                continue
            vocab.append(word)
            rows.append(vector)
            if max_vocab_size and len(vocab) > max_vocab_size:
                break
        if not rows:
            raise InvalidInput(f"{embeddings_file_path} holds no vectors; a line is a word and its numbers")
        if skipped:
            logger.warning("%d lines of %s have another width and are skipped", skipped, embeddings_file_path)
        tokenizer.set_vocab(vocab)
        return cls(tokenizer, np.stack([np.zeros_like(rows[0]), *rows]), update_embeddings)


def _read_vectors(path: Path, separator: str) -> Iterator[tuple[str, np.ndarray]]:
    open_text: Any = gzip.open if path.suffix == ".gz" else Path.open
    with open_text(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            word, *values = line.rstrip().split(separator)
            if number == 0 and len(values) == 1:
                continue
            yield word, np.array([float(value) for value in values])
