"""MultiVectorEncoder: texts to a vector for each token, compared by late interaction."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stlib.base.loading import LoadOptions, Pipeline, load_pipeline, named_modules, read_model_config
from stlib.base.modules.dense import Dense
from stlib.base.modules.module import embedding_dimension_of
from stlib.base.modules.normalize import Normalize
from stlib.base.modules.transformer import Transformer
from stlib.base.transformer.config import Backend
from stlib.errors import InvalidOption, ModelConfigError
from stlib.multi_vector_encoder import foreign_settings as foreign
from stlib.multi_vector_encoder.encode_methods import TokenEncodingModel
from stlib.multi_vector_encoder.encoding import TOKEN_EMBEDDINGS
from stlib.multi_vector_encoder.foreign_settings import ForeignSettings
from stlib.multi_vector_encoder.model_card import MultiVectorEncoderModelCardData
from stlib.multi_vector_encoder.modules.multi_vector_mask import MultiVectorMask
from stlib.sentence_transformer.modules.pooling import Pooling
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)

# Dimensions of the projection of a model that has none, as ColBERT has.
_USUAL_DIMENSION = 128


class MultiVectorEncoder(TokenEncodingModel):
    """A late-interaction encoder: a vector for each token, and a score that lets each token of the query find
    its best match in the document (MaxSim).

    Args:
        model_name_or_path: a folder of this library, of Sentence Transformers, PyLate or Stanford's ColBERT,
            or their id; a plain transformers model or a SentenceTransformer, which gets a projection to 128
            dimensions that is to be trained.
        modules: build the model from these instead.
        device: ``"cpu"``, ``"cuda"``, …; default: the strongest one.
        prompts: name to text to put in front of inputs, e.g. ``{"query": "[Q] ", "document": "[D] "}``; wins
            over prompts in the folder.
        default_prompt_name: prompt used when a call names none.
        cache_folder: where downloads are kept; default: ``$SENTENCE_TRANSFORMERS_HOME`` or the Hugging Face
            cache.
        trust_remote_code: allow code that comes with a model to run.
        revision: branch, tag or commit to download.
        local_files_only: never use the network. A model on disk or in the cache never needs it.
        token: access token for private models.
        model_kwargs: for ``AutoModel.from_pretrained``, e.g. ``{"dtype": "bfloat16"}``.
        processor_kwargs: for ``AutoTokenizer.from_pretrained``.
        config_kwargs: for ``AutoConfig.from_pretrained``.
        model_card_data: facts for the model card.
        backend: ``"torch"``, ``"onnx"`` or ``"openvino"``; see :mod:`stlib.backend`.
        similarity_fn_name: ``"maxsim"``, or ``"meanmaxsim"``, which divides by the number of the query's
            tokens; default: as saved, or maxsim.

    Lengths and expansion of queries are settings of the first module
    (:class:`~stlib.base.modules.transformer.Transformer`), what is left out of documents of
    :class:`~stlib.multi_vector_encoder.modules.MultiVectorMask`.

    Raises:
        ModelNotFound, MissingModelFile, ModelConfigError, UntrustedCode: the model cannot be loaded.
        InvalidOption: an argument has no meaning.

    Example::

        model = MultiVectorEncoder("lightonai/LateOn")
        queries = model.encode_query(["What is the capital of France?"])
        documents = model.encode_document(["Paris is the capital of France.", "Tigers are cats."])
        model.similarity(queries, documents)
    """

    model_type: ClassVar[str] = "MultiVectorEncoder"
    default_prompts: ClassVar[dict[str, str]] = {"query": "", "document": ""}
    model_card_data_class = MultiVectorEncoderModelCardData
    SUPPORTED_SIMILARITY_FN_NAMES: ClassVar[tuple[str, ...]] = ("maxsim", "meanmaxsim")

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
    ) -> None:
        self._similarity_fn_name: str | None = None
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
            processor_kwargs=processor_kwargs,
            config_kwargs=config_kwargs,
            model_card_data=model_card_data,
            backend=backend,
        )
        if similarity_fn_name is not None:
            self.similarity_fn_name = similarity_fn_name
        _check_expansion_is_scored(list(self))

    # -- comparing embeddings

    def similarity(self, embeddings1: Any, embeddings2: Any, **kwargs: Any) -> Tensor:
        """Score of every query of ``embeddings1`` with every document of ``embeddings2``: ``[n, m]``.

        Args:
            embeddings1: queries: a list of ``[tokens, d]``, a padded ``[n, tokens, d]``, or ``[tokens, d]``.
            embeddings2: documents, in the same forms.
            kwargs: ``device``, ``chunk_elements`` and ``length_normalize`` of :func:`stlib.util.maxsim`.
        """
        compare = SimilarityFunction.to_similarity_fn(self.similarity_fn_name)
        return compare(embeddings1, embeddings2, **kwargs)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any, **kwargs: Any) -> Tensor:
        """Score of query i of ``embeddings1`` with document i of ``embeddings2``: ``[n]``; arguments as for
        :meth:`similarity`.
        """
        compare = SimilarityFunction.to_similarity_pairwise_fn(self.similarity_fn_name)
        return compare(embeddings1, embeddings2, **kwargs)

    @property
    def similarity_fn_name(self) -> str:
        """How :meth:`similarity` compares, ``"maxsim"`` or ``"meanmaxsim"``; may be set."""
        return self._similarity_fn_name or SimilarityFunction.MAXSIM.value

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: str | SimilarityFunction | None) -> None:
        name = value.value if isinstance(value, SimilarityFunction) else value
        if name is not None and name not in self.SUPPORTED_SIMILARITY_FN_NAMES:
            hint = "; XTR scores depend on a batch: pass xtr_scores to a loss" if name == "xtr" else ""
            raise InvalidOption(
                f"similarity_fn_name is {name!r}; a {type(self).__name__} has: "
                f"{', '.join(self.SUPPORTED_SIMILARITY_FN_NAMES)}{hint}"
            )
        self._similarity_fn_name = name

    def get_embedding_dimension(self) -> int | None:
        """Dimensions of a token's vector; None if no module tells."""
        dimensions = (embedding_dimension_of(module) for module in reversed(list(self)))
        return next((dimension for dimension in dimensions if dimension is not None), None)

    # -- files

    def config_dict(self) -> dict[str, Any]:
        return {**super().config_dict(), "similarity_fn_name": self._similarity_fn_name}

    def _read_config(self, config: dict[str, Any]) -> None:
        # Models of other families that become late-interaction models name a similarity of theirs.
        if config.get("similarity_fn_name") in self.SUPPORTED_SIMILARITY_FN_NAMES:
            self.similarity_fn_name = config["similarity_fn_name"]

    def _load_folder(self, folder: Path, options: LoadOptions) -> Pipeline:
        settings = foreign.settings_of(folder, read_model_config(folder))
        defaults = {
            # Projections saved before modules named what they read.
            "Dense": {"module_input_name": TOKEN_EMBEDDINGS},
            "Transformer": settings.transformer,
        }
        classes: dict[str, type[nn.Module]] = {**options.module_classes, foreign.PYLATE_DENSE: Dense}
        options = replace(options, module_classes=classes, init_defaults=defaults)
        pipeline = super()._load_folder(folder, options)
        return _with_prefixes(pipeline, settings)

    def _load_other_family(self, folder: Path, saved_as: str, options: LoadOptions) -> Pipeline:
        if saved_as not in (foreign.PYLATE, "SentenceTransformer"):
            return super()._load_other_family(folder, saved_as, options)
        pipeline = load_pipeline(folder, options)
        settings = foreign.pylate_settings(pipeline.config)
        if saved_as == foreign.PYLATE:
            modules = OrderedDict(pipeline.modules)
            words: list[str] | None = settings.words_or_punctuation()
        else:
            modules = named_modules(_for_tokens(list(pipeline.modules.values()), folder))
            words = settings.words_or_punctuation() if settings.prefixes else settings.skiplist_words
        for module in _last_modules(words):
            modules[str(len(modules))] = module
        card = pipeline.card if saved_as == foreign.PYLATE else None
        return replace(pipeline, modules=modules, card=card)

    def _default_modules(self, folder: Path, options: LoadOptions) -> list[nn.Module]:
        shared = {"trust_remote_code": options.trust_remote_code}
        stanford = foreign.is_stanford(folder)
        settings = foreign.stanford_settings(folder) if stanford else ForeignSettings()
        transformer = Transformer(
            str(folder),
            model_kwargs={**shared, **options.model_kwargs},
            processor_kwargs={**shared, **options.processor_kwargs},
            config_kwargs={**shared, **options.config_kwargs},
            backend=options.backend,
            **settings.transformer,
        )
        projection = _stanford_projection(folder) if stanford else _new_projection(transformer, folder)
        return [transformer, projection, *_last_modules(settings.skiplist_words)]


def _with_prefixes(pipeline: Pipeline, settings: ForeignSettings) -> Pipeline:
    """A pipeline with the markers of its tasks as prompts."""
    if not settings.prefixes:
        return pipeline
    first: Any = next(iter(pipeline.modules.values()))
    foreign.register_prefixes(getattr(first, "tokenizer", None), settings.prefixes)
    prompts = settings.prompts(dict(pipeline.config.get("prompts") or {}))
    return replace(pipeline, config={**pipeline.config, "prompts": prompts})


def _last_modules(skiplist_words: Sequence[str] | None) -> list[nn.Module]:
    return [MultiVectorMask(skiplist_words), Normalize(TOKEN_EMBEDDINGS)]


def _for_tokens(modules: list[nn.Module], folder: Path) -> list[nn.Module]:
    """Modules of a SentenceTransformer without what joins tokens, and with a projection of each token.

    Raises:
        ModelConfigError: it has no transformer.
    """
    kept = [module for module in modules if not _is_for_sentences(module)]
    transformer = next((module for module in kept if isinstance(module, Transformer)), None)
    if transformer is None:
        raise ModelConfigError(
            f"{folder} is a SentenceTransformer without a transformer, so that it has no vectors of tokens; "
            "load it as what it is"
        )
    dense = [module for module in kept if isinstance(module, Dense)]
    for module in dense:
        if module.module_input_name == "sentence_embedding":
            module.module_input_name = module.module_output_name = TOKEN_EMBEDDINGS
    return kept if dense else [*kept, _new_projection(transformer, folder)]


def _is_for_sentences(module: nn.Module) -> bool:
    normalizes = isinstance(module, Normalize) and module.module_input_name == "sentence_embedding"
    return normalizes or isinstance(module, Pooling)


def _new_projection(transformer: Transformer, folder: Path) -> Dense:
    width = transformer.get_embedding_dimension()
    logger.warning(
        "%s has no projection of tokens; a new one to %d dimensions is added, which is to be trained",
        folder,
        _USUAL_DIMENSION,
    )
    return _projection(width, _USUAL_DIMENSION)


def _stanford_projection(folder: Path) -> Dense:
    """The projection that Stanford's ColBERT keeps among the weights of its transformer.

    Raises:
        ModelConfigError: it is not among them.
    """
    weights = Dense.load_torch_weights(str(folder))
    weight = weights.get("linear.weight")
    if weight is None:
        raise ModelConfigError(
            f"{folder} is called {foreign.STANFORD}, and has no linear.weight; get it again"
        )
    return _projection(weight.shape[1], weight.shape[0], weight)


def _projection(width: int, dimension: int, weight: Tensor | None = None) -> Dense:
    return Dense(
        width,
        dimension,
        bias=False,
        activation_function=nn.Identity(),
        init_weight=weight,
        module_input_name=TOKEN_EMBEDDINGS,
    )


def _check_expansion_is_scored(modules: list[nn.Module]) -> None:
    """Say it when queries are filled up with tokens that no module lets count."""
    for place, module in enumerate(modules):
        expands = isinstance(module, Transformer) and module.query_expansion is not None
        if expands and not any(isinstance(later, MultiVectorMask) for later in modules[place:]):
            logger.warning(
                "query_expansion is set, and no MultiVectorMask follows that lets the added tokens count; "
                "add one"
            )
