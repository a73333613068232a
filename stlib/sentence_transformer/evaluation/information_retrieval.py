"""How well a model finds the relevant documents of queries in a corpus."""

from __future__ import annotations

import json
import logging
import math
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from stlib.base.evaluation.corpus_ranking import CorpusRanking
from stlib.base.evaluation.csv_file import append_row, file_name, moment, replacing
from stlib.base.evaluation.retrieval import (
    RetrievalEvaluator,
    ScoreFunctions,
    Scores,
    flat_metrics,
    log_scores,
)
from stlib.errors import InvalidInput, InvalidOption
from stlib.sentence_transformer.model import SentenceTransformer
from stlib.util import ranking_metrics
from stlib.util.exact_search import blocks
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)

Judgments = Collection[Any] | Mapping[Any, float]
Hits = list[dict[str, Any]]


class InformationRetrievalEvaluator(RetrievalEvaluator):
    """Searches a corpus with every query and measures the rankings.

    Metrics are ``accuracy@k``, ``precision@k``, ``recall@k``, ``ndcg@k``, ``mrr@k`` and ``map@k``, averaged
    over the queries, named ``{name}_{score function}_{metric}``; definitions and sources stand in
    :mod:`stlib.util.ranking_metrics`. Documents of equal score are ordered by ascending id, so numbers
    depend neither on the order of the corpus nor on the size of its chunks, as far as scores are equal: those
    of equal vectors may differ by rounding, some 1e-7, with their place (trec_eval orders by descending id).
    Documents without a judgment count as not relevant; documents whose score is nan, as
    those of a diverged model, as not found, with a warning in the log.

    The corpus is encoded chunk by chunk, and only the best results of each query are kept: besides one chunk
    of embeddings, memory grows with queries, not with documents.

    Args:
        queries: texts (or other inputs of the model) by query id. Those without a relevant document are left
            out, with a note in the log.
        corpus: documents by id.
        relevant_docs: per query id, the set of relevant document ids; or their grades by id, where grades
            above 0 are relevant and NDCG uses them as gains. Ids that the corpus lacks count as never found.
        corpus_chunk_size: documents encoded and scored at a time.
        mrr_at_k: cut-offs of the mean reciprocal rank.
        ndcg_at_k: cut-offs of NDCG; the largest one decides between models.
        accuracy_at_k: cut-offs of accuracy: whether any relevant document was found.
        precision_recall_at_k: cut-offs of precision and recall.
        map_at_k: cut-offs of mean average precision.
        show_progress_bar: show bars for chunks and batches.
        batch_size: passed to ``encode``.
        name: put in front of metrics and into file names.
        write_csv: append a row to ``Information-Retrieval_evaluation_{name}_results.csv`` at each call.
        truncate_dim: use the first so many dimensions; default: the model's ``truncate_dim``.
        score_functions: functions ``(queries [q, d], documents [n, d]) -> [q, n]`` by name, larger is better;
            by default the similarity of the model that is evaluated.
        main_score_function: whose NDCG is the primary metric; by default the best one at the first call.
        query_prompt: text in front of each query; by default the model's prompt for queries.
        query_prompt_name: or the name of one of the model's prompts.
        corpus_prompt: text in front of each document; by default the model's prompt for documents.
        corpus_prompt_name: or the name of one of the model's prompts.
        write_predictions: write the results of each query as a line of
            ``Information-Retrieval_evaluation_{name}_predictions_{score function}.jsonl``.

    Raises:
        InvalidInput: there is no corpus, no query with a relevant document, or an argument of a wrong form.
        InvalidOption: a cut-off or size below 1, or an unknown main score function.

    Example:
        ::

            from stlib import SentenceTransformer
            from stlib.evaluation import InformationRetrievalEvaluator

            evaluator = InformationRetrievalEvaluator(
                queries={"q1": "how do birds fly"},
                corpus={"d1": "Wings lift a bird.", "d2": "Bread is baked in an oven."},
                relevant_docs={"q1": {"d1"}},
                name="tiny",
            )
            results = evaluator(SentenceTransformer("stlib-static-en"))
            print(results[evaluator.primary_metric])  # tiny_cosine_ndcg@10
    """

    similarity_methods: ClassVar[tuple[Any, ...]] = (SentenceTransformer.similarity,)
    """Methods of models that do no more than call the similarity function which they name."""

    def __init__(
        self,
        queries: dict[Any, Any],
        corpus: dict[Any, Any],
        relevant_docs: Mapping[Any, Judgments],
        corpus_chunk_size: int = 50000,
        mrr_at_k: Sequence[int] = (10,),
        ndcg_at_k: Sequence[int] = (10,),
        accuracy_at_k: Sequence[int] = (1, 3, 5, 10),
        precision_recall_at_k: Sequence[int] = (1, 3, 5, 10),
        map_at_k: Sequence[int] = (100,),
        show_progress_bar: bool = False,
        batch_size: int = 32,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
        score_functions: ScoreFunctions | None = None,
        main_score_function: str | SimilarityFunction | None = None,
        query_prompt: str | None = None,
        query_prompt_name: str | None = None,
        corpus_prompt: str | None = None,
        corpus_prompt_name: str | None = None,
        write_predictions: bool = False,
    ) -> None:
        if corpus_chunk_size < 1:
            raise InvalidOption(f"corpus_chunk_size is {corpus_chunk_size}; use 1 or more")
        _check_forms(queries, corpus, relevant_docs)
        self.queries_ids = [qid for qid in queries if _grades(relevant_docs.get(qid, ()))]
        self.queries = [queries[qid] for qid in self.queries_ids]
        self.corpus_ids = list(corpus)
        self.corpus = list(corpus.values())
        self.relevant_docs = relevant_docs
        self._report_left_out(len(queries), corpus)
        self._corpus_id_ranks: Tensor | None = None

        self.query_prompt, self.query_prompt_name = query_prompt, query_prompt_name
        self.corpus_prompt, self.corpus_prompt_name = corpus_prompt, corpus_prompt_name
        self.corpus_chunk_size = corpus_chunk_size
        self.mrr_at_k, self.ndcg_at_k, self.map_at_k = list(mrr_at_k), list(ndcg_at_k), list(map_at_k)
        self.accuracy_at_k = list(accuracy_at_k)
        self.precision_recall_at_k = list(precision_recall_at_k)
        self.show_progress_bar = show_progress_bar
        self.batch_size = batch_size
        self.name = name
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        self.write_predictions = write_predictions
        stem = "Information-Retrieval_evaluation" + (f"_{name}" if name else "")
        self.csv_file = file_name(f"{stem}_results.csv")
        self.predictions_file = file_name(f"{stem}_predictions.jsonl")
        self._set_scoring(score_functions, main_score_function)

    def _report_left_out(self, n_queries: int, corpus: Mapping[Any, Any]) -> None:
        left_out = n_queries - len(self.queries)
        if left_out:
            logger.info("%d of %d queries have no relevant document and are left out", left_out, n_queries)
        missing = [d for q in self.queries_ids for d in _grades(self.relevant_docs[q]) if d not in corpus]
        if missing:
            logger.warning(
                "%d relevant documents are not in the corpus and count as never found, such as %r; ids in "
                "the corpus are like %r",
                len(missing),
                missing[0],
                self.corpus_ids[0],
            )

    def __call__(
        self,
        model: Any,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Metrics by name. Further arguments go to :meth:`compute_all_metrics`."""
        when = moment(epoch, steps, self.truncate_dim)
        logger.info("Information Retrieval Evaluation of the model on the %s dataset%s:", self.name, when)
        self._follow(model)
        scores, results = self._measure_all(model, *args, **kwargs)
        if self.write_csv:  # before the predictions: what fails there cannot lose the scores
            append_row(output_path, self.csv_file, self.csv_headers, self._row(epoch, steps, scores))
        self._write_all_predictions(output_path, results)
        self._choose_primary_metric(scores)
        metrics = self.prefix_name_to_metrics(flat_metrics(scores), self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def compute_all_metrics(
        self,
        model: Any,
        corpus_model: Any = None,
        corpus_embeddings: Any = None,
        output_path: str | None = None,
    ) -> dict[str, Scores]:
        """Values by score function, kind of metric and cut-off.

        Args:
            model: encodes the queries.
            corpus_model: encodes the documents; the same by default.
            corpus_embeddings: those of the documents, in the order of the corpus, if they are there already.
            output_path: folder for predictions.
        """
        scores, results = self._measure_all(model, corpus_model, corpus_embeddings)
        self._write_all_predictions(output_path, results)
        return scores

    compute_metrices = compute_all_metrics  # its older name

    def _measure_all(
        self, model: Any, corpus_model: Any = None, corpus_embeddings: Any = None
    ) -> tuple[dict[str, Scores], dict[str, list[Hits]]]:
        """What :meth:`compute_all_metrics` returns, and the results that it was measured from."""
        functions = self.score_functions or self._follow(model)
        results = self._search(model, corpus_model or model, corpus_embeddings, functions)
        logger.info("Queries: %d", len(self.queries))
        logger.info("Corpus: %d\n", len(self.corpus))
        scores = {name: self.compute_metrics(hits) for name, hits in results.items()}
        for name in self.score_function_names:
            logger.info("Score-Function: %s", name)
            self.output_scores(scores[name])
        return scores, results

    def _search(
        self, model: Any, corpus_model: Any, corpus_embeddings: Any, functions: ScoreFunctions
    ) -> dict[str, list[Hits]]:
        """The best documents of each query, by score function."""
        queries = self.embed_inputs(
            model,
            self.queries,
            encode_fn_name="query",
            prompt_name=self.query_prompt_name,
            prompt=self.query_prompt,
        )
        rankings = {
            name: CorpusRanking(queries, self._without_model(function), self._cutoffs.largest)
            for name, function in functions.items()
        }
        ranks = self.get_corpus_id_ranks().numpy()
        for start, rows in self._embed_corpus(corpus_model, corpus_embeddings):
            for ranking in rankings.values():
                ranking.add(rows, ranks[start : start + len(rows)])
            del rows  # before the next chunk is encoded
        return {name: self._hits(*ranking.result()) for name, ranking in rankings.items()}

    def _without_model(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The function behind a model's ``similarity``, which is known to take corpora in parts."""
        if getattr(function, "__func__", None) not in self.similarity_methods:
            return function
        model: Any = getattr(function, "__self__", None)
        return SimilarityFunction.to_similarity_fn(model.similarity_fn_name)

    def _embed_corpus(self, model: Any, embeddings: Any) -> Iterator[tuple[int, Any]]:
        """Embeddings of each chunk, with the position of its first document."""
        n, size = len(self.corpus), self.corpus_chunk_size
        if embeddings is not None and len(embeddings) != n:
            raise InvalidInput(f"there are {len(embeddings)} corpus_embeddings for {n} documents")
        given = None if embeddings is None else blocks(embeddings, size)
        for start in trange(0, n, size, desc="Corpus Chunks", disable=not self.show_progress_bar):
            if given is not None:
                yield next(given)
                continue
            yield (
                start,
                self.embed_inputs(
                    model,
                    self.corpus[start : start + size],
                    encode_fn_name="document",
                    prompt_name=self.corpus_prompt_name,
                    prompt=self.corpus_prompt,
                ),
            )

    def _hits(self, positions: np.ndarray, scores: np.ndarray) -> list[Hits]:
        ids = self.corpus_ids
        return [
            [{"corpus_id": ids[i], "score": score} for i, score in zip(*row, strict=True) if i >= 0]
            for row in zip(positions.tolist(), scores.tolist(), strict=True)
        ]

    def get_corpus_id_ranks(self) -> Tensor:
        """``[documents]``: the place of each document's id among all ids in ascending order."""
        if self._corpus_id_ranks is None:
            order = torch.tensor(_ascending(self.corpus_ids), dtype=torch.long)
            self._corpus_id_ranks = torch.empty_like(order)
            self._corpus_id_ranks[order] = torch.arange(len(order))
        return self._corpus_id_ranks

    def compute_metrics(self, queries_result_list: Sequence[Hits]) -> Scores:
        """Values by kind of metric and cut-off.

        Args:
            queries_result_list: for each of ``queries_ids`` its results in any order: dicts of ``corpus_id``
                and ``score``.
        """
        grades = [_grades(self.relevant_docs[qid]) for qid in self.queries_ids]
        gains = [
            [judged.get(hit["corpus_id"], 0.0) for hit in _best_first(hits)]
            for judged, hits in zip(grades, queries_result_list, strict=True)
        ]
        return self._cutoffs.measure(
            ranking_metrics.pad(gains),
            ranking_metrics.pad([sorted(judged.values(), reverse=True) for judged in grades]),
            np.array([len(judged) for judged in grades]),
        )

    def output_scores(self, scores: Scores) -> None:
        """Write what :meth:`compute_metrics` returned into the log."""
        log_scores(scores)

    @staticmethod
    def compute_dcg_at_k(relevances: Sequence[float], k: int) -> float:
        """Discounted cumulative gain of one ranking, given the gains of its documents."""
        return float(ranking_metrics.dcg_at_k(np.array([relevances], dtype=np.float64), k)[0])

    def embed_inputs(
        self,
        model: Any,
        sentences: Any,
        encode_fn_name: str | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Embeddings by ``encode``, or by ``encode_{encode_fn_name}`` (``"query"``, ``"document"``)."""
        method = "encode" if encode_fn_name is None else f"encode_{encode_fn_name}"
        return getattr(model, method)(
            sentences,
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_tensor=True,
            truncate_dim=self.truncate_dim,
            **kwargs,
        )

    def get_config_dict(self) -> dict[str, Any]:
        """Truncation and prompts, as far as they are set."""
        names = ("truncate_dim", "query_prompt", "query_prompt_name", "corpus_prompt", "corpus_prompt_name")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _write_all_predictions(self, output_path: Any, results: Mapping[str, Sequence[Hits]]) -> None:
        if self.write_predictions and output_path is not None:
            for name, hits in results.items():
                self._write_predictions(Path(output_path), name, hits)

    def _write_predictions(self, folder: Path, function_name: str, results: Sequence[Hits]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        stem = self.predictions_file.removesuffix(".jsonl")
        path = folder / file_name(f"{stem}_{function_name}.jsonl")
        with replacing(path) as file:
            for query_id, query, hits in zip(self.queries_ids, self.queries, results, strict=True):
                # Inputs that JSON cannot hold, such as images, are named by what they print as.
                line = {"query_id": query_id, "query": query, "results": hits}
                file.write(json.dumps(line, default=str) + "\n")


def _check_forms(queries: Any, corpus: Any, relevant_docs: Any) -> None:
    for name, value in (("queries", queries), ("corpus", corpus), ("relevant_docs", relevant_docs)):
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{name} is of type {type(value).__name__}; use a dict by id")
    if not corpus:
        raise InvalidInput("the corpus is empty; give at least one document")
    for query_id, judged in relevant_docs.items():
        if isinstance(judged, str) or not isinstance(judged, Collection):
            raise InvalidInput(f"relevant_docs[{query_id!r}] is {judged!r}; use a set of document ids")
    if not any(_grades(relevant_docs.get(query_id, ())) for query_id in queries):
        raise InvalidInput(
            f"none of the {len(queries)} queries has a relevant document; their ids are such as "
            f"{list(queries)[:1]}, those of relevant_docs such as {list(relevant_docs)[:1]}"
        )


def _grades(judged: Judgments) -> dict[Any, float]:
    """Gains of the relevant documents by id."""
    if isinstance(judged, Mapping):
        return {document: float(grade) for document, grade in judged.items() if grade > 0}
    return dict.fromkeys(judged, 1.0)


def _best_first(hits: Hits) -> Hits:
    hits = [hit for hit in hits if not math.isnan(hit["score"])]
    scores = [hit["score"] for hit in hits]
    if all(map(operator.gt, scores, scores[1:])):
        return hits
    try:
        return sorted(hits, key=lambda hit: (-hit["score"], hit["corpus_id"]))
    except TypeError:  # ids of different types, which have been put in order already
        return sorted(hits, key=lambda hit: -hit["score"])


def _ascending(ids: Sequence[Any]) -> list[int]:
    """Positions of the ids in ascending order; ids of different types are grouped by type."""
    try:
        return sorted(range(len(ids)), key=ids.__getitem__)
    except TypeError:
        return sorted(range(len(ids)), key=lambda i: (type(ids[i]).__name__, str(ids[i])))
