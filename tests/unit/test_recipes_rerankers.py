"""Recipes of rerankers on toy texts of four topics: they improve what they promise, and save what loads."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("datasets")
pytest.importorskip("accelerate")

from datasets import Dataset

from stlib import CrossEncoder
from stlib.recipes import (
    cross_encoder_distillation,
    cross_encoder_msmarco,
    cross_encoder_nli,
    cross_encoder_sts,
)
from stlib.recipes._reranking import reranking_evaluator

TOPICS = {
    "sea": "ship wave fish salt harbour sail anchor tide".split(),
    "kitchen": "bread oven dough flour yeast cake spoon butter".split(),
    "garden": "rose tree soil seed rain leaf bee spade".split(),
    "city": "street tram house bridge tower market car light".split(),
}
COMMON = "the not where is".split()
FAST = ["--batch-size", "16", "--learning-rate", "3e-3", "--warmup", "0"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """A BERT of one layer without a head, that knows the words of the topics."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "bert"
    words = [*COMMON, *(word for topic in TOPICS.values() for word in topic)]
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,
    )
    BertModel(config).eval().save_pretrained(folder)
    return str(folder)


def text(topic: str, draw: random.Random) -> str:
    return "the " + " ".join(draw.sample(TOPICS[topic], 3))


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> str:
    """A BEIR folder: questions of one word, answered by the documents with that word that do not say "not",
    which means nothing to BM25.
    """
    folder, draw = tmp_path_factory.mktemp("beir"), random.Random(1)
    documents = {}
    for number, topic in enumerate(list(TOPICS) * 20):
        documents[f"d{number}"] = text(topic, draw) + (" not" if draw.random() < 0.6 else " is")
    words = [word for topic in TOPICS.values() for word in topic]
    queries = {f"q{number}": f"where {word}" for number, word in enumerate(words)}
    judgments = {"train": [], "test": []}
    for number, word in enumerate(words):
        right = [i for i, one in documents.items() if word in one.split() and "not" not in one]
        judgments["test" if number % 4 == 0 else "train"] += [(f"q{number}", i) for i in right]
    for name, rows in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": i, "text": one}) + "\n" for i, one in rows.items()]
        (folder / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    (folder / "qrels").mkdir()
    for split, pairs in judgments.items():
        lines = ["query-id\tcorpus-id\tscore", *(f"{q}\t{d}\t1" for q, d in pairs)]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return str(folder)


def table(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def reranker(tiny, collection, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("reranker"))
    options = ["--train", collection, "--eval", collection, "--model", tiny, "--output", folder, *FAST]
    mining = ["--margin", "0", "--negatives", "3", "--depth", "20", "--epochs", "4"]
    return folder, cross_encoder_msmarco.main([*options, *mining])


def test_a_reranker_learns_to_order(reranker):
    folder, outcome = reranker
    assert outcome.after > outcome.before + 0.1
    model = CrossEncoder(folder)
    assert model.rank("where ship", ["the ship wave salt not", "the ship wave salt is"])[0]["corpus_id"] == 1


def test_the_figure_is_printed_beside_that_of_bm25(tiny, collection, tmp_path, capsys):
    options = ["--train", collection, "--eval", collection, "--model", tiny, "--output", str(tmp_path)]
    cross_encoder_msmarco.main([*options, *FAST, "--max-steps", "1", "--limit", "20", "--margin", "0"])
    printed = capsys.readouterr().out
    for when in ("before", "after"):
        assert f"{when} training: reranking_ndcg@10 = " in printed
        assert f"{when} training: reranking_base_ndcg@10 = " in printed


def test_both_figures_are_of_the_same_lists(tmp_path):
    """Of two answers BM25 finds one, at the second place: 1 / log2(3) for its order and a model like it."""
    documents = {"d1": "the ship ship", "d2": "the ship is a long one", "d3": "tide"}
    for name, rows in (("corpus", documents), ("queries", {"q": "ship", "none": "bread"})):
        lines = [json.dumps({"_id": i, "text": one}) + "\n" for i, one in rows.items()]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("q\td2\t1\nq\td3\t1\nnone\td1\t1\n", "utf-8")

    class AsFound:
        def predict(self, pairs, **options):
            return -np.arange(len(pairs), dtype=np.float32)

    metrics = reranking_evaluator(str(tmp_path), split="test", depth=10)(AsFound())
    expected = 1 / np.log2(3) / 2  # a question without anything found counts 0
    assert metrics["reranking_base_ndcg@10"] == pytest.approx(expected)
    assert metrics["reranking_ndcg@10"] == pytest.approx(expected)


def test_the_example_of_readme_runs(tiny, tmp_path, monkeypatch):
    """As it is written, but on a small folder in place of the model of the hub."""
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
    (source,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "Trainer(" in block)
    source, replaced = re.subn(r'CrossEncoder\("[^"]+"', f"CrossEncoder({tiny!r}", source)
    assert replaced == 1
    monkeypatch.chdir(tmp_path)
    program: dict[str, object] = {}
    exec(source, program)
    model, pairs = CrossEncoder("reranker"), [("How do I sort a list?", "Call sorted().")]
    np.testing.assert_allclose(model.predict(pairs), program["model"].predict(pairs), atol=1e-6)
    assert program["trainer"].state.epoch == 3


@pytest.mark.parametrize("loss", ["margin_mse", "mse"])
def test_a_student_learns_from_a_teacher(loss, reranker, tiny, collection, tmp_path):
    options = ["--train", collection, "--eval", collection, "--model", tiny, "--teacher", reranker[0]]
    more = ["--output", str(tmp_path), "--loss", loss, "--margin", "0", "--depth", "20", "--epochs", "4"]
    outcome = cross_encoder_distillation.main([*options, *more, *FAST])
    assert outcome.after > outcome.before
    assert outcome.losses[-1] < outcome.losses[0] / 2


def test_what_the_teacher_says_are_logits():
    class Teacher:
        def predict(self, pairs, batch_size, activation_fn):
            assert isinstance(activation_fn, torch.nn.Identity)
            return np.array([len(passage) for _, passage in pairs], dtype=np.float32)

    triplets = Dataset.from_dict({"anchor": ["q", "q"], "positive": ["abc", "abc"], "negative": ["a", "ab"]})
    made = cross_encoder_distillation.label_triplets(triplets, Teacher(), "margin_mse")
    assert made["label"][:] == [2.0, 1.0]
    made = cross_encoder_distillation.label_triplets(triplets, Teacher(), "mse")
    assert list(zip(made["passage"], made["label"], strict=True)) == [("abc", 3), ("a", 1), ("ab", 2)]


def test_similarity_of_sentences(tiny, tmp_path):
    draw, rows = random.Random(3), []
    for i in range(160):
        topic = draw.choice(list(TOPICS))
        other = ("not " if i % 2 else "") + text(topic, draw)
        rows.append({"sentence1": text(topic, draw), "sentence2": other, "score": 5.0 * (1 - i % 2)})
    train, dev = table(tmp_path / "train.jsonl", rows[:128]), table(tmp_path / "dev.jsonl", rows[128:])
    options = ["--train", train, "--eval", dev, "--model", tiny, "--output", str(tmp_path / "model"), *FAST]
    outcome = cross_encoder_sts.main(options)
    assert outcome.after > outcome.before
    assert CrossEncoder(str(tmp_path / "model")).num_labels == 1


def test_inference(tiny, tmp_path):
    draw, rows = random.Random(4), []
    for i in range(180):
        topic, label = draw.choice(list(TOPICS)), ("entailment", "neutral", "contradiction")[i % 3]
        other = draw.choice([one for one in TOPICS if one != topic])
        words = {"entailment": topic, "neutral": other, "contradiction": topic}[label]
        hypothesis = ("not " if label == "contradiction" else "") + text(words, draw)
        rows.append({"premise": text(topic, draw), "hypothesis": hypothesis, "label": label})
    train, dev = table(tmp_path / "train.jsonl", rows[:150]), table(tmp_path / "dev.jsonl", rows[150:])
    options = ["--train", train, "--eval", dev, "--model", tiny, "--output", str(tmp_path / "model"), *FAST]
    outcome = cross_encoder_nli.main([*options, "--epochs", "4"])
    assert outcome.after > outcome.before + 0.1
    model = CrossEncoder(str(tmp_path / "model"))
    assert model.config.id2label == {0: "entailment", 1: "neutral", 2: "contradiction"}
