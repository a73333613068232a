"""SentenceTransformer: texts to vectors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stlib.base.loading import LoadOptions
from stlib.base.modules.module import embedding_dimension_of
from stlib.base.modules.transformer import Transformer
from stlib.base.transformer.config import Backend
from stlib.errors import InvalidOption
from stlib.sentence_transformer.encode_methods import EncodingModel
from stlib.sentence_transformer.fit_mixin import FitMixin
from stlib.sentence_transformer.model_card import SentenceTransformerModelCardData
from stlib.sentence_transformer.modules.pooling import Pooling
from stlib.util.older_names import tell_older_name, warn_older_name
from stlib.util.similarity_function import SimilarityFunction


class SentenceTransformer(EncodingModel, FitMixin):
    """A dense bi-encoder: one vector per text.

    Args:
        model_name_or_path: a folder, a model id such as ``"sentence-transformers/all-MiniLM-L6-v2"``, a plain
            transformers model (mean pooling is added), or ``"stlib-static-en"``, the bundled model.
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
        use_auth_token: older name of ``token``.
        model_kwargs: for ``AutoModel.from_pretrained``, e.g. ``{"dtype": "bfloat16"}``.
        processor_kwargs: for ``AutoTokenizer.from_pretrained``; ``tokenizer_kwargs`` is its older name.
        config_kwargs: for ``AutoConfig.from_pretrained``.
        model_card_data: facts for the model card; see
            :class:`~stlib.sentence_transformer.model_card.SentenceTransformerModelCardData`.
        backend: ``"torch"``, ``"onnx"`` or ``"openvino"``; see :mod:`stlib.backend`.
        similarity_fn_name: ``"cosine"``, ``"dot"``, ``"euclidean"`` or ``"manhattan"``; default: as saved, or
            cosine.
        truncate_dim: keep the first so many dimensions (Matryoshka models); default: as saved, or all.

    Raises:
        ModelNotFound, MissingModelFile, ModelConfigError, UntrustedCode: the model cannot be loaded.
        InvalidOption: an argument has no meaning.

    Example::

        model = SentenceTransformer("stlib-static-en")
        embeddings = model.encode(["How do I sort a list?", "sorted() returns a new sorted list."])
        model.similarity(embeddings, embeddings)
    """

    model_type: ClassVar[str] = "SentenceTransformer"
    default_huggingface_organization: ClassVar[str | None] = "sentence-transformers"
    default_prompts: ClassVar[dict[str, str]] = {"query": "", "document": ""}
    model_card_data_class = SentenceTransformerModelCardData
    SUPPORTED_SIMILARITY_FN_NAMES: ClassVar[tuple[str, ...]] = ("cosine", "dot", "euclidean", "manhattan")

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        modules: Sequence[nn.Module] | Mapping[str, nn.Module] | None = None,
        device: str | torch.device | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str | SimilarityFunction | None = None,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        use_auth_token: bool | str | None = None,
        truncate_dim: int | None = None,
        model_kwargs: dict[str, Any] | None = None,
        tokenizer_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        model_card_data: Any = None,
        backend: Backend = "torch",
        processor_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if token is not None and use_auth_token is not None:
            raise InvalidOption("token and its older name use_auth_token are both given; pass token only")
        if use_auth_token is not None:
            warn_older_name("use_auth_token", "token", FutureWarning)
        if tokenizer_kwargs is not None:
            tell_older_name("SentenceTransformer", "tokenizer_kwargs", "processor_kwargs")
        self._similarity_fn_name: str | None = None
        self.truncate_dim = truncate_dim
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
            token=token if token is not None else use_auth_token,
            model_kwargs=model_kwargs,
            processor_kwargs={**(tokenizer_kwargs or {}), **(processor_kwargs or {})},
            config_kwargs=config_kwargs,
            model_card_data=model_card_data,
            backend=backend,
        )
        if similarity_fn_name is not None:
            self.similarity_fn_name = similarity_fn_name

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Similarity of every vector of ``embeddings1 [n, d]`` with every one of ``embeddings2 [m, d]``:
        ``[n, m]``.
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
        return self._similarity_fn_name or SimilarityFunction.COSINE.value

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: str | SimilarityFunction | None) -> None:
        if value is not None:
            SimilarityFunction.to_similarity_fn(value)  # refuses an unknown name
            value = SimilarityFunction(value).value
            if value not in self.SUPPORTED_SIMILARITY_FN_NAMES:
                raise InvalidOption(
                    f"{type(self).__name__} compares by {', '.join(self.SUPPORTED_SIMILARITY_FN_NAMES)}, not "
                    f"by {value!r}, which is for a vector per token"
                )
        self._similarity_fn_name = value

    def get_embedding_dimension(self) -> int | None:
        """Dimensions of the vectors after truncation; None if no module tells."""
        dimensions = (embedding_dimension_of(module) for module in reversed(list(self)))
        whole = next((d for d in dimensions if d is not None), None)
        if self.truncate_dim is None:
            return whole
        return self.truncate_dim if whole is None else min(whole, self.truncate_dim)

    def get_sentence_embedding_dimension(self) -> int | None:
        """Older name of :meth:`get_embedding_dimension`."""
        warn_older_name("get_sentence_embedding_dimension()", "get_embedding_dimension()", FutureWarning)
        return self.get_embedding_dimension()

    def get_sentence_features(self, *features: Any) -> Any:
        """Older way to prepare features, for first modules that have it."""
        warn_older_name("get_sentence_features(…)", "preprocess(…)")
        first: Any = self._first_module()
        return first.get_sentence_features(*features)

    @contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """Truncate to so many dimensions inside a ``with`` block."""
        before, self.truncate_dim = self.truncate_dim, truncate_dim
        try:
            yield
        finally:
            self.truncate_dim = before

    def truncate_sentence_embeddings(self, truncate_dim: int | None) -> Any:
        """Older name of :meth:`truncate_embeddings`."""
        warn_older_name("truncate_sentence_embeddings(…)", "truncate_embeddings(…)", FutureWarning)
        return self.truncate_embeddings(truncate_dim)

    def set_pooling_include_prompt(self, include_prompt: bool) -> None:
        """Let the pooling take the tokens of the prompt in or leave them out (INSTRUCTOR models)."""
        for module in self:
            if isinstance(module, Pooling):
                module.include_prompt = include_prompt
                return

    @staticmethod
    def load(input_path: str) -> SentenceTransformer:
        """Older way to write ``SentenceTransformer(input_path)``."""
        warn_older_name("SentenceTransformer.load(path)", "SentenceTransformer(path)")
        return SentenceTransformer(input_path)

    def config_dict(self) -> dict[str, Any]:
        config = {**super().config_dict(), "similarity_fn_name": self.similarity_fn_name}
        return config if self.truncate_dim is None else {**config, "truncate_dim": self.truncate_dim}

    def _read_config(self, config: dict[str, Any]) -> None:
        self.similarity_fn_name = config.get("similarity_fn_name")
        if self.truncate_dim is None:
            self.truncate_dim = config.get("truncate_dim")
        limit = self.truncate_dim
        if limit is not None and not (isinstance(limit, Integral) and int(limit) >= 1):
            raise InvalidOption(f"truncate_dim is {limit!r}; use None or a number from 1 on")

    def _default_modules(self, folder: Path, options: LoadOptions) -> list[nn.Module]:
        shared = {"trust_remote_code": options.trust_remote_code}
        transformer = Transformer(
            str(folder),
            model_kwargs={**shared, **options.model_kwargs},
            processor_kwargs={**shared, **options.processor_kwargs},
            config_kwargs={**shared, **options.config_kwargs},
            backend=options.backend,
        )
        if transformer.module_output_name != "token_embeddings":
            return [transformer]  # a model of several towers, whose embeddings need no pooling
        # A causal model has read the whole text at its last token only.
        architectures = getattr(transformer.config, "architectures", None) or [""]
        causal = architectures[0].endswith("ForCausalLM") and getattr(transformer.config, "is_causal", True)
        return [
            transformer,
            Pooling(transformer.get_embedding_dimension(), "lasttoken" if causal else "mean"),
        ]
