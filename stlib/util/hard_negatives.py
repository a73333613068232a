"""Hard negatives for a dataset of pairs: texts that a model takes to be near an anchor, but no answers to it.

The stages stand in :mod:`stlib.util.mining`; this module connects them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from stlib.errors import InvalidOption, MissingDependency
from stlib.util.lists import refuse_text
from stlib.util.mining import candidates
from stlib.util.mining.cache import EmbeddingCache
from stlib.util.mining.embeddings import EncodeSettings, embed, pool_of
from stlib.util.mining.filters import Filters
from stlib.util.mining.mined import Mined
from stlib.util.mining.options import MiningOptions, options_from
from stlib.util.mining.output import check_columns, columns_of, features_of_nothing
from stlib.util.mining.pairs import read_pairs
from stlib.util.mining.report import describe_pairs, describe_result, speaker
from stlib.util.mining.rescoring import CrossEncoderScores
from stlib.util.mining.sampling import choose

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["mine_hard_negatives"]


def mine_hard_negatives(
    dataset: Dataset,
    model: Any,
    anchor_column_name: str | None = None,
    positive_column_name: str | None = None,
    corpus: Sequence[str] | None = None,
    cross_encoder: Any = None,
    range_min: int = 0,
    range_max: int | None = None,
    max_score: float | None = None,
    min_score: float | None = None,
    absolute_margin: float | None = None,
    relative_margin: float | None = None,
    num_negatives: int = 3,
    sampling_strategy: Literal["random", "top"] = "top",
    query_prompt_name: str | None = None,
    query_prompt: str | None = None,
    corpus_prompt_name: str | None = None,
    corpus_prompt: str | None = None,
    include_positives: bool = False,
    output_format: Literal["triplet", "n-tuple", "labeled-pair", "labeled-list"] = "triplet",
    output_scores: bool = False,
    batch_size: int = 32,
    faiss_batch_size: int = 16384,
    use_faiss: bool = False,
    use_multi_process: list[str] | bool = False,
    verbose: bool = True,
    cache_folder: str | None = None,
    as_triplets: bool | None = None,
    margin: float | None = None,
) -> Dataset:
    """Mine negatives for each anchor of a dataset of (anchor, positive) pairs.

    Each anchor is compared with all documents: the positives of the whole dataset and ``corpus``, equal texts
    counted once. Its own positives, all of them if it stands in several rows, are never its negatives, and
    neither is the document with the anchor's own text (of rows (A, B) and (B, A), say, B is no negative of B;
    Sentence Transformers 6.2 takes it, so there rows differ). What remains after the limits below is ranked
    by score; the negatives come from ranks ``range_min`` to ``range_max``. Of equal scores, the document that
    comes first ranks first.

    Relative margins of 0.05 with ``sampling_strategy="top"`` did best in NV-Retriever (Moreira et al. 2024,
    arXiv:2407.15831), where the method is called TopK-PercPos.

    Args:
        dataset: a ``datasets.Dataset`` with a column of anchors and one of positives.
        model: encodes by ``encode_query`` and ``encode_document`` and compares by its ``similarity``.
        anchor_column_name: default: the first column.
        positive_column_name: default: the second column.
        corpus: more documents that may be negatives.
        cross_encoder: gives the scores that limits and margins are applied to, and the ranking, in place of
            the similarities: any object with ``predict(pairs, batch_size=…, convert_to_tensor=True)`` and one
            score per pair. It is asked only if one of the four limits is given.
        range_min: skip so many of the best candidates, which are likely to be answers.
        range_max: last rank looked at. Default: as many as ``num_negatives`` needs if none is disqualified,
            ten times as many if limits may disqualify some; and the positives.
        max_score: a negative scores at most so much.
        min_score: a negative scores at least so much.
        absolute_margin: a negative scores at least this much below the worst positive of its anchor.
        relative_margin: the same, as a share of the magnitude of that positive's score.
        num_negatives: negatives per anchor.
        sampling_strategy: ``"top"`` takes the best candidates, ``"random"`` any of them, drawn by
            :mod:`random` (seed that to repeat a run).
        query_prompt_name: prompt of the model to put in front of anchors.
        query_prompt: the text itself to put in front of anchors; wins over the name.
        corpus_prompt_name: prompt of the model to put in front of documents.
        corpus_prompt: the text itself to put in front of documents; wins over the name.
        include_positives: leave positives among the candidates, for datasets of rankings to evaluate
            rerankers on; the format is then ``"n-tuple"``.
        output_format: ``"triplet"``: anchor, positive, ``negative``, a row for each negative;
            ``"n-tuple"``: anchor, positive, ``negative_1``, …, only where none is missing;
            ``"labeled-pair"``: anchor, text, ``label`` (1 for positives, 0 for negatives);
            ``"labeled-list"``: anchor, list of texts, list of ``labels``, the positive first.
        output_scores: add ``scores`` (of the positive first) to triplets and tuples; put ``score`` in place
            of ``label``, ``scores`` in place of ``labels``.
        batch_size: of the model and of the cross-encoder.
        faiss_batch_size: anchors that go through search, filters and sampling at a time.
        use_faiss: search by a flat FAISS index on the CPU, which finds the same (by its L1 metric for
            Manhattan's similarity). A model with a similarity of its own is refused.
        use_multi_process: encode and rescore by several processes: True for one per CUDA device (4 on a CPU),
            or a list of devices.
        verbose: print figures, show progress.
        cache_folder: keep embeddings there as ``.npy`` files. Their names follow from the texts, the prompts
            and the model's weights and settings; a changed model is encoded with again.
        as_triplets: deprecated, see ``output_format``.
        margin: deprecated name of ``absolute_margin``.

    Returns:
        A ``datasets.Dataset`` as ``output_format`` says: anchors in the order of their first row, each with
        its positives, each with its negatives, best first.

    Raises:
        InvalidOption: an option has no meaning.
        InvalidInput: the dataset is empty, no table of two columns, or misses a value; or the score of a
            positive is not a number. Documents with such scores are never negatives.
        MissingDependency: ``datasets``, or with ``use_faiss`` FAISS, is not installed.
    """
    dataset_class = _dataset_class()
    options = options_from(
        as_triplets,
        margin,
        range_min=range_min,
        range_max=range_max,
        max_score=max_score,
        min_score=min_score,
        absolute_margin=absolute_margin,
        relative_margin=relative_margin,
        num_negatives=num_negatives,
        sampling_strategy=sampling_strategy,
        include_positives=include_positives,
        output_format=output_format,
        output_scores=output_scores,
    )
    if faiss_batch_size < 1:
        raise InvalidOption(f"faiss_batch_size must be a positive integer, but is {faiss_batch_size}")
    if use_faiss:
        candidates.check_faiss(model)  # before hours of encoding
    say = speaker(verbose)
    refuse_text(corpus=corpus, use_multi_process=use_multi_process)
    pairs = read_pairs(dataset, anchor_column_name, positive_column_name, corpus)
    check_columns(pairs, options)
    describe_pairs(pairs, say)
    if options.range_max is None:
        options = options.with_range(pairs.most_positives, cross_encoder is not None)
        say(f"range_max is {options.range_max}.")
    settings = EncodeSettings(
        query_prompt=query_prompt,
        query_prompt_name=query_prompt_name,
        corpus_prompt=corpus_prompt,
        corpus_prompt_name=corpus_prompt_name,
        batch_size=batch_size,
        processes=use_multi_process,
        show_progress=verbose,
    )
    cache = EmbeddingCache(cache_folder, model, say) if cache_folder else None
    queries, documents = embed(model, pairs.queries, pairs.corpus, settings, cache)
    search = candidates.search_for(model, documents, use_faiss)
    with ExitStack() as stack:
        rescorer = None
        if cross_encoder is not None and options.filters_by_score:
            pool = stack.enter_context(pool_of(cross_encoder, use_multi_process))
            rescorer = CrossEncoderScores(cross_encoder, pairs.queries, pairs.corpus, batch_size, pool)
            positive_scores = rescorer.score_aligned(pairs.query_of, pairs.positives)
        else:
            positive_scores = candidates.positive_scores(model, pairs, queries, documents)
        filters = Filters(options, pairs, positive_scores)
        negatives, scores = _mine(queries, search, rescorer, filters, options, faiss_batch_size, verbose)
    mined = Mined(pairs, negatives.numpy(), scores.numpy(), positive_scores.numpy())
    describe_result(mined, filters, options, say)
    columns = columns_of(mined, options)
    return dataset_class.from_dict(columns, features=features_of_nothing(columns, options))


def _mine(
    queries: np.ndarray,
    search: candidates.Search,
    rescorer: CrossEncoderScores | None,
    filters: Filters,
    options: MiningOptions,
    block: int,
    show_progress: bool,
) -> tuple[Tensor, Tensor]:
    """Search, rescore, filter and choose, a block of queries at a time, so that only what is chosen is held
    for all of them: documents and scores ``[queries, num_negatives]``.
    """
    found = []
    for start in trange(0, len(queries), block, desc="Mining negatives", disable=not show_progress):
        scores, positions = search(queries[start : start + block], filters.width)
        if rescorer is not None:
            scores = rescorer.candidates(scores, positions, start)
        filters.apply(scores, positions, start)
        found.append(choose(scores, positions, options))
    return torch.cat([documents for _, documents in found]), torch.cat([scores for scores, _ in found])


def _dataset_class() -> Any:
    try:
        from datasets import Dataset
    except ImportError as error:
        raise MissingDependency(
            "mine_hard_negatives needs the package datasets; run: pip install datasets"
        ) from error
    return Dataset
