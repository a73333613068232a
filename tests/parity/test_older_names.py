"""Older names work, and tell the name of today where the reference does, in the same way, once."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path

import pytest
from transformers.utils import logging as logging_of_transformers

import stlib
import stlib.losses
import stlib.models
import stlib.sentence_transformer.model_card
from stlib.util import older_names

pytestmark = pytest.mark.parity

# What is written, and the name of today. `m` is a bi-encoder, `c` a reranker, `s` sparse, `lib` a library.
LOGGED = [
    ("m.encode(sentences=['a'])", "inputs"),
    ("m.encode_query(sentences=['a'])", "inputs"),
    ("m.encode_document(sentences=['a'])", "inputs"),
    ("m.tokenize(['a'])", "preprocess(…)"),
    ("m[0].tokenize(['a'])", "preprocess(…)"),
    ("lib.SentenceTransformer(bert, tokenizer_kwargs={'model_max_length': 9})", "processor_kwargs"),
    ("c.predict(sentences=[('a', 'b')])", "inputs"),
    ("c.predict([('a', 'b')], activation_fct=identity)", "activation_fn"),
    ("c.predict([('a', 'b')], num_workers=0)", "leave it out"),
    ("lib.CrossEncoder(reranker, 1)", "num_labels=1"),
    ("lib.CrossEncoder(reranker, default_activation_function=identity)", "activation_fn"),
    ("lib.CrossEncoder(reranker, automodel_args={})", "model_kwargs"),
    ("lib.CrossEncoder(reranker, classifier_dropout=0.1)", "config_kwargs={'classifier_dropout': 0.1}"),
    ("modules.Pooling(word_embedding_dimension=4)", "embedding_dimension"),
    ("modules.LSTM(word_embedding_dimension=4, hidden_dim=4)", "embedding_dimension"),
    ("modules.CNN(in_word_embedding_dimension=4)", "in_embedding_dimension"),
    ("modules.WeightedLayerPooling(word_embedding_dimension=4)", "embedding_dimension"),
    ("modules.Transformer(bert, tokenizer_args={})", "processor_kwargs"),
    ("modules.Transformer(bert, cache_dir='.')", "model_kwargs={'cache_dir': …}"),
    ("losses.SoftmaxLoss(m, sentence_embedding_dimension=32, num_labels=2)", "embedding_dimension"),
    ("lib.SentenceTransformerTrainer(m, args('.'), tokenizer=m.tokenizer)", "processing_class"),
    ("args('.', warmup_ratio=0.1)", "warmup_steps"),
    ("s.encode(sentences=['a'])", "inputs"),
    ("lib.SparseEncoder(mlm, tokenizer_kwargs={'model_max_length': 9})", "processor_kwargs"),
    ("sparse.SpladePooling(word_embedding_dimension=4)", "embedding_dimension"),
    ("sparse.MLMTransformer(mlm)", "transformer_task='fill-mask'"),
]
WARNED = [
    ("m.get_sentence_embedding_dimension()", FutureWarning, "get_embedding_dimension"),
    ("m[1].get_sentence_embedding_dimension()", FutureWarning, "get_embedding_dimension"),
    ("m[0].get_word_embedding_dimension()", FutureWarning, "get_embedding_dimension"),
    ("s.get_sentence_embedding_dimension()", FutureWarning, "get_embedding_dimension"),
    ("m.truncate_sentence_embeddings(4).__enter__()", FutureWarning, "truncate_embeddings"),
    ("lib.SentenceTransformer(bert, use_auth_token='x')", FutureWarning, "token"),
    ("modules.Pooling(4, pooling_mode_cls_token=True)", FutureWarning, "pooling_mode='cls'"),
    ("lib.SentenceTransformer.load(bert)", DeprecationWarning, r"SentenceTransformer\(path\)"),
    ("c.max_length", DeprecationWarning, "max_seq_length"),
    ("setattr(c, 'max_length', 9)", DeprecationWarning, "max_seq_length"),
    ("c.default_activation_function", DeprecationWarning, "activation_fn"),
    (
        "evaluation.CEF1Evaluator([['a', 'b'], ['c', 'd']], [0, 1])",
        DeprecationWarning,
        "CrossEncoderClassificationEvaluator",
    ),
    (
        "evaluation.CECorrelationEvaluator([['a', 'b'], ['c', 'd']], [0.1, 1.0])",
        DeprecationWarning,
        "CrossEncoderCorrelationEvaluator",
    ),
    (
        "__import__('importlib').import_module(name + '.losses.CoSENTLoss').CoSENTLoss",
        DeprecationWarning,
        "write from stlib.losses import CoSENTLoss",
    ),
]


@pytest.fixture(scope="module")
def names(reference, tiny_bert, tiny_mlm, tiny_reranker, tmp_path_factory):
    """What an expression may use, for each library."""
    import sentence_transformers.cross_encoder.evaluation as their_evaluation
    import sentence_transformers.sentence_transformer.losses as their_losses
    import sentence_transformers.sentence_transformer.modules as their_modules
    import sentence_transformers.sparse_encoder.modules as their_sparse
    import torch

    import stlib.cross_encoder.evaluation
    import stlib.sparse_encoder.modules

    shared = {"bert": tiny_bert, "mlm": tiny_mlm, "reranker": tiny_reranker, "identity": torch.nn.Identity()}

    def of(library, modules, sparse, losses, evaluation):
        folder = tmp_path_factory.mktemp("out")
        return {
            **shared,
            "lib": library,
            "name": library.__name__,
            "modules": modules,
            "sparse": sparse,
            "s": library.SparseEncoder(tiny_mlm, device="cpu"),
            "losses": losses,
            "evaluation": evaluation,
            "m": library.SentenceTransformer(tiny_bert, device="cpu"),
            "c": library.CrossEncoder(tiny_reranker, device="cpu"),
            "args": lambda _, **more: library.SentenceTransformerTrainingArguments(
                str(folder), report_to="none", **more
            ),
        }

    return {
        "ours": of(
            stlib,
            stlib.models,
            stlib.sparse_encoder.modules,
            stlib.losses,
            stlib.cross_encoder.evaluation,
        ),
        "theirs": of(reference, their_modules, their_sparse, their_losses, their_evaluation),
    }


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(older_names, "_told", set())
    logging_of_transformers.warning_once.cache_clear()


def run(expression, variables, handler):
    """Warnings of Python and of logs that an expression gives."""
    handler.records.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        eval(expression, dict(variables))
    deprecations = [w for w in caught if issubclass(w.category, (FutureWarning, DeprecationWarning))]
    return deprecations, [record.getMessage() for record in handler.records]


@pytest.fixture
def logs():
    """A handler of what either library logs as a warning."""

    class Kept(logging.Handler):
        def __init__(self):
            super().__init__(logging.WARNING)
            self.records = []

        def emit(self, record):
            if record.levelno >= logging.WARNING:
                self.records.append(record)

    handler = Kept()
    loggers = [logging.getLogger(name) for name in ("stlib", "sentence_transformers")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.mark.parametrize(("expression", "newer"), LOGGED)
def test_the_log_tells_the_name_of_today_once(names, logs, expression, newer):
    _, said = run(expression, names["theirs"], logs)
    assert any("deprecated" in line for line in said), said
    _, said = run(expression, names["ours"], logs)
    assert [line for line in said if newer in line and ("write" in line or "leave" in line)], said
    _, again = run(expression, names["ours"], logs)
    assert not [line for line in again if newer in line]


@pytest.mark.parametrize(("expression", "category", "newer"), WARNED)
def test_python_warns_of_the_older_name(names, logs, expression, category, newer):
    theirs, _ = run(expression, names["theirs"], logs)
    assert category in [warning.category for warning in theirs]
    ours, _ = run(expression, names["ours"], logs)
    assert [w for w in ours if w.category is category and re.search(newer, str(w.message))]
    package = str(Path(stlib.__file__).parent)
    assert not ours[0].filename.startswith(package), "the place is that of the caller"


def test_files_of_earlier_generations_warn_nobody(names, tmp_path, logs, tiny_bert):
    model = stlib.SentenceTransformer(tiny_bert, device="cpu")
    model.save(tmp_path / "model")
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}'
    )
    (tmp_path / "model" / "sentence_bert_config.json").write_text('{"tokenizer_args": {}}')
    ours, said = run("lib.SentenceTransformer(folder)", {**names["ours"], "folder": tmp_path / "model"}, logs)
    assert (ours, said) == ([], [])
    loaded = stlib.SentenceTransformer(tmp_path / "model", device="cpu")
    assert loaded[1].get_config_dict()["pooling_mode"] == ("cls", "max")
