"""The base of evaluators, and several in a row, beside the reference."""

from __future__ import annotations

import numpy as np
import pytest

from stlib.evaluation import SentenceEvaluator, SequentialEvaluator

pytestmark = pytest.mark.parity


def fixed(base):
    """An evaluator that returns what it is given, and remembers how it was called."""

    class NDCGOfHTMLPagesEvaluator(base):
        def __init__(self, result, primary_metric=None):
            super().__init__()
            self.result, self.primary_metric = result, primary_metric

        def __call__(self, model, output_path=None, epoch=-1, steps=-1):
            self.call = (model, output_path, epoch, steps)
            return self.result

    return NDCGOfHTMLPagesEvaluator


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.base.evaluation")


@pytest.mark.parametrize("name", ["", "dev"])
@pytest.mark.parametrize("primary", [None, "ndcg", "dev_ndcg"])
def test_names_of_metrics(theirs, name, primary):
    ours, their = (fixed(base)({}, primary) for base in (SentenceEvaluator, theirs.SentenceEvaluator))
    metrics = {"ndcg": np.float32(0.25), "dev_map": 1, "mrr": 0.5}
    found, expected = (e.prefix_name_to_metrics(dict(metrics), name) for e in (ours, their))
    assert found == expected
    assert all(type(value) is float for value in found.values())
    assert ours.primary_metric == their.primary_metric
    assert ours.description == their.description
    assert ours.get_config_dict() == their.get_config_dict() == {}
    assert ours.greater_is_better is their.greater_is_better is True


@pytest.mark.parametrize(
    "results",
    [
        [({"a": 1.0, "b": 2.0}, "b"), (0.5, None), ({"c": 3.0}, "c")],
        [(0.1, None), (0.2, None)],
        [({"a": 1.0, "b": 2.0}, None)],
        [],
    ],
)
@pytest.mark.parametrize("main", [None, sum])
def test_several_in_a_row(theirs, results, main):
    if not results and main is not None:
        pytest.skip("without evaluators there is no score")
    found = []
    for module, base in ((SequentialEvaluator, SentenceEvaluator), (theirs.SequentialEvaluator, None)):
        parts = [fixed(base or theirs.SentenceEvaluator)(*result) for result in results]
        whole = module(parts) if main is None else module(parts, main_score_function=main)
        found.append((whole("model", "folder", 2, 30), whole.primary_metric, [part.call for part in parts]))
    assert found[0] == found[1]


def test_a_model_without_card_data_keeps_no_metrics():
    evaluator = fixed(SentenceEvaluator)({"a": 1.0}, "a")
    evaluator.store_metrics_in_model_card_data(object(), {"a": 1.0}, 1, 2)


def test_metrics_reach_the_card_data():
    class Card:
        def set_evaluation_metrics(self, evaluator, metrics, epoch=0, step=0):
            self.seen = (evaluator, metrics, epoch, step)

    class Model:
        model_card_data = Card()

        def encode(self, sentences, **kwargs):
            return [len(sentence) for sentence in sentences], kwargs

    evaluator = fixed(SentenceEvaluator)({"a": 1.0}, "a")
    evaluator.store_metrics_in_model_card_data(Model(), {"a": 1.0}, 1, 2)
    assert Model.model_card_data.seen == (evaluator, {"a": 1.0}, 1, 2)
    assert evaluator.embed_inputs(Model(), ["ab", "c"], batch_size=3) == ([2, 1], {"batch_size": 3})
