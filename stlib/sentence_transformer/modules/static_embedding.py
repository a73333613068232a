"""Texts as the average of fixed token vectors: no attention, hundreds of times faster than a transformer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from stlib.base.folder import missing_file, read_json_object
from stlib.base.modules.input_module import InputModule, check_texts, check_token_ids, prepend_prompt
from stlib.base.modules.module import DimensionNames
from stlib.base.weights import PYTORCH_NAME, SAFETENSORS_NAME
from stlib.errors import InvalidInput, InvalidOption, ModelConfigError
from stlib.sentence_transformer.modules.static_tokens import StaticTokens
from stlib.util.file_io import resolve_model_folder
from stlib.util.lists import refuse_text
from stlib.util.panics import NamedPanics

# Tokens per text that model2vec keeps unless a model says otherwise.
MODEL2VEC_MAX_LENGTH = 512


class StaticEmbedding(DimensionNames, InputModule):
    """Average the rows of a token table: ``sentence_embedding [n, d]``; an input without tokens gives zeros.

    Args:
        tokenizer: a fast tokenizer of ``tokenizers`` or ``transformers``.
        embedding_weights: ``[vocabulary, d]`` table.
        embedding_dim: ``d`` of a random table, when there are no weights yet.
        base_model: what the table was made from, for the model card.

    Raises:
        InvalidOption: the tokenizer is not fast, or neither weights nor dimension are given.

    Example::

        static = StaticEmbedding.from_distillation("path/to/all-MiniLM-L6-v2")
        model = SentenceTransformer(modules=[static])
    """

    batch_token_factor: ClassVar[int] = 4096
    features_in_rows: ClassVar[bool] = False  # one row of tokens for all inputs

    def __init__(
        self,
        tokenizer: Any,
        embedding_weights: np.ndarray | Tensor | None = None,
        embedding_dim: int | None = None,
        base_model: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.tokenizer: Tokenizer = _fast_tokenizer(tokenizer)
        self.tokenizer.no_padding()  # padding tokens would enter the average
        if embedding_weights is not None:
            weights = torch.as_tensor(embedding_weights)
            self.embedding = nn.EmbeddingBag.from_pretrained(weights, freeze=False)
        elif embedding_dim is not None:
            self.embedding = nn.EmbeddingBag(self.tokenizer.get_vocab_size(), embedding_dim)
        else:
            raise InvalidOption("StaticEmbedding needs embedding_weights or embedding_dim; got neither")
        self.num_embeddings: int = self.embedding.num_embeddings
        self.embedding_dim: int = self.embedding.embedding_dim
        self.base_model = base_model
        self._scale: Tensor | None = None
        self._tokens = StaticTokens()
        self.truncated_inputs = 0
        """Inputs that the tokenizer cut since the module was built."""

    @property
    def ignores_task(self) -> bool:
        return True

    @property
    def max_seq_length(self) -> float:
        """Infinite: the average has no position that could run out (a tokenizer may still cut texts)."""
        return math.inf

    def get_embedding_dimension(self) -> int:
        """Columns of the table."""
        return self.embedding_dim

    def preprocess(self, inputs: list[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Token ids of all inputs in a row, and the offset at which each input starts."""
        texts = prepend_prompt(_single_texts(inputs), prompt)
        rows = self._tokens.read(self.tokenizer, texts)
        self.truncated_inputs += rows.n_truncated
        offsets = np.cumsum(rows.lengths) - rows.lengths
        return {"input_ids": torch.from_numpy(rows.ids), "offsets": torch.from_numpy(offsets)}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        ids, offsets = features["input_ids"], features["offsets"]
        check_token_ids(ids, self.embedding.num_embeddings)
        vectors = self.embedding(ids, offsets)
        if vectors.dtype in (torch.float16, torch.bfloat16):
            # torch averages nothing to NaN in half precision, to zero in full precision
            ends = torch.cat([offsets[1:], offsets.new_tensor([len(ids)])])
            vectors = vectors.masked_fill((ends == offsets).unsqueeze(1), 0.0)
        features["sentence_embedding"] = vectors
        return features

    @property
    def saved_type(self) -> str | None:
        """Type in ``modules.json`` when the file form is ours alone (int8 with scale), else None."""
        return (
            None if self._int8_rows() is None else f"stlib.sentence_transformer.modules.{type(self).__name__}"
        )

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        folder = Path(output_path)
        codes = self._int8_rows()
        if codes is not None and self._scale is not None:
            save_file({"embedding.weight": codes, "embedding.scale": self._scale}, folder / SAFETENSORS_NAME)
        elif safe_serialization:
            save_file({"embedding.weight": self.embedding.weight.detach()}, folder / SAFETENSORS_NAME)
        else:
            torch.save(self.state_dict(), folder / PYTORCH_NAME)
        self.tokenizer.save(str(folder / "tokenizer.json"))

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> StaticEmbedding:
        """Read a table in any of its forms: floats, int8 with scale, or the files of model2vec.

        Raises:
            MissingModelFile: tokenizer or weights are missing.
            ModelConfigError: the tensors are of no known form.
        """
        hub = (token, cache_folder, revision, local_files_only)
        path = cls.load_file_path(model_name_or_path, "tokenizer.json", subfolder, *hub)
        if path is None:
            raise missing_file(model_name_or_path, subfolder, "tokenizer.json")
        weights = cls.load_torch_weights(model_name_or_path, subfolder, *hub)
        with NamedPanics(path, "reading it"):
            tokenizer = Tokenizer.from_file(path)
        return cls._from_tensors(tokenizer, weights, f"{model_name_or_path}/{subfolder}")

    @classmethod
    def from_model2vec(cls, model_id_or_path: str) -> StaticEmbedding:
        """Read a model2vec folder or model id; the model2vec package is not needed.

        As there, texts are cut at the ``max_length`` of its ``config.json``, or else at 512 tokens.

        Raises:
            ModelNotFound, MissingModelFile: there is no such model, or not all of it.
            ModelConfigError: the tensors are of no known form.
        """
        folder = resolve_model_folder(model_id_or_path)
        module = cls.load(str(folder))
        module.base_model = str(model_id_or_path)
        config = read_json_object(folder / "config.json") if (folder / "config.json").is_file() else {}
        _limit(module.tokenizer, config.get("max_length", MODEL2VEC_MAX_LENGTH))
        return module

    @classmethod
    def from_distillation(
        cls,
        model_name: str,
        vocabulary: list[str] | None = None,
        device: str | None = None,
        pca_dims: int | float | str | None = 256,
        apply_zipf: bool = True,
        sif_coefficient: float | None = 1e-4,
        token_remove_pattern: str | None = r"\[unused\d+\]",  # noqa: S107 - a vocabulary token, no secret
        quantize_to: str = "float32",
        use_subword: bool = True,
        **kwargs: Any,
    ) -> StaticEmbedding:
        """Distil a transformer into a token table; see :func:`.static_distillation.distill_table`.

        The model2vec package is not needed; the numbers are those of its distillation. As there, texts
        are cut at 512 tokens; ``module.tokenizer.no_truncation()`` lifts the limit.

        Args:
            model_name: folder or model id of the teacher.
            vocabulary: words to add to the teacher's tokens.
            device: where the teacher runs; default: the strongest device.
            pca_dims: dimensions kept; a float is the share of variance to keep, None skips the PCA.
            apply_zipf: weight tokens by their estimated frequency (needs ``sif_coefficient``).
            sif_coefficient: ``a`` of the weights ``a / (a + p(token))``; None skips the weighting.
            token_remove_pattern: tokens that match this regular expression at their start are dropped.
            quantize_to: ``"float32"``, ``"float16"``, ``"float64"`` or ``"int8"`` (with one scale per token).
            use_subword: keep the teacher's own tokens.
            kwargs: ``trust_remote_code`` and ``pooling`` ("mean", "first" or "last" token of the teacher).

        Raises:
            InvalidOption: an option has no meaning.
        """
        from stlib.sentence_transformer.modules.static_distillation import DistillOptions, distill_table

        refuse_text(vocabulary=vocabulary)
        options = DistillOptions(
            vocabulary=tuple(vocabulary or ()),
            device=device,
            pca_dims=pca_dims,
            sif_coefficient=sif_coefficient if apply_zipf else None,
            token_remove_pattern=token_remove_pattern,
            use_subword=use_subword,
            **kwargs,
        )
        tokenizer, table = distill_table(model_name, options)
        module = cls(tokenizer, embedding_weights=_as_precision(table, quantize_to), base_model=model_name)
        _limit(module.tokenizer, MODEL2VEC_MAX_LENGTH)
        if quantize_to == "int8":
            module.quantize_rows()
        return module

    def quantize_rows(self) -> None:
        """Round each row to int8 times one scale, as :meth:`save` will then store it (a quarter of the
        size).
        """
        weight = self.embedding.weight.detach().float()
        scale = weight.abs().amax(dim=1, keepdim=True) / 127
        scale[scale == 0] = 1.0
        with torch.no_grad():
            self.embedding.weight.copy_((weight / scale).round() * scale)
        self._scale = scale

    def _int8_rows(self) -> Tensor | None:
        """The int8 codes if the table lies on the grid of its scale exactly; training moves it off."""
        if self._scale is None:
            return None
        weight, scale = self.embedding.weight.detach().float().cpu(), self._scale.cpu()
        codes = (weight / scale).round().clamp(-128, 127)
        return codes.to(torch.int8) if torch.equal(codes * scale, weight) else None

    @classmethod
    def _from_tensors(cls, tokenizer: Tokenizer, tensors: dict[str, Tensor], source: str) -> StaticEmbedding:
        if "embedding.weight" in tensors:
            weight, scale = tensors["embedding.weight"], tensors.get("embedding.scale")
            if weight.dtype != torch.int8:
                return cls(tokenizer, embedding_weights=weight)
            if scale is None:
                raise ModelConfigError(f"{source}: int8 'embedding.weight' lacks its 'embedding.scale'")
            # The scale is not kept: what is saved again is in the form that other libraries read too.
            return cls(
                tokenizer, embedding_weights=weight.float() * _column_shape(scale.float(), weight, source)
            )
        if "embeddings" in tensors:
            return cls(tokenizer, embedding_weights=_model2vec_rows(tensors))
        raise ModelConfigError(
            f"{source}: no token table among the tensors {sorted(tensors)}; "
            "expected 'embedding.weight' or, from model2vec, 'embeddings'"
        )

    def __repr__(self) -> str:
        return f"StaticEmbedding({self.num_embeddings}, {self.embedding_dim})"


def _fast_tokenizer(tokenizer: Any) -> Tokenizer:
    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if isinstance(backend, Tokenizer):
        return backend
    raise InvalidOption(
        f"the tokenizer is of type {type(tokenizer).__name__}; StaticEmbedding needs a fast one, "
        "of tokenizers or transformers"
    )


def _limit(tokenizer: Tokenizer, max_length: int | None) -> None:
    if max_length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_length)


def _single_texts(inputs: list[Any]) -> list[Any]:
    texts = check_texts(inputs)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"input {position} is a pair; a static embedding takes single texts")
    return texts


def _column_shape(scale: Tensor, weight: Tensor, source: str) -> Tensor:
    """A scale per row, per column or for all, in the shape that multiplies ``weight``."""
    rows, columns = weight.shape
    if scale.numel() == 1:
        return scale.reshape(1, 1)
    if scale.dim() == 1:
        scale = scale.unsqueeze(1) if len(scale) == rows else scale.unsqueeze(0)
    if tuple(scale.shape) not in ((rows, 1), (1, columns)):
        raise ModelConfigError(
            f"{source}: 'embedding.scale' has the shape {list(scale.shape)}, which fits neither rows "
            f"nor columns of 'embedding.weight' {list(weight.shape)}"
        )
    return scale


def _model2vec_rows(tensors: dict[str, Tensor]) -> Tensor:
    """One row per token from model2vec's compressed form: ``embeddings[mapping[token]] * weights[token]``."""
    rows = tensors["embeddings"]
    if "mapping" in tensors:
        rows = rows[tensors["mapping"].long()]
    if "weights" in tensors:
        dtype = torch.promote_types(rows.dtype, torch.float32)
        rows = (rows.to(dtype) * tensors["weights"].unsqueeze(1)).to(dtype)
    return rows.contiguous()


def _as_precision(table: np.ndarray, quantize_to: str) -> Tensor:
    dtypes = {"float16": np.float16, "float32": np.float32, "float64": np.float64, "int8": np.float32}
    if quantize_to not in dtypes:
        raise InvalidOption(f"quantize_to={quantize_to!r} is unknown; use one of: {', '.join(dtypes)}")
    return torch.from_numpy(table.astype(dtypes[quantize_to]))
