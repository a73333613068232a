"""Recipes of sparse models on toy texts: they learn, stay sparse, and what they save loads."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("datasets")
pytest.importorskip("accelerate")

from stlib import SentenceTransformer, SparseEncoder
from stlib.errors import InvalidOption
from stlib.recipes import csr, inference_free, sparse_distillation, splade
from stlib.recipes._sparse import sparse_retrieval_evaluator

WORDS = (
    "ship wave fish salt harbour sail anchor tide bread oven dough flour yeast cake spoon butter rose tree "
    "soil seed rain leaf bee spade street tram house bridge tower market car light"
).split()
SUBJECTS = list(zip(WORDS[::2], WORDS[1::2], strict=True))
FAST = ["--batch-size", "16", "--learning-rate", "1e-2", "--warmup", "0", "--epochs", "16"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    # Every training ends with a full garbage collection; this spares it the objects that all tests share.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """A BERT of two layers with a masked-language head that knows the words."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *"the and what where is in".split(), *WORDS]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(words))}
    BertWordPieceTokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    tokenizer = BertTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), model_max_length=32)
    tokenizer.save_pretrained(folder / "bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=32,
        initializer_range=0.2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    BertForMaskedLM(config).save_pretrained(folder / "bert")
    return str(folder / "bert")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """Passages about two words, and questions that name these words."""
    folder = tmp_path_factory.mktemp("beir")
    (folder / "qrels").mkdir()
    wordings = {"train": ("what is {} {}", "what is {1} {0}"), "test": ("what is {} {}",)}
    corpus = [{"_id": f"d{i}", "text": f"{a} and {b}"} for i, (a, b) in enumerate(SUBJECTS)]
    queries = []
    for split, forms in wordings.items():
        judged = ["query-id\tcorpus-id\tscore"]
        for i, subject in enumerate(SUBJECTS):
            for form in forms:
                queries.append({"_id": f"{split}{len(judged)}", "text": form.format(*subject)})
                judged.append(f"{queries[-1]['_id']}\td{i}\t1")
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(judged))
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder)


@pytest.fixture
def start(tiny, data, tmp_path) -> list[str]:
    return ["--model", tiny, "--train", data, "--eval", data, "--output", str(tmp_path / "out"), *FAST]


def measure(data: str, folder: Path) -> dict[str, float]:
    return sparse_retrieval_evaluator(data)(SparseEncoder(str(folder), device="cpu"))


class Counting:
    """Scores pairs as a reranker would that counts what they share."""

    def predict(self, pairs, batch_size=32):
        return np.array([4.0 * len({*a.split()} & {*b.split()}) for a, b in pairs])


def test_splade_learns_and_stays_sparse(data, start, tmp_path):
    outcome = splade.main([*start, "--document-weight", "0.2", "--query-weight", "0.2"])
    assert outcome.after > outcome.before + 0.3
    again = measure(data, tmp_path / "out")
    assert again["retrieval_dot_ndcg@10"] == pytest.approx(outcome.after, abs=1e-6)
    dense = SparseEncoder(str(start[1]), device="cpu").encode("ship and wave").coalesce().values().numel()
    assert again["retrieval_corpus_active_dims"] < 0.7 * dense


def test_splade_in_mini_batches_learns_as_well(start):
    assert splade.main([*start, "--mini-batch-size", "5"]).after > 0.9


@pytest.mark.parametrize("frozen", [False, True])
def test_questions_are_looked_up(data, start, tiny, tmp_path, frozen):
    outcome = inference_free.main([*start, *(["--freeze-queries"] if frozen else ["--query-rate", "1e-2"])])
    assert outcome.after > outcome.before + 0.3
    model = SparseEncoder(str(tmp_path / "out"), device="cpu")
    assert measure(data, tmp_path / "out")["retrieval_dot_ndcg@10"] == pytest.approx(outcome.after, abs=1e-6)
    # One dimension for each word of a question, and none beside them
    decoded = dict(model.decode(model.encode_query("what is ship wave")))
    assert decoded.keys() == {"what", "is", "ship", "wave"}
    n, of_all, of_none = 16, np.log1p(0.5 / 16.5), np.log1p(16.5 / 0.5)
    table = model[0].sub_modules["query"][0].weight.detach()
    words = model.tokenizer.get_vocab()
    begin = {"and": of_all, "what": of_none, "ship": np.log1p((n - 1 + 0.5) / 1.5)}
    moved = [abs(float(table[words[word]]) - weight) for word, weight in begin.items()]
    assert max(moved) < 1e-5 if frozen else moved[1] > 1e-3


def test_csr_makes_a_dense_model_sparse(data, start, tiny, tmp_path):
    base = tmp_path / "dense"
    SentenceTransformer(tiny, device="cpu").save_pretrained(str(base))
    start[1] = str(base)
    outcome = csr.main([*start, "--dimension", "128", "--active", "8", "--whole"])
    assert outcome.after > outcome.before + 0.3
    again = measure(data, tmp_path / "out")
    assert again["retrieval_cosine_ndcg@10"] == pytest.approx(outcome.after, abs=1e-6)
    assert again["retrieval_corpus_active_dims"] <= 8
    with pytest.raises(InvalidOption, match="--active is 40 of 128 latents; take at most a quarter"):
        csr.main([*start, "--dimension", "128", "--active", "40"])


def test_csr_leaves_the_dense_model_alone(start, tiny, tmp_path):
    csr.main([*start, "--active", "8", "--epochs", "1"])
    before = SentenceTransformer(tiny, device="cpu").state_dict()
    after = SparseEncoder(str(tmp_path / "out"), device="cpu").state_dict()
    # The head for whole texts is new whenever a masked-language model is loaded.
    same = [torch.equal(after[name], weights) for name, weights in before.items() if "pooler" not in name]
    assert len(same) > 20
    assert all(same)


@pytest.mark.parametrize("loss", ["margin_mse", "kl"])
def test_distillation_follows_a_reranker(start, loss):
    options = ["--loss", loss, "--negatives", "3", "--learning-rate", "3e-3", "--epochs", "40"]
    outcome = sparse_distillation.main([*start, *options], teacher=Counting())
    assert outcome.after > outcome.before + 0.2
    assert outcome.losses[-1] < outcome.losses[0]
