"""The model itself, learning on from judged questions; the collection is embedded anew with it.

How much of what was learned is kept comes from cross-validation, in which the passages that may come up are
embedded by each model that is tried: how they stand among all documents of the collection is told from how
the present model sees both. The gate looks at the real index.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from app.tuning.data import FEWEST, TuningData
from app.tuning.legs import View, make_view
from app.tuning.levers import LOSS, CvReport, Fitted, Tell, choose, judge_gains
from app.tuning.negatives import find_negatives
from app.tuning.trained.bi_encoder import ModelTraining, Row
from indexing.documents import ChunkSettings
from indexing.embed import Titled, cut, passages
from indexing.errors import BadInput
from indexing.models.held import NO_MODEL
from indexing.models.trust import recorded_source, trusted_source
from indexing.search.settings import SearchSettings
from stlib.runtime import BUNDLED_MODEL_NAME, default_model_path

__all__ = ["FullLever"]

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of what was learned that are tried."""
WRONG = 4
"""Wrong answers beside each answer."""
MOST_ANSWERS = 8
"""Of one question, the best: a question with very many must not outweigh the others."""


class FullLever:
    """See `Lever`. It lasts from a minute (a static model) to hours (a transformer).

    Args:
        model: folder or name of a model with weights that can learn; None is that of the generation.
        shown: question id → documents that were shown and not chosen, see `app.tuning.negatives`.
    """

    name = "full"
    cross_fits = False
    """Fitting it for each fold of the gate would make an index each: it is measured on held-out questions."""

    def __init__(self, model: str | None = None, shown: Mapping[str, Sequence[str]] | None = None) -> None:
        self.model = model or None
        self.shown = dict(shown or {})

    def estimate_seconds(self, questions: int, documents: int) -> float:
        """About how long `fit` and embedding anew take on two cores, for a static model."""
        return 10.0 + 0.5 * questions + documents / 1000

    def fit(
        self, data: TuningData, positions: np.ndarray, start: SearchSettings, tell: Tell
    ) -> Fitted | None:
        """See `Lever.fit`. The model is in memory only: see `app.tuning.trained.candidates`. What was learned
        of the vectors of the present model, a head and a memory, is not among the settings.

        Raises:
            BadInput: the model cannot be trained, or what training needs is missing.
        """
        if data.mode == "keyword" or len(positions) < FEWEST:
            return None
        training = ModelTraining(self.model or _source(data))
        texts = _read_texts(data, positions, training)
        rows = [self._rows(data, int(at), texts) for at in positions]
        report = _cross_validate(training, data, positions, start, texts, rows, tell)
        if report is None:
            return None
        learned = training.learn(_flat(rows), partial(tell, f"{LOSS}, all questions"))
        made = training.made(learned, report.chosen["learned"])
        settings = replace(start, head=None, memory=None)
        note = f"model trained on {len(positions)} judged questions"
        return Fitted(self.name, settings, report, note, made=made)

    def _rows(self, data: TuningData, at: int, texts: _Texts) -> list[Row]:
        """What is learned from a question: each answer beside the same wrong ones."""
        question, pool = data.questions[at], data.pools[at]
        good = [place for place in np.argsort(-pool.gains, kind="stable").tolist() if pool.gains[place] > 0]
        vector = texts.questions[at]
        wrong = find_negatives(data, at, WRONG, shown=self.shown.get(question.id, ()))
        beside = [text for place in wrong if (text := texts.nearest(pool.ids[place], vector)) is not None]
        if not beside:
            return []
        beside = (beside * WRONG)[:WRONG]  # every row has as many
        answers = [texts.nearest(pool.ids[place], vector) for place in good[:MOST_ANSWERS]]
        return [Row(question.text, answer, tuple(beside)) for answer in answers if answer is not None]


@dataclass(frozen=True)
class _Texts:
    """The passages of all documents that may come up, as they are embedded.

    Attributes:
        passages: document by document.
        spans: document id → where its passages begin and end in `passages`.
        vectors: of the passages by the model before it learns, float32 [passages, d].
        questions: position of a question → its vector by the same.
    """

    passages: list[str]
    spans: dict[str, tuple[int, int]]
    vectors: np.ndarray
    questions: dict[int, np.ndarray]

    def nearest(self, id_: str, vector: np.ndarray) -> str | None:
        """The passage of a document that is nearest to a question; None if it has none."""
        start, end = self.spans.get(id_, (0, 0))
        if start == end:
            return None
        return self.passages[start + int(np.argmax(self.vectors[start:end] @ vector))]


def _source(data: TuningData) -> str:
    """Where the model of the generation lies.

    Raises:
        BadInput: there is none. UntrustedModel: it was never used on this machine.
    """
    generation = data.probe.generation
    if generation.fingerprint == NO_MODEL:
        raise BadInput("the collection has vectors of somebody's own and no model that could be trained")
    if generation.model == BUNDLED_MODEL_NAME and recorded_source(generation.fingerprint) is None:
        return os.fspath(default_model_path())
    return trusted_source(generation.model, generation.fingerprint)


def _read_texts(data: TuningData, positions: np.ndarray, training: ModelTraining) -> _Texts:
    ids = sorted({id_ for at in positions.tolist() for id_ in data.documents[at]})
    stored = data.probe.texts(ids)
    titled = [Titled(one.title, one.text) for one in stored.values()]
    cuts = cut(titled, training.encoder, ChunkSettings(**data.probe.generation.chunking))
    ends = np.cumsum([len(part) for part in cuts]).tolist()
    spans = {id_: (end - len(part), end) for id_, part, end in zip(stored, cuts, ends, strict=True)}
    texts = list(passages(titled, cuts))
    asked = [data.questions[at].text for at in positions.tolist()]
    questions, vectors = training.encode(training.model, asked, texts)
    return _Texts(texts, spans, vectors, dict(zip(positions.tolist(), questions, strict=True)))


def _cross_validate(
    training: ModelTraining,
    data: TuningData,
    positions: np.ndarray,
    start: SearchSettings,
    texts: _Texts,
    rows: Sequence[Sequence[Row]],
    tell: Tell,
) -> CvReport | None:
    """The best share of what is learned, by questions that were not learned from; None where none helps."""
    before = make_view(data, positions, start).ndcg(start)
    settings = replace(start, head=None, memory=None)
    folds = data.folds[positions] % training.kind.folds
    gains = {share: np.zeros(len(positions)) for share in SHARES}
    for fold in np.unique(folds).tolist():
        here = np.flatnonzero(folds == fold)
        others = [part for part, own in zip(rows, folds, strict=True) if own != fold]
        if not _flat(others):
            continue
        learned = training.learn(_flat(others), partial(tell, f"{LOSS}, fold {fold + 1}"))
        for share in SHARES:
            model = training.made(learned, share)
            after = _view_by(training, model, data, positions[here], texts).ndcg(settings)
            gains[share][here] = after - before[here]
    reports = [judge_gains(values, {"learned": share}) for share, values in gains.items()]
    for report in reports:
        tell(f"learned {report.chosen['learned']:g}", report.gain)
    return choose(reports)


def _flat(rows: Sequence[Sequence[Row]]) -> list[Row]:
    return [row for part in rows for row in part]


def _view_by(
    training: ModelTraining, model: Any, data: TuningData, positions: np.ndarray, texts: _Texts
) -> View:
    """The questions at `positions` as `model` sees them."""
    asked = [data.questions[at].text for at in positions.tolist()]
    questions, vectors = training.encode(model, asked, texts.passages)
    before = np.stack([texts.questions[at] for at in positions.tolist()])
    semantic = np.zeros((len(positions), data.real.shape[1]), np.float32)
    scale = data.semantic_scale[positions].copy()
    ids = [id_ for id_, (first, end) in texts.spans.items() if end > first]
    firsts = np.asarray([texts.spans[id_][0] for id_ in ids], np.int64)
    column = {id_: number for number, id_ in enumerate(ids)}
    for row, at in enumerate(positions.tolist()):
        now = np.maximum.reduceat(vectors @ questions[row], firsts)
        then = np.maximum.reduceat(texts.vectors @ before[row], firsts)
        for id_, place in data.documents[at].items():
            if id_ in column:
                semantic[row, place] = now[column[id_]]
        # These documents are no sample of all, whose middle and spread are moved as theirs have moved.
        scale[row, 0] += now.mean() - then.mean()
        scale[row, 1] *= now.std() / max(float(then.std()), 1e-6)
    return View(data, positions, semantic, scale)
