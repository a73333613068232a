"""The README.md of a training run: its facts by hand, and its front matter beside the reference's."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

import stlib.evaluation
import stlib.losses
from stlib import SentenceTransformer
from stlib.base.card.columns import column_statistics, describe_loss, light, show
from stlib.base.card.text import table

datasets = pytest.importorskip("datasets", reason="training needs the extra [train]")
pytest.importorskip("accelerate", reason="training needs the extra [train]")

pytestmark = pytest.mark.parity

WORDS = "sort list key dictionary quick brown fox jumps over lazy dog search meaning word text".split()


def training_data():
    """Twelve pairs and eight scored pairs; each word is one token of the tiny model."""
    picks = random.Random(0)

    def texts(n):
        return [" ".join(picks.choices(WORDS, k=picks.randint(1, 6))) for _ in range(n)]

    pairs = {"anchor": texts(12), "positive": texts(12)}
    scored = {"sentence1": texts(8), "sentence2": texts(8), "score": [picks.random() for _ in range(8)]}
    return datasets.DatasetDict(
        pairs=datasets.Dataset.from_dict(pairs), scored=datasets.Dataset.from_dict(scored)
    )


def train(library, losses, evaluation, base, folder, **options):
    """Four steps, evaluated and saved after two and four."""
    data = training_data()
    model = library.SentenceTransformer(base, device="cpu")
    ranking = losses.MultipleNegativesRankingLoss(model)
    loss = {"pairs": losses.MatryoshkaLoss(model, ranking, [32, 16]), "scored": losses.CoSENTLoss(model)}
    rows = data["scored"]
    evaluator = evaluation.EmbeddingSimilarityEvaluator(
        rows["sentence1"], rows["sentence2"], rows["score"], name="sts-dev"
    )
    arguments = library.SentenceTransformerTrainingArguments(
        str(folder / "run"),
        max_steps=4,
        per_device_train_batch_size=4,
        learning_rate=1e-3,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=2,
        save_steps=2,
        seed=3,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **options,
    )
    trainer = library.SentenceTransformerTrainer(model, arguments, data, data, loss, evaluator)
    trainer.train()
    model.save(str(folder / "final"))
    front, body = read(folder / "final")
    return SimpleNamespace(folder=folder, front=front, body=body, data=data, trainer=trainer, model=model)


def read(folder: Path) -> tuple[dict, str]:
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), body


@pytest.fixture(scope="module")
def ours(tiny_bert, tmp_path_factory):
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_sts-dev_spearman_cosine"}
    folder = tmp_path_factory.mktemp("ours")
    return train(stlib, stlib.losses, stlib.evaluation, tiny_bert, folder, **best)


def test_the_front_matter_is_the_references(reference, tiny_bert, tmp_path, monkeypatch, ours):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    losses = pytest.importorskip("sentence_transformers.losses")
    evaluation = pytest.importorskip("sentence_transformers.evaluation")
    their = train(reference, losses, evaluation, tiny_bert, tmp_path)
    assert ours.front["tags"] == their.front["tags"]
    for key in ("library_name", "pipeline_tag", "metrics", "language", "license", "base_model", "datasets"):
        assert ours.front.get(key) == their.front.get(key), key
    assert {tuple(entry) for entry in ours.front["widget"]} == {("source_sentence", "sentences")}
    assert {len(entry["sentences"]) for entry in ours.front["widget"]} == {3}
    (found,), (expected,) = (front["model-index"] for front in (ours.front, their.front))
    assert found["name"] == expected["name"] == "SentenceTransformer"
    (found,), (expected,) = found["results"], expected["results"]
    assert (found["task"], found["dataset"]) == (expected["task"], expected["dataset"])
    assert [m["type"] for m in found["metrics"]] == [m["type"] for m in expected["metrics"]]
    assert [m["name"] for m in found["metrics"]] == [m["name"] for m in expected["metrics"]]
    # The reference shows the metrics of the last step, also if the weights of an earlier one are kept.
    history = [log for log in ours.trainer.state.log_history if "eval_sts-dev_pearson_cosine" in log]
    assert [log["step"] for log in history] == [2, 4]
    last = [history[-1][f"eval_sts-dev_{m['type']}"] for m in expected["metrics"]]
    assert [m["value"] for m in expected["metrics"]] == pytest.approx(last, rel=1e-4)


def test_data_sets_are_described_by_their_counts(ours):
    pairs, scored = ours.data["pairs"], ours.data["scored"]
    for kind in ("Training", "Evaluation"):
        assert f"### {kind} data: pairs\n\n12 rows with the columns `anchor`, `positive`." in ours.body
        assert f"### {kind} data: scored\n\n8 rows with the columns `sentence1`, `sentence2`" in ours.body

    def tokens(rows, column):  # with [CLS] and [SEP]
        return [len(text.split()) + 2 for text in rows[column]]

    columns = [tokens(pairs, "anchor"), tokens(pairs, "positive")]
    expected = [
        ["type", "text, tokens", "text, tokens"],
        ["min", *map(min, columns)],
        ["mean", *(sum(column) / 12 for column in columns)],
        ["max", *map(max, columns)],
    ]
    assert "Of the first 12 rows:\n\n" + table(["", "anchor", "positive"], expected) in ours.body
    columns = [tokens(scored, "sentence1"), tokens(scored, "sentence2"), list(scored["score"])]
    expected = [
        ["type", "text, tokens", "text, tokens", "float"],
        ["min", *map(min, columns)],
        ["mean", *(sum(column) / 8 for column in columns)],
        ["max", *map(max, columns)],
    ]
    assert table(["", "sentence1", "sentence2", "score"], expected) in ours.body
    examples = [[row["anchor"], row["positive"]] for row in list(pairs)[:3]]
    assert "Examples:\n\n" + table(["anchor", "positive"], examples) in ours.body


def test_losses_have_their_arguments_and_citations(ours):
    found = re.findall(r"Loss: `(\w+)` with\n\n```json\n(.+?)\n```", ours.body, re.DOTALL)
    matryoshka = {
        "loss": "MultipleNegativesRankingLoss",
        "matryoshka_dims": [32, 16],
        "matryoshka_weights": [1, 1],
        "n_dims_per_step": -1,
    }
    cosent = {"scale": 20.0, "similarity_fct": "pairwise_cos_sim"}
    read = [(name, json.loads(text)) for name, text in found]
    assert read == [("MatryoshkaLoss", matryoshka), ("CoSENTLoss", cosent)] * 2
    names = re.findall(r"^### (.+)\n\n```bibtex", ours.body, re.MULTILINE)
    assert names == ["Sentence Transformers", "MatryoshkaLoss", "CoSENTLoss", "MultipleNegativesRankingLoss"]


def test_settings_are_those_that_were_given(ours):
    before, after = ours.body.split("<details><summary>All settings</summary>")
    given = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", before, re.MULTILINE))
    assert given == {
        "per_device_train_batch_size": "4",
        "max_steps": "4",
        "learning_rate": "0.001",
        "load_best_model_at_end": "True",
        "seed": "3",
        "use_cpu": "True",
        "dataloader_pin_memory": "False",
    }
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", after, re.MULTILINE))
    assert given.items() <= listed.items()
    assert (listed["weight_decay"], listed["batch_sampler"]) == ("0.0", "batch_sampler")
    for name, module in (("torch", torch), ("datasets", datasets)):
        assert f"| {name} | {module.__version__} |" in ours.body


def test_the_log_has_every_loss_and_the_kept_step_in_bold(ours):
    state = ours.trainer.state
    log: dict[int, dict[str, float]] = {}
    for entry in state.log_history:
        log.setdefault(entry["step"], {}).update(entry)
    names = ["epoch", "step", "loss", "eval_pairs_loss", "eval_scored_loss", "eval_sts-dev_spearman_cosine"]
    rows = [[log[step].get(name, "-") for name in names] for step in (1, 2, 3, 4)]
    shown_as = ["Epoch", "Step", "Training Loss", "pairs loss", "scored loss", "sts-dev_spearman_cosine"]
    best = state.best_global_step
    assert best in (2, 4)
    expected = table(shown_as, rows, [row[1] == best for row in rows])
    assert expected in ours.body
    assert "The row in bold is the state that was kept." in ours.body
    # ... and the metrics of that state are the model's.
    score = log[best]["eval_sts-dev_spearman_cosine"]
    assert f"| **sts-dev_spearman_cosine** | **{score:.4f}** |" in ours.body
    assert ours.front["model-index"][0]["results"][0]["metrics"][1]["value"] == pytest.approx(score)
    assert re.search(
        r"Training took 0 h \d+ min \d+ s(, of which evaluation 0 h \d+ min \d+ s)?\.", ours.body
    )


def test_the_example_prints_what_the_card_says(ours, monkeypatch):
    (code,) = re.findall(r"```python\n(.+?)```", ours.body, re.DOTALL)
    monkeypatch.chdir(ours.folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    said = "".join(f"{line[2:]}\n" for line in code.splitlines() if line.startswith("# "))
    assert printed.getvalue() == said
    assert said.startswith("(3, 32)\ntensor([[1.0")
    texts = {
        text for rows in ours.data.values() for row in rows for text in row.values() if isinstance(text, str)
    }
    assert set(eval(re.search(r"sentences = (\[.+?\n\])", code, re.DOTALL)[1])) <= texts


def test_checkpoints_have_cards_and_no_card_knows_this_machine(ours, tiny_bert):
    for step in (2, 4):
        front, body = read(ours.folder / "run" / f"checkpoint-{step}")
        assert front["tags"] == ours.front["tags"]
        steps = re.findall(r"^\| [\d.]+ \| (\d) \|", body, re.MULTILINE)
        assert steps == [str(n) for n in range(1, step + 1)]
        assert f'SentenceTransformer("checkpoint-{step}")' in body
        assert "Training took" in body
    for card in ours.folder.rglob("README.md"):
        text = card.read_text()
        for path in (ours.folder, Path(tiny_bert), Path.home(), Path.cwd()):
            assert f"{path}/" not in text and f"{path}\n" not in text


def test_a_model_made_by_model_init_has_its_training_in_its_card(tiny_bert, tmp_path):
    made = []

    def model_init(trial=None):
        made.append(SentenceTransformer(tiny_bert, device="cpu"))
        return made[-1]

    data = training_data()["pairs"]
    arguments = stlib.SentenceTransformerTrainingArguments(
        str(tmp_path), max_steps=1, report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no"
    )
    trainer = stlib.SentenceTransformerTrainer(
        model_init=model_init,
        args=arguments,
        train_dataset=data,
        loss=stlib.losses.MultipleNegativesRankingLoss,
    )
    trainer.train()
    trainer.model.save(str(tmp_path / "final"))
    front, body = read(tmp_path / "final")
    assert {"dataset_size:12", "loss:MultipleNegativesRankingLoss"} <= set(front["tags"])
    assert "12 rows with the columns `anchor`, `positive`." in body
    assert "Loss: `MultipleNegativesRankingLoss`" in body


def test_streams_are_not_read(tiny_bert):
    def rows():
        raise AssertionError("a row was read")
        yield {"query": "a", "answer": "b"}

    features = datasets.Features({"query": datasets.Value("string"), "answer": datasets.Value("string")})
    stream = datasets.IterableDataset.from_generator(rows, features=features)
    data = SentenceTransformer(tiny_bert, device="cpu").model_card_data
    (entry,) = data.extract_dataset_metadata(stream, [], None, "train")
    data.set_widget_examples(stream)
    assert entry["columns"] == ["query", "answer"]
    assert "size" not in entry and data.widget == []
    assert data.ir_model is True  # questions are looked for in a corpus


def test_columns_are_described_by_what_they_hold():
    from PIL import Image

    assert column_statistics(["ab", "cdef"], None) == {
        "type": "text, characters",
        "min": 2,
        "mean": 3,
        "max": 4,
    }
    assert column_statistics([1, 0, 1, 1], None) == {"type": "int", "values": {"0": 0.25, "1": 0.75}}
    assert column_statistics([True, False], None)["values"] == {"False": 0.5, "True": 0.5}
    assert column_statistics(list(range(20)), None) == {"type": "int", "min": 0, "mean": 9.5, "max": 19}
    assert column_statistics([[1], [2, 3, 4]], None) == {
        "type": "list, elements",
        "min": 1,
        "mean": 2,
        "max": 3,
    }
    assert column_statistics(["/home/me/a.png"], None) == {"type": "text, a file"}
    assert column_statistics([], None) == {"type": "empty"}
    assert show("/home/me/a.png") == "a.png"
    assert show(Image.new("RGB", (3, 2))) == "Image 3×2"
    assert show({"text": "a", "image": "/home/me/a.png"}) == "{text: a, image: a.png}"
    assert show([0.5, 1]) == "[0.5, 1]"
    picture = light(Image.new("RGB", (3, 2)))
    assert (column_statistics([picture], None), show(picture)) == ({"type": "Image"}, "Image 3×2")
    assert show("a" * 400) == "a" * 300 + "…"


def test_models_and_functions_among_the_arguments_have_names(tiny_bert):
    guide = SentenceTransformer(tiny_bert, device="cpu")
    guide.model_card_data.set_base_model("org/guide")

    class Loss:
        def get_config_dict(self):
            return {
                "guide": guide,
                "activation": torch.nn.functional.relu,
                "layer": torch.nn.Tanh(),
                "p": (1, 2),
            }

    expected = {
        "guide": "SentenceTransformer('org/guide')",
        "activation": "relu",
        "layer": "Tanh",
        "p": [1, 2],
    }
    assert describe_loss(Loss()) == {"name": "Loss", "config": expected}


def test_losses_and_evaluators_are_described_without_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "decoder").mkdir(parents=True)
    given = {
        "absolute": str(tmp_path / "models" / "decoder"),
        "relative": "models/decoder",
        "object": Path("data/beir"),
        "home": "~/models/mine",
        "folders": {"nq": tmp_path / "nq", "more": [str(tmp_path / "a"), ("models/decoder", 2)]},
        "hub": "org/decoder",
        "prompt": "query: either/or",
        "scale": 20.0,
    }
    expected = {
        "absolute": "decoder",
        "relative": "decoder",
        "object": "beir",
        "home": "mine",
        "folders": {"nq": "nq", "more": ["a", ["decoder", 2]]},
        "hub": "org/decoder",
        "prompt": "query: either/or",
        "scale": 20.0,
    }

    class Configured:
        name, primary_metric = "any", None

        def get_config_dict(self):
            return given

    assert describe_loss(Configured()) == {"name": "Configured", "config": expected}
    data = SentenceTransformer.model_card_data_class()
    data.set_evaluation_metrics(Configured(), {"any_accuracy": 0.5})
    (entry,) = data.format_eval_metrics()["eval_metrics"]
    assert entry["config"] == expected


def test_a_trainer_pushes_its_model_with_the_card(hub, tiny_bert, tmp_path):
    data = training_data()["pairs"]
    arguments = stlib.SentenceTransformerTrainingArguments(
        str(tmp_path / "my-run"),
        max_steps=2,
        save_steps=1,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        push_to_hub=True,
        hub_token="hf_secret",
    )
    model = SentenceTransformer(tiny_bert, device="cpu")
    loss = stlib.losses.MultipleNegativesRankingLoss(model)
    trainer = stlib.SentenceTransformerTrainer(model, arguments, data, loss=loss)
    trainer.train()
    trainer.push_to_hub(tags="mine", language="en")
    assert trainer.hub_model_id == "me/my-run"
    files = hub.files("me/my-run")
    assert {"modules.json", "model.safetensors", "README.md", "1_Pooling/config.json"} <= set(files)
    assert not [name for name in files if "optimizer" in name or "hf_secret" in name]
    card = files["README.md"].decode()
    assert "hf_secret" not in card and f"{tmp_path}" not in card
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["language"] == ["en"]
    assert {"mine", "generated_from_trainer", "dataset_size:12"} <= set(front["tags"])
    assert 'SentenceTransformer("me/my-run")' in card
    pushed = SentenceTransformer("me/my-run", device="cpu").encode(WORDS)
    assert (pushed == model.encode(WORDS)).all()
