"""Training recipes on toy texts of four topics: what they save loads, what they promise to improve does."""

from __future__ import annotations

import ast
import gc
import itertools
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("datasets")
pytest.importorskip("accelerate")

from stlib import SentenceTransformer
from stlib.errors import InvalidOption
from stlib.recipes import (
    _data,
    _labels,
    _layers,
    adaptive_pretraining,
    augmented_sbert,
    ct,
    distillation,
    gpl,
    late_interaction,
    matryoshka,
    mlm,
    msmarco,
    multilingual,
    nli,
    paraphrases,
    quora_duplicates,
    router,
    simcse,
    static_model,
    sts,
    tsdae,
)
from stlib.recipes import adaptive_layers as adaptive_layers_recipe
from stlib.recipes import prompts as prompts_recipe

TOPICS = {
    "sea": "ship wave fish salt harbour sail anchor tide".split(),
    "kitchen": "bread oven dough flour yeast cake spoon butter".split(),
    "garden": "rose tree soil seed rain leaf bee spade".split(),
    "city": "street tram house bridge tower market car light".split(),
}
COMMON = "the a of in with and where is what query document".split()
FAST = ["--batch-size", "16", "--learning-rate", "1e-3", "--warmup", "0"]


def text(topic: str, draw: random.Random) -> str:
    return "the " + " ".join(draw.sample(TOPICS[topic], 4))


def translated(words: str) -> str:
    """The same in a language of its own, where every word is spelled backwards."""
    return " ".join(word[::-1] for word in words.split())


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
    """A BERT of three layers that knows the words of the topics, backwards too, saved with stlib."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    words = sorted({word for topic in TOPICS.values() for word in topic}) + COMMON
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = dict.fromkeys([*special, *words, *(word[::-1] for word in words)])
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    BertWordPieceTokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    tokenizer = BertTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), model_max_length=32)
    tokenizer.save_pretrained(folder / "bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=32,
        initializer_range=0.2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    BertForMaskedLM(config).save_pretrained(folder / "bert")
    SentenceTransformer(str(folder / "bert"), device="cpu").save_pretrained(str(folder / "model"))
    return str(folder / "model")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Files of every kind that the recipes read."""
    folder = tmp_path_factory.mktemp("data")
    draw = random.Random(0)
    topics = list(TOPICS)
    for split, count in (("train", 96), ("test", 60)):
        pairs = []
        for i in range(count):
            first = draw.choice(topics)
            second = first if i % 2 else draw.choice([t for t in topics if t != first])
            pairs.append((text(first, draw), text(second, draw), int(first == second)))
        scored = "".join(f"{a},{b},{1 + 3 * same}\n" for a, b, same in pairs)
        (folder / f"sts-{split}.csv").write_text(f"sentence1,sentence2,score\n{scored}")
        alike = "".join(f"{a}\t{b}\n" for a, b, same in pairs if same)
        (folder / f"pairs-{split}.tsv").write_text(f"anchor\tpositive\n{alike}")
        labelled = "".join(f"{a}\t{b}\t{same}\n" for a, b, same in pairs)
        (folder / f"quora-{split}.tsv").write_text(f"question1\tquestion2\tis_duplicate\n{labelled}")
        (folder / f"parallel-{split}.tsv").write_text("".join(f"{a}\t{translated(a)}\n" for a, _, _ in pairs))
    inferences = []
    for _ in range(32):
        first, second = draw.sample(topics, 2)
        premise = text(first, draw)
        inferences += [(premise, text(first, draw), 0), (premise, text(second, draw), 2)]
    lines = [json.dumps({"premise": p, "hypothesis": h, "label": label}) for p, h, label in inferences]
    (folder / "nli.jsonl").write_text("\n".join(lines))
    (folder / "texts.txt").write_text("\n".join(text(draw.choice(topics), draw) for _ in range(128)))
    write_collection(folder / "beir")
    return folder


def write_collection(folder: Path) -> None:
    """Documents about two words, and questions that name these words backwards."""
    (folder / "qrels").mkdir(parents=True)
    words = [word for topic in TOPICS.values() for word in topic]
    subjects = list(zip(words[::2], words[1::2], strict=True))
    wordings = {"train": ("what is {} {}", "what is {1} {0}"), "test": ("where is {} in {}",)}
    corpus = [{"_id": f"d{i}", "title": "the", "text": f"{a} and {b}"} for i, (a, b) in enumerate(subjects)]
    queries = []
    for split, forms in wordings.items():
        rows = ["query-id\tcorpus-id\tscore"]
        for (i, subject), form in itertools.product(enumerate(subjects), forms):
            name = f"{split}{len(rows)}"
            queries.append({"_id": name, "text": form.format(*(word[::-1] for word in subject))})
            rows += [f"{name}\td{i}\t2", f"{name}\td{(i + 1) % len(subjects)}\t0"]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(rows))
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))


@pytest.fixture
def start(tiny, tmp_path) -> list[str]:
    return ["--model", tiny, "--output", str(tmp_path / "out"), *FAST]


def scored(data: Path) -> list[str]:
    return ["--train", str(data / "sts-train.csv"), "--eval", str(data / "sts-test.csv")]


def collected(data: Path) -> list[str]:
    return ["--train", str(data / "beir"), "--eval", str(data / "beir"), "--epochs", "8"]


def texts(data: Path) -> list[str]:
    return ["--train", str(data / "texts.txt"), "--eval", str(data / "sts-test.csv")]


def saved(tmp_path: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tmp_path / "out"), device="cpu")


class Topics:
    """Judges pairs as a cross-encoder would: are they of one topic?"""

    def predict(self, pairs, batch_size=32):
        def topic(words):
            found = {*words.split(), *translated(words).split()}
            return {name for name, own in TOPICS.items() if set(own) & found}

        return np.array([float(topic(a) == topic(b)) for a, b in pairs])


# -- scored pairs


@pytest.mark.parametrize("loss", ["cosent", "angle", "cosine"])
def test_sts_gains_spearman_and_saves_what_it_measured(loss, data, start, tmp_path):
    outcome = sts.main([*scored(data), *start, "--loss", loss, "--epochs", "1"])
    assert outcome.after > outcome.before + 0.01
    again = _data.similarity_evaluator(str(data / "sts-test.csv"))(saved(tmp_path))
    assert again["sts_spearman_cosine"] == pytest.approx(outcome.after, abs=1e-6)


def test_sts_keeps_the_epoch_that_was_best_on_dev(data, start, tmp_path):
    # The second epoch is lost to a learning rate that is far too high: the first is what must be saved.
    outcome = sts.main([*scored(data), *start, "--dev", str(data / "sts-test.csv"), "--epochs", "3"])
    checkpoints = sorted((tmp_path / "out" / "checkpoints").glob("checkpoint-*/trainer_state.json"))
    best = max(json.loads(file.read_text())["best_metric"] for file in checkpoints)
    assert outcome.after == pytest.approx(best, abs=1e-6)


def test_matryoshka_gains_at_every_size_and_keeps_the_size_asked_for(data, start, tmp_path):
    options = ["--epochs", "2", "--dims", "32", "8", "--keep-dim", "8"]
    outcome = matryoshka.main([*scored(data), *start, *options])
    assert outcome.after > outcome.before + 0.01
    assert saved(tmp_path).encode(["the ship"]).shape == (1, 8)
    both = matryoshka.main([*scored(data), *start, *options, "--two-dimensional"])
    assert both.after > both.before


def test_adaptive_layers_saves_the_first_layers_only(data, start, tmp_path):
    outcome = adaptive_layers_recipe.main([*scored(data), *start, "--epochs", "2", "--keep-layers", "1"])
    assert outcome.after > outcome.before + 0.01
    model = saved(tmp_path)
    assert (len(_layers.layers_of(model)), model[0].auto_model.config.num_hidden_layers) == (1, 1)
    again = _data.similarity_evaluator(str(data / "sts-test.csv"))(model)
    assert again["sts_spearman_cosine"] == pytest.approx(outcome.after, abs=1e-6)


def test_augmented_sbert_learns_from_new_pairs(data, start, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("\n".join((data / "sts-train.csv").read_text().splitlines()[:25]))
    same = augmented_sbert.main(["--train", str(few), *scored(data)[2:], *start], labeller=Topics())
    assert same.after > same.before + 0.01
    cross = augmented_sbert.main([*texts(data), "--cross-domain", *start], labeller=Topics())
    assert cross.after > cross.before + 0.01


def test_augmented_sbert_trains_its_labeller_first(data, tiny, start, capsys):
    source = ["--source", str(data / "sts-train.csv"), "--labeller", tiny]
    outcome = augmented_sbert.main([*texts(data), "--cross-domain", *source, *start, "--limit", "60"])
    assert outcome.after > outcome.before
    assert "new pairs, scored" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        augmented_sbert.main([*texts(data), *start])


# -- labelled pairs


def test_nli_makes_triplets_of_premises_with_both(data, start):
    rows = nli.read_labelled(str(data / "nli.jsonl"), limit=4)
    expected = [(row["premise"], row["hypothesis"]) for row in rows if row["label"] == 0]
    made = nli.triplets(rows)
    assert list(zip(made["anchor"], made["positive"], strict=True)) == expected
    assert made["negative"][:] == [row["hypothesis"] for row in rows if row["label"] == 2]

    data_of = ["--train", str(data / "nli.jsonl"), "--eval", str(data / "sts-test.csv")]
    ranking = nli.main([*data_of, *start, "--epochs", "2"])
    assert ranking.after > ranking.before + 0.01
    classes = nli.main([*data_of, *start, "--epochs", "6", "--loss", "softmax"])
    assert classes.losses[-1] < classes.losses[0]


def test_nli_reads_labels_of_every_kind(tmp_path):
    file = tmp_path / "nli.tsv"
    file.write_text("premise\thypothesis\tgold_label\np\te\tentailment\np\tc\tcontradiction\np\tx\t-\n")
    assert nli.read_labelled(str(file), None)["label"][:] == [0, 2]
    file.write_text("premise\thypothesis\tlabel\np\te\t7\n")
    with pytest.raises(InvalidOption, match=r"row 1, column label: '7' is no label"):
        nli.read_labelled(str(file), None)


def test_quora_duplicates_are_told_from_other_pairs(data, start):
    rows = quora_duplicates.read(str(data / "quora-train.tsv"), "train")
    chosen = quora_duplicates.duplicates(rows)
    assert chosen["anchor"][:] == [row["sentence1"] for row in rows if row["label"]]
    files = ["--train", str(data / "quora-train.tsv"), "--eval", str(data / "quora-test.tsv")]
    outcome = quora_duplicates.main([*files, *start])
    assert outcome.after > outcome.before


def test_paraphrases_learn_from_tables_of_both_kinds(data, start):
    tables = [f"nli={data / 'beir'}", f"sts={data / 'sts-train.csv'}"]
    outcome = paraphrases.main(["--train", *tables, *scored(data)[2:], *start])
    assert outcome.after > outcome.before + 0.01
    with pytest.raises(InvalidOption, match="expected NAME=FILE"):
        paraphrases.main(["--train", str(data / "sts-train.csv"), *start])


# -- retrieval


def test_msmarco_mines_and_learns(data, start):
    ranking = msmarco.main([*collected(data), *start])
    assert ranking.after > ranking.before + 0.1
    margins = msmarco.main([*collected(data), *start, "--loss", "margin_mse", "--titles"], labeller=Topics())
    assert margins.losses[-1] < margins.losses[0]


def test_margins_are_differences_of_the_labellers_scores():
    from datasets import Dataset

    rows = {"anchor": ["the ship"] * 2, "positive": ["fish"] * 2, "negative": ["tide", "oven"]}
    assert msmarco.with_margins(Dataset.from_dict(rows), Topics())["label"][:] == [0.0, 1.0]


def test_a_biencoder_labels_by_its_own_similarity(tiny):
    model = SentenceTransformer(tiny, device="cpu")
    pairs = [("the ship", "the fish"), ("the oven", "the ship"), ("the ship", "the ship")]
    expected = [model.similarity(model.encode(a), model.encode(b)).item() for a, b in pairs]
    assert _labels.score_pairs(model, pairs) == pytest.approx(expected, abs=1e-6)


def test_gpl_and_genq_adapt_to_the_corpus(data, start):
    split = ["--train-split", "train"]
    genq = gpl.main([*collected(data), *split, *start, "--method", "genq"])
    assert genq.after > genq.before + 0.1
    outcome = gpl.main([*collected(data), *split, *start, "--epochs", "2"], labeller=Topics())
    assert outcome.losses[-1] < outcome.losses[0]


def test_prompts_are_trained_with_and_saved(data, start, tmp_path):
    outcome = prompts_recipe.main([*collected(data), *start, "--query-prompt", "query ", "--exclude-prompt"])
    assert outcome.after > outcome.before + 0.1
    model = saved(tmp_path)
    assert model.prompts["query"] == "query "
    assert model[1].include_prompt is False
    np.testing.assert_array_equal(model.encode_query("ship"), model.encode("ship", prompt="query "))


def test_router_leaves_a_frozen_route_as_it_is(data, tiny, start, tmp_path):
    outcome = router.main([*collected(data), *start, "--freeze-documents"])
    assert outcome.after > outcome.before + 0.1
    texts_ = ["the ship", "the oven dough"]
    trained, untouched = saved(tmp_path), SentenceTransformer(tiny, device="cpu")
    np.testing.assert_array_equal(trained.encode_document(texts_), untouched.encode(texts_))
    router.main([*collected(data), *start, "--max-steps", "2"])
    assert np.abs(saved(tmp_path).encode_document(texts_) - untouched.encode(texts_)).max() > 1e-4


def test_lora_changes_the_adapter_alone(data, tiny, start, tmp_path):
    pytest.importorskip("peft")
    from stlib.recipes import lora

    outcome = lora.main([*collected(data), *start, "--learning-rate", "1e-2", "--targets", "query", "value"])
    assert outcome.after > outcome.before
    assert not (tmp_path / "out" / "model.safetensors").exists()
    before = SentenceTransformer(tiny, device="cpu").state_dict()
    after = {name.replace(".base_layer", ""): w for name, w in saved(tmp_path).state_dict().items()}
    assert set(before) <= set(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(torch.any(w != 0) for name, w in after.items() if "lora_B" in name)


def test_late_interaction_learns_and_runs_without_torch(data, start, tmp_path):
    from stlib import MultiVectorEncoder
    from stlib.runtime.token_encoder import TokenRuntimeEncoder

    new = ["--dimension", "16", "--query-length", "8", "--document-length", "12", "--fill", "--onnx"]
    fast = ["--negatives", "1", "--learning-rate", "3e-3"]
    ranking = late_interaction.main([*collected(data), *start, *new, *fast])
    assert ranking.after > ranking.before + 0.1
    full = MultiVectorEncoder(str(tmp_path / "out"), device="cpu")
    light = TokenRuntimeEncoder.load(tmp_path / "out")
    questions = ["what is the ship", "where is bread, rose"]
    for name in ("encode_query", "encode_document"):
        expected = getattr(full, name)(questions, convert_to_numpy=True)
        for found, wanted in zip(getattr(light, name)(questions), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=2e-5)
    again = ["--model", str(tmp_path / "out"), "--output", str(tmp_path / "more"), *FAST]
    taught = late_interaction.main([*collected(data), *again, "--epochs", "2"], teacher=Topics())
    assert taught.losses[-1] < taught.losses[0]


def test_static_model_learns_from_nothing(data, tiny, tmp_path):
    options = ["--tokenizer", tiny, "--dimension", "32", "--output", str(tmp_path / "out"), "--epochs", "3"]
    pairs = [
        "--train",
        str(data / "pairs-train.tsv"),
        "--eval",
        str(data / "sts-test.csv"),
        "--batch-size",
        "32",
    ]
    outcome = static_model.main([*pairs, *options])
    assert outcome.after > outcome.before
    assert saved(tmp_path).encode("the ship").shape == (32,)


# -- teachers


def test_distillation_moves_the_student_to_its_teacher(data, tiny, tmp_path):
    files = ["--train", str(data / "texts.txt"), "--output", str(tmp_path / "out")]
    options = ["--teacher", tiny, "--layers", "0", "2", "--epochs", "6", *FAST]
    outcome = distillation.main([*files, *options])
    assert outcome.after > outcome.before  # negated distance
    assert len(_layers.layers_of(saved(tmp_path))) == 2


def test_a_teacher_with_more_dimensions_is_turned_onto_its_axes(tiny):
    teacher = SentenceTransformer(tiny, device="cpu")
    words = [f"the {word}" for topic in TOPICS.values() for word in topic]
    whole = teacher.encode(words)
    distillation.match_dimensions(teacher, 8, words)
    cut = teacher.encode(words)
    axes = np.linalg.svd(whole - whole.mean(0), full_matrices=False)[2][:8]
    np.testing.assert_allclose(np.abs(cut), np.abs(whole @ axes.T), atol=1e-4)
    with pytest.raises(InvalidOption, match="64 dimensions, the teacher only 8"):
        distillation.match_dimensions(teacher, 64, words)


def test_multilingual_finds_translations(data, tiny, start):
    files = ["--train", f"backwards={data / 'parallel-train.tsv'}", "--eval", str(data / "parallel-test.tsv")]
    outcome = multilingual.main([*files, *start, "--teacher", tiny, "--learning-rate", "3e-3"])
    assert outcome.after >= outcome.before
    assert outcome.losses[-1] < outcome.losses[0] / 3  # the distance to the teacher


# -- texts alone


def test_mlm_learns_the_words_in_place(data, tiny, start, tmp_path):
    outcome = mlm.main(["--train", str(data / "texts.txt"), *start, "--epochs", "4"])
    assert outcome.after > outcome.before  # negated loss on texts held out
    before = SentenceTransformer(tiny, device="cpu").state_dict()
    after = saved(tmp_path).state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert any("encoder.layer.2" in name for name in changed)


def test_adaptive_pretraining_takes_both_steps(data, start, capsys):
    outcome = adaptive_pretraining.main([*collected(data), "--texts", str(data / "texts.txt"), *start])
    assert outcome.after > outcome.before + 0.01
    assert "masked-word loss" in capsys.readouterr().out


def test_tsdae_restores_texts(data, start):
    outcome = tsdae.main([*texts(data), *start, "--pooling", "cls", "--epochs", "3"])
    assert outcome.losses[-1] < outcome.losses[0] - 0.1
    random.seed(0)
    counts = [len(tsdae.delete_words("one two three four five", 0.6).split()) for _ in range(200)]
    assert min(counts) == 1
    assert 1.9 < np.mean(counts) < 2.3


@pytest.mark.parametrize("recipe", [simcse, ct])
def test_texts_alone_teach_what_is_alike(recipe, data, start):
    outcome = recipe.main([*texts(data), *start])
    assert outcome.after > outcome.before + 0.01


def test_ct_samples_each_text_with_itself_once(data, start):
    outcome = ct.main([*texts(data)[:2], *start, "--sampled", "--limit", "40"])
    assert outcome.losses[-1] < outcome.losses[0] / 2
    pairs = ct.sample_pairs(["a", "b", "c"], seed=0)
    assert len(pairs) == 3 * 8
    assert list(zip(pairs["text1"], pairs["text2"], strict=True))[::8] == [("a", "a"), ("b", "b"), ("c", "c")]


# -- search


def test_hyperparameter_search_trains_with_the_best_of_its_trials(data, tiny, start, tmp_path, capsys):
    pytest.importorskip("optuna")
    from stlib.recipes import hyperparameter_search

    dev = ["--dev", str(data / "sts-test.csv"), "--trials", "2", "--max-steps", "3"]
    hyperparameter_search.main([*scored(data)[:2], *start, *dev])
    found = ast.literal_eval(re.findall(r"^best: (\{.*\})$", capsys.readouterr().out, re.MULTILINE)[0])
    assert set(found) == {"learning_rate", "per_device_train_batch_size", "num_train_epochs"}
    assert 5e-6 <= found["learning_rate"] <= 1e-4
    untouched = SentenceTransformer(tiny, device="cpu").encode("the ship")
    change = np.abs(saved(tmp_path).encode("the ship") - untouched).max()
    assert 0 < change < 0.1
