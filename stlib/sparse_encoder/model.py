"""SparseEncoder: texts to sparse vectors, a weight for each word that matters."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stlib.base.folder import read_json_object
from stlib.base.loading import LoadOptions, Pipeline, load_pipeline, named_modules
from stlib.base.modules.module import embedding_dimension_of
from stlib.base.modules.transformer import Transformer
from stlib.base.transformer.config import Backend
from stlib.errors import InvalidOption, ModelConfigError
from stlib.sentence_transformer.modules.pooling import Pooling
from stlib.sparse_encoder import words
from stlib.sparse_encoder.encode_methods import SparseEncodingModel, check_max_active_dims
from stlib.sparse_encoder.model_card import SparseEncoderModelCardData
from stlib.sparse_encoder.modules.sparse_auto_encoder import SparseAutoEncoder
from stlib.sparse_encoder.modules.splade_pooling import SpladePooling
from stlib.util.older_names import tell_older_name, warn_older_name
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)

# Latents that an auto-encoder on top of a plain transformer keeps, and those its auxiliary loss sees.
_KEPT, _KEPT_AUXILIARY = 256, 512


class SparseEncoder(SparseEncodingModel):
    """A sparse encoder: for each text a vector whose few values that are not zero weigh words (or latents).

    Args:
        model_name_or_path: a folder, a model id such as ``"naver/splade-cocondenser-ensembledistil"``, or a
            plain transformers model: one with a masked-language head becomes a SPLADE model, any other gets
            mean pooling and a new :class:`~stlib.sparse_encoder.modules.SparseAutoEncoder`, as a
            SentenceTransformer does.
        modules: build the model from these instead.
        device: ``"cpu"``, ``"cuda"``, …; default: the strongest one.
        prompts: name to text to put in front of inputs; wins over prompts in the folder.
        default_prompt_name: prompt used when a call names none.
        cache_folder: where downloads are kept; default: ``$SENTENCE_TRANSFORMERS_HOME`` or the Hugging Face
            cache.
        trust_remote_code: allow code that comes with a model to run.
        revision: branch, tag or commit to download.
        local_files_only: never use the network. A model on disk or in the cache never needs it.
        token: access token for private models.
        model_kwargs: for ``from_pretrained`` of the model, e.g. ``{"dtype": "bfloat16"}``.
        processor_kwargs: for ``AutoTokenizer.from_pretrained``; ``tokenizer_kwargs`` is its older name.
        config_kwargs: for ``AutoConfig.from_pretrained``.
        model_card_data: facts for the model card.
        backend: ``"torch"``, ``"onnx"`` or ``"openvino"``; see :mod:`stlib.backend`.
        similarity_fn_name: ``"dot"``, ``"cosine"``, ``"euclidean"`` or ``"manhattan"``; default: as saved, or
            dot.
        max_active_dims: keep the so many largest values of each vector; default: as saved, or all.

    Raises:
        ModelNotFound, MissingModelFile, ModelConfigError, UntrustedCode: the model cannot be loaded.
        InvalidOption: an argument has no meaning.

    Example::

        model = SparseEncoder("naver/splade-cocondenser-ensembledistil")
        embeddings = model.encode(["How do I sort a list?", "sorted() returns a new sorted list."])
        model.similarity(embeddings, embeddings)
        model.decode(embeddings[0], top_k=5)
    """

    model_type: ClassVar[str] = "SparseEncoder"
    default_huggingface_organization: ClassVar[str | None] = "sparse-encoder"
    default_prompts: ClassVar[dict[str, str]] = {"query": "", "document": ""}
    model_card_data_class = SparseEncoderModelCardData
    SUPPORTED_SIMILARITY_FN_NAMES: ClassVar[tuple[str, ...]] = ("cosine", "dot", "euclidean", "manhattan")

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        modules: Sequence[nn.Module] | Mapping[str, nn.Module] | None = None,
        device: str | torch.device | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        model_kwargs: dict[str, Any] | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        model_card_data: Any = None,
        backend: Backend = "torch",
        similarity_fn_name: str | SimilarityFunction | None = None,
        max_active_dims: int | None = None,
        tokenizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if tokenizer_kwargs is not None:
            tell_older_name("SparseEncoder", "tokenizer_kwargs", "processor_kwargs")
        self._similarity_fn_name: str | None = None
        self.max_active_dims = check_max_active_dims(max_active_dims)
        super().__init__(
            model_name_or_path,
            modules=modules,
            device=device,
            prompts=prompts,
            default_prompt_name=default_prompt_name,
            cache_folder=cache_folder,
            trust_remote_code=trust_remote_code,
            revision=revision,
            local_files_only=local_files_only,
            token=token,
            model_kwargs=model_kwargs,
            processor_kwargs={**(tokenizer_kwargs or {}), **(processor_kwargs or {})},
            config_kwargs=config_kwargs,
            model_card_data=model_card_data,
            backend=backend,
        )
        if similarity_fn_name is not None:
            self.similarity_fn_name = similarity_fn_name
        if self.max_active_dims is None:
            encoders = (module for module in self if isinstance(module, SparseAutoEncoder))
            self.max_active_dims = next((encoder.k for encoder in encoders), None)

    # -- comparing and reading embeddings

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Similarity of every vector of ``embeddings1 [n, d]`` with every one of ``embeddings2 [m, d]``, both
        sparse or dense: a dense ``[n, m]``.
        """
        return SimilarityFunction.to_similarity_fn(self.similarity_fn_name)(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Similarity of vector i of ``embeddings1 [n, d]`` with vector i of ``embeddings2 [n, d]``:
        ``[n]``.
        """
        return SimilarityFunction.to_similarity_pairwise_fn(self.similarity_fn_name)(embeddings1, embeddings2)

    @property
    def similarity_fn_name(self) -> str:
        """How :meth:`similarity` compares; may be set to a name or a :class:`SimilarityFunction`."""
        return self._similarity_fn_name or SimilarityFunction.DOT_PRODUCT.value

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: str | SimilarityFunction | None) -> None:
        name = value.value if isinstance(value, SimilarityFunction) else value
        if name is not None and name not in self.SUPPORTED_SIMILARITY_FN_NAMES:
            raise InvalidOption(
                f"similarity_fn_name is {name!r}; a {type(self).__name__} has: "
                f"{', '.join(self.SUPPORTED_SIMILARITY_FN_NAMES)}"
            )
        self._similarity_fn_name = name

    @staticmethod
    def sparsity(embeddings: Tensor) -> dict[str, float]:
        """See :func:`stlib.sparse_encoder.words.sparsity`."""
        return words.sparsity(embeddings)

    @staticmethod
    def intersection(embeddings_1: Tensor, embeddings_2: Tensor) -> Tensor:
        """See :func:`stlib.sparse_encoder.words.intersection`."""
        return words.intersection(embeddings_1, embeddings_2)

    def decode(
        self, embeddings: Tensor, top_k: int | None = None
    ) -> list[tuple[str, float]] | list[list[tuple[str, float]]]:
        """Words and their weights, largest first; see :func:`stlib.sparse_encoder.words.decode`."""
        return words.decode(self.tokenizer, embeddings, top_k)

    # -- settings

    def get_embedding_dimension(self) -> int | None:
        """Dimensions of the vectors; None if no module tells (yet)."""
        dimensions = (embedding_dimension_of(module) for module in reversed(list(self)))
        return next((dimension for dimension in dimensions if dimension is not None), None)

    def get_sentence_embedding_dimension(self) -> int | None:
        """Older name of :meth:`get_embedding_dimension`."""
        warn_older_name("get_sentence_embedding_dimension()", "get_embedding_dimension()", FutureWarning)
        return self.get_embedding_dimension()

    def set_pooling_include_prompt(self, include_prompt: bool) -> None:
        """Let the pooling in front of an auto-encoder take the tokens of the prompt in or leave them out."""
        for module in self:
            if isinstance(module, Pooling):
                module.include_prompt = include_prompt
                return

    @property
    def splade_pooling_chunk_size(self) -> int | None:
        """``chunk_size`` of the model's :class:`~stlib.sparse_encoder.modules.SpladePooling`; may be set.
        None, with a warning, for a model without one.
        """
        pooling = self._splade_pooling()
        return None if pooling is None else pooling.chunk_size

    @splade_pooling_chunk_size.setter
    def splade_pooling_chunk_size(self, value: int | None) -> None:
        pooling = self._splade_pooling()
        if pooling is not None:
            pooling.chunk_size = value

    def _splade_pooling(self) -> SpladePooling | None:
        found = next((module for module in self if isinstance(module, SpladePooling)), None)
        if found is None:
            logger.warning("the model has no SpladePooling, so that there is no chunk_size")
        return found

    # -- files

    def config_dict(self) -> dict[str, Any]:
        config = {**super().config_dict(), "similarity_fn_name": self._similarity_fn_name}
        if self.max_active_dims is not None:
            config["max_active_dims"] = self.max_active_dims
        return config

    def _read_config(self, config: dict[str, Any]) -> None:
        # Models of other families that become sparse ones may name a similarity of theirs.
        if config.get("similarity_fn_name") in self.SUPPORTED_SIMILARITY_FN_NAMES:
            self.similarity_fn_name = config["similarity_fn_name"]
        if self.max_active_dims is None:
            try:
                self.max_active_dims = check_max_active_dims(config.get("max_active_dims"))
            except InvalidOption as error:
                raise ModelConfigError(f"the model's settings: {error}") from None

    def _load_other_family(self, folder: Path, saved_as: str, options: LoadOptions) -> Pipeline:
        if saved_as != "SentenceTransformer":
            return super()._load_other_family(folder, saved_as, options)
        pipeline = load_pipeline(folder, options)
        modules = list(pipeline.modules.values())
        dimensions = (embedding_dimension_of(module) for module in reversed(modules))
        width = next((dimension for dimension in dimensions if dimension is not None), None)
        if width is None:
            raise ModelConfigError(
                f"no module of {folder} tells the size of its embeddings, which an auto-encoder needs"
            )
        logger.info("a SparseAutoEncoder, to be trained, is put on top of the SentenceTransformer %s", folder)
        modules.append(SparseAutoEncoder(width, hidden_dim=4 * width, k=width // 4, k_aux=width // 2))
        return Pipeline(named_modules(modules), pipeline.module_kwargs, pipeline.config, None)

    def _default_modules(self, folder: Path, options: LoadOptions) -> list[nn.Module]:
        shared = {"trust_remote_code": options.trust_remote_code}
        has_head = _has_masked_language_head(folder)
        transformer = Transformer(
            str(folder),
            transformer_task="fill-mask" if has_head else "feature-extraction",
            model_kwargs={**shared, **options.model_kwargs},
            processor_kwargs={**shared, **options.processor_kwargs},
            config_kwargs={**shared, **options.config_kwargs},
            backend=options.backend,
        )
        if has_head:
            return [transformer, SpladePooling("max")]
        logger.info("a SparseAutoEncoder, to be trained, is put on top of %s, which has no head", folder)
        width = transformer.get_embedding_dimension()
        encoder = SparseAutoEncoder(width, hidden_dim=4 * width, k=_KEPT, k_aux=_KEPT_AUXILIARY)
        return [transformer, Pooling(width, "mean"), encoder]


def _has_masked_language_head(folder: Path) -> bool:
    path = folder / "config.json"
    architectures = (read_json_object(path) if path.is_file() else {}).get("architectures") or []
    return any(isinstance(name, str) and name.endswith("ForMaskedLM") for name in architectures)
