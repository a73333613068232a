"""The documents' own examples of modules that users write: in scripts, beside a model, and on the hub."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import stlib
from stlib import SentenceTransformer, errors
from stlib.models import Dense, Module, Normalize, Pooling, Transformer

pytestmark = pytest.mark.parity

TEXTS = ["How do I sort a list?", "the quick brown fox", "short", "The dog jumps over the lazy fox."]

DECAY_MEAN_POOLING = """
import json
import os
import torch
import torch.nn as nn


class DecayMeanPooling(nn.Module):
    def __init__(self, dimension: int, decay: float = 0.95) -> None:
        super(DecayMeanPooling, self).__init__()
        self.dimension = dimension
        self.decay = decay

    def forward(self, features: dict[str, torch.Tensor], **kwargs) -> dict[str, torch.Tensor]:
        token_embeddings = features["token_embeddings"]
        attention_mask = features["attention_mask"].unsqueeze(-1)
        # Apply the attention mask to filter away padding tokens
        token_embeddings = token_embeddings * attention_mask
        # Calculate mean of token embeddings
        sentence_embeddings = token_embeddings.sum(1) / attention_mask.sum(1)
        # Apply exponential decay
        importance_per_dim = self.decay ** torch.arange(
            sentence_embeddings.size(1), device=sentence_embeddings.device
        )
        features["sentence_embedding"] = sentence_embeddings * importance_per_dim
        return features

    def get_config_dict(self) -> dict[str, float]:
        return {"dimension": self.dimension, "decay": self.decay}

    def get_sentence_embedding_dimension(self) -> int:
        return self.dimension

    def save(self, save_dir: str, **kwargs) -> None:
        with open(os.path.join(save_dir, "config.json"), "w") as fOut:
            json.dump(self.get_config_dict(), fOut, indent=4)

    def load(load_dir: str, **kwargs) -> "DecayMeanPooling":
        with open(os.path.join(load_dir, "config.json")) as fIn:
            config = json.load(fIn)

        return DecayMeanPooling(**config)
"""

MY_MODULE = """
from __future__ import annotations
from typing import Any
import torch
from torch import Tensor
from stlib.models.Module import Module


class MyModule(Module):
    config_keys: list[str] = ["in_dim", "out_dim"]
    forward_kwargs: set[str] = set()

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.proj = torch.nn.Linear(in_dim, out_dim)

    def forward(self, features: dict[str, Tensor], **kwargs) -> dict[str, Tensor]:
        features["sentence_embedding"] = self.proj(features["sentence_embedding"])
        return features

    def get_sentence_embedding_dimension(self) -> int:
        return self.out_dim

    def save(self, output_path: str, *args, safe_serialization: bool = True, **kwargs) -> None:
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "",
             token=None, cache_folder=None, revision=None,
             local_files_only=False, **kwargs) -> "MyModule":
        hub_kwargs = dict(subfolder=subfolder, token=token,
                          cache_folder=cache_folder, revision=revision,
                          local_files_only=local_files_only)
        config = cls.load_config(model_name_or_path=model_name_or_path, **hub_kwargs)
        model = cls(**config)
        model = cls.load_torch_weights(model_name_or_path=model_name_or_path,
                                       model=model, **hub_kwargs)
        return model
"""


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """Writes a file that scripts import, as the documents' examples are."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write(name: str, source: str):
        (folder / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    yield write
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def types_of(folder: Path) -> list[str]:
    return [entry["type"] for entry in json.loads((folder / "modules.json").read_text())]


def test_decay_mean_pooling_as_documented(tiny_bert, reference, importable, tmp_path):
    module = importable("decay_pooling", DECAY_MEAN_POOLING)
    pipeline = [Transformer(tiny_bert), module.DecayMeanPooling(32, decay=0.9), Normalize()]
    model = SentenceTransformer(modules=pipeline, device="cpu")
    their = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    theirs = reference.SentenceTransformer(
        modules=[their.Transformer(tiny_bert), module.DecayMeanPooling(32, decay=0.9), their.Normalize()],
        device="cpu",
    )
    vectors = model.encode(TEXTS)
    np.testing.assert_allclose(vectors, theirs.encode(TEXTS), rtol=0, atol=1e-5)
    assert model.get_sentence_embedding_dimension() == 32
    model.save_pretrained(tmp_path / "model")
    assert types_of(tmp_path / "model")[1] == "decay_pooling.DecayMeanPooling"
    # Beside the model it is found without being importable
    shutil.copy(module.__file__, tmp_path / "model")
    sys.path.remove(str(Path(module.__file__).parent))
    del sys.modules["decay_pooling"]
    with pytest.raises(errors.UntrustedCode, match=r"decay_pooling\.DecayMeanPooling"):
        SentenceTransformer(tmp_path / "model", device="cpu")
    again = SentenceTransformer(tmp_path / "model", device="cpu", trust_remote_code=True)
    assert again[1].decay == 0.9
    np.testing.assert_array_equal(again.encode(TEXTS), vectors)


def test_a_class_that_its_file_lacks_is_named(tiny_bert, tmp_path):
    SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32)], device="cpu").save(str(tmp_path))
    (tmp_path / "own.py").write_text("class Other: pass\n")
    path = tmp_path / "modules.json"
    modules = json.loads(path.read_text())
    modules[1]["type"] = "own.Mine"
    path.write_text(json.dumps(modules))
    with pytest.raises(ImportError, match=r"the class 'own\.Mine', which own\.py lacks"):
        SentenceTransformer(tmp_path, device="cpu", trust_remote_code=True)
    (tmp_path / "own.py").write_text("import json\njson.of_an_older_version\nclass Mine: pass\n")
    with pytest.raises(AttributeError, match="of_an_older_version"):
        SentenceTransformer(tmp_path, device="cpu", trust_remote_code=True)


def test_my_module_as_documented(tiny_bert, importable, tmp_path):
    module = importable("my_package", MY_MODULE)
    transformer = Transformer(tiny_bert)
    pooling = Pooling(transformer.get_word_embedding_dimension(), "mean")
    torch.manual_seed(0)
    projection = module.MyModule(32, 7)
    model = SentenceTransformer(modules=[transformer, pooling, projection], device="cpu")
    plain = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    expected = projection.proj(plain.encode(TEXTS, convert_to_tensor=True)).detach().numpy()
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=0, atol=1e-6)
    assert model.get_embedding_dimension() == 7
    model.save(str(tmp_path / "my-model"))
    assert types_of(tmp_path / "my-model")[2] == "my_package.MyModule"
    with pytest.raises(errors.UntrustedCode, match=r"my_package\.MyModule"):
        SentenceTransformer(str(tmp_path / "my-model"))
    # It is importable here, but that does not make it trusted
    again = SentenceTransformer(str(tmp_path / "my-model"), device="cpu", trust_remote_code=True)
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))


def put_in_cache(cache: Path, repo: str, files: dict[str, str], commit: str = "1" * 40) -> None:
    """A repository as the Hugging Face cache keeps it."""
    root = cache / f"models--{repo.replace('/', '--')}"
    (root / "snapshots" / commit).mkdir(parents=True)
    (root / "refs").mkdir(exist_ok=True)
    (root / "refs" / "main").write_text(commit)
    for name, text in files.items():
        (root / "snapshots" / commit / name).write_text(text)


def test_a_module_of_another_repository(tiny_bert, importable, tmp_path):
    """``repository--file.Class`` in modules.json, from a cache made by hand and without a network."""
    module = importable("decay_pooling", DECAY_MEAN_POOLING)
    pipeline = [Transformer(tiny_bert), module.DecayMeanPooling(32, decay=0.8), Normalize()]
    model = SentenceTransformer(modules=pipeline, device="cpu")
    model.save(tmp_path / "model")
    entries = json.loads((tmp_path / "model" / "modules.json").read_text())
    entries[1]["type"] = "my-user/my-model-implementation--decay_pooling.DecayMeanPooling"
    (tmp_path / "model" / "modules.json").write_text(json.dumps(entries))
    cache = tmp_path / "cache"
    put_in_cache(cache, "my-user/my-model-implementation", {"decay_pooling.py": DECAY_MEAN_POOLING})
    options = {"device": "cpu", "cache_folder": str(cache), "local_files_only": True}
    with pytest.raises(errors.UntrustedCode, match="my-user/my-model-implementation--decay_pooling"):
        SentenceTransformer(tmp_path / "model", **options)
    again = SentenceTransformer(tmp_path / "model", trust_remote_code=True, **options)
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))
    # Saved again, the model brings the code along
    again.save(tmp_path / "again")
    assert types_of(tmp_path / "again")[1] == "decay_pooling.DecayMeanPooling"
    assert (tmp_path / "again" / "decay_pooling.py").read_text() == DECAY_MEAN_POOLING
    with pytest.raises(errors.UntrustedCode):
        SentenceTransformer(tmp_path / "again", device="cpu")
    third = SentenceTransformer(tmp_path / "again", device="cpu", trust_remote_code=True)
    np.testing.assert_array_equal(third.encode(TEXTS), model.encode(TEXTS))


CUSTOM_TRANSFORMER = """
from typing import Optional
import torch
from stlib.models import Transformer

class CustomTransformer(Transformer):
    {declared}

    def forward(
        self, features: dict[str, torch.Tensor], task_type: Optional[str] = None
    ) -> dict[str, torch.Tensor]:
        features = super().forward(features)
        if task_type == "default":
            features["token_embeddings"] = features["token_embeddings"] * 2
        return features
"""


@pytest.mark.parametrize("way", ["modules.json", "forward_kwargs"])
def test_a_keyword_reaches_a_custom_transformer(tiny_bert, tmp_path, way):
    """The documents' task_type: named by ``"kwargs"`` in modules.json, or by the class itself."""
    folder = tmp_path / "model"
    plain = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32)], device="cpu")
    plain.save(folder)
    declared = 'forward_kwargs = {"task_type"}' if way == "forward_kwargs" else ""
    (folder / "custom_transformer.py").write_text(CUSTOM_TRANSFORMER.format(declared=declared))
    entries = json.loads((folder / "modules.json").read_text())
    entries[0]["type"] = "custom_transformer.CustomTransformer"
    if way == "modules.json":
        entries[0]["kwargs"] = ["task_type"]
    (folder / "modules.json").write_text(json.dumps(entries))
    with pytest.raises(errors.UntrustedCode):
        SentenceTransformer(folder, device="cpu")
    model = SentenceTransformer(folder, device="cpu", trust_remote_code=True)
    vectors = plain.encode(TEXTS)
    np.testing.assert_allclose(model.encode(TEXTS), vectors, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.encode(TEXTS, task_type="other"), vectors, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.encode(TEXTS, task_type="default"), 2 * vectors, rtol=0, atol=1e-6)
    with pytest.raises(errors.UnknownKeyword, match=r"taskk.*it takes:.*task_type"):
        model.encode(TEXTS, taskk="default")
    model.save(tmp_path / "again")
    again = SentenceTransformer(tmp_path / "again", device="cpu", trust_remote_code=True)
    np.testing.assert_allclose(again.encode(TEXTS, task_type="default"), 2 * vectors, rtol=0, atol=1e-6)


class TaskScale(Module):
    """A module that reads ``task``, as the documents' Router-aware example does."""

    forward_kwargs = frozenset({"task"})

    def forward(self, features, task=None, **kwargs):
        scale = {None: 1.0, "query": 2.0, "document": 3.0}.get(task, 5.0)
        features["sentence_embedding"] = features["sentence_embedding"] * scale
        return features

    def save(self, output_path, *args, safe_serialization=True, **kwargs):
        self.save_config(output_path)


def test_the_task_reaches_modules_that_declare_it(tiny_bert):
    pipeline = [Transformer(tiny_bert), Pooling(32), TaskScale()]
    model = SentenceTransformer(modules=pipeline, device="cpu")
    plain = SentenceTransformer(modules=pipeline[:2], device="cpu")
    vectors = plain.encode(TEXTS)
    for scale, found in (
        (1, model.encode(TEXTS)),
        (2, model.encode_query(TEXTS)),
        (3, model.encode_document(TEXTS)),
        (5, model.encode(TEXTS, task="clustering")),
    ):
        np.testing.assert_allclose(found, scale * vectors, rtol=0, atol=1e-5)
    # Allowed everywhere, also where no module reads it
    np.testing.assert_array_equal(plain.encode(TEXTS, task="clustering"), vectors)


OLDER_FIRST_MODULE = """
import json, os
import torch

class Letters(torch.nn.Module):
    save_in_root = True

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def get_max_seq_length(self):
        return self.limit

    def tokenize(self, texts):
        counts = [[text[: self.limit].count(letter) for letter in "abcde"] for text in texts]
        return {{"counts": torch.tensor(counts, dtype=torch.float32)}}

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["counts"] * {factor}
        return features

    def get_sentence_embedding_dimension(self):
        return 5

    def save(self, save_dir):
        with open(os.path.join(save_dir, "letters.json"), "w") as file:
            json.dump({{"limit": self.limit}}, file)

    @staticmethod
    def load(load_dir):
        with open(os.path.join(load_dir, "letters.json")) as file:
            return Letters(**json.load(file))
"""


def test_a_first_module_of_an_earlier_generation(importable, tmp_path):
    """``tokenize``, ``get_max_seq_length``, ``save_in_root`` and a ``load`` of one folder, as documented."""
    module = importable("letters_module", OLDER_FIRST_MODULE.format(factor=1))
    model = SentenceTransformer(modules=[module.Letters(4), Normalize()], device="cpu")
    assert model.get_max_seq_length() == model.max_seq_length == 4
    assert model.get_sentence_embedding_dimension() == 5
    assert model.tokenize(["abab a"])["counts"].tolist() == [[2.0, 2.0, 0.0, 0.0, 0.0]]
    texts = ["aaabbbb", "cccc"]  # of the first one, four letters are read
    expected = [[3 / 10**0.5, 1 / 10**0.5, 0, 0, 0], [0, 0, 1, 0, 0]]
    np.testing.assert_allclose(model.encode(texts), expected, atol=1e-6)
    # The prompt stands in front, as of a module that knows of prompts
    np.testing.assert_allclose(model.encode("c", prompt="c"), [0, 0, 1, 0, 0], atol=1e-6)
    model.save(tmp_path / "model")
    assert (tmp_path / "model" / "letters.json").is_file()
    again = SentenceTransformer(tmp_path / "model", device="cpu", trust_remote_code=True)
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
    assert again.max_seq_length == 4


def test_the_revision_of_the_code(importable, tmp_path):
    """``model_kwargs={"code_revision": …}`` pins the code of another repository."""
    module = importable("letters_module", OLDER_FIRST_MODULE.format(factor=1))
    SentenceTransformer(modules=[module.Letters(9)], device="cpu").save(tmp_path / "model")
    entries = json.loads((tmp_path / "model" / "modules.json").read_text())
    entries[0]["type"] = "letters-user/letters-code--letters_module.Letters"
    (tmp_path / "model" / "modules.json").write_text(json.dumps(entries))
    for factor in (7, 1):  # the last one is what the branch main points to
        source = {"letters_module.py": OLDER_FIRST_MODULE.format(factor=factor)}
        put_in_cache(tmp_path / "cache", "letters-user/letters-code", source, str(factor) * 40)
    options = {
        "device": "cpu",
        "cache_folder": str(tmp_path / "cache"),
        "local_files_only": True,
        "trust_remote_code": True,
    }
    newest = SentenceTransformer(tmp_path / "model", **options)
    assert newest.encode("aab").tolist() == [2, 1, 0, 0, 0]
    pinned = SentenceTransformer(tmp_path / "model", model_kwargs={"code_revision": "7" * 40}, **options)
    assert pinned.encode("aab").tolist() == [14, 7, 0, 0, 0]


# -- several embeddings of one input
# ---------------------------------------------------------------------------------------------


class MultiAxisSentenceTransformer(SentenceTransformer):
    """The documents' model with one embedding per axis of meaning, under the keys ``embedding_{axis}``."""

    def encode_axis(self, sentences, axis, **kwargs):
        rows = self.encode(sentences, output_value=None, **kwargs)
        return np.stack([row[f"embedding_{axis}"].cpu().numpy() for row in rows])


AXES = ("content", "speaker")


def multi_axis_model(tiny_bert):
    torch.manual_seed(3)
    heads = [Dense(32, 5, module_output_name=f"embedding_{axis}") for axis in AXES]
    return MultiAxisSentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), *heads], device="cpu")


def test_named_embeddings_of_several_axes(tiny_bert, tmp_path):
    model = multi_axis_model(tiny_bert)
    pooled = model.encode(TEXTS, convert_to_tensor=True)
    assert pooled.shape == (4, 32)
    for axis, head in zip(AXES, list(model)[2:], strict=True):
        expected = torch.tanh(head.linear(pooled)).detach().numpy()
        found = model.encode_axis(TEXTS, axis)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
        # A name alone gives the same
        named = model.encode(TEXTS, output_value=f"embedding_{axis}")
        np.testing.assert_allclose(torch.stack(list(named)).numpy(), expected, rtol=0, atol=1e-6)
        # In the order of the inputs, whatever the batches are
        np.testing.assert_allclose(model.encode_axis(TEXTS, axis, batch_size=1), expected, rtol=0, atol=1e-5)
    model.save(tmp_path / "model")
    again = MultiAxisSentenceTransformer(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(again.encode_axis(TEXTS, "speaker"), model.encode_axis(TEXTS, "speaker"))


class MyAxisEvaluator(stlib.evaluation.SentenceEvaluator):
    """The documents' minimal evaluator, with its metrics computed."""

    def __init__(self, queries, corpus, relevant_docs, name=""):
        super().__init__()
        self.queries = queries
        self.corpus = corpus
        self.relevant_docs = relevant_docs
        self.name = name
        self.primary_metric = "recall@1"
        self.greater_is_better = True

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        metrics = {}
        for axis in AXES:
            queries = model.encode_axis(list(self.queries.values()), axis)
            corpus = model.encode_axis(list(self.corpus.values()), axis)
            best = model.similarity(queries, corpus).argmax(dim=1).tolist()
            ids = list(self.corpus)
            hits = [ids[b] in self.relevant_docs[q] for b, q in zip(best, self.queries, strict=True)]
            metrics[f"{axis}_recall@1"] = sum(hits) / len(hits)
        metrics["recall@1"] = max(metrics.values())
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics


def test_my_axis_evaluator_as_documented(tiny_bert):
    model = multi_axis_model(tiny_bert)
    corpus = {f"d{i}": text for i, text in enumerate(TEXTS)}
    same = MyAxisEvaluator(
        {"q1": TEXTS[1], "q2": TEXTS[3]}, corpus, {"q1": {"d1"}, "q2": {"d3"}}, name="axes"
    )
    assert model.evaluate(same) == {
        "axes_content_recall@1": 1.0,
        "axes_speaker_recall@1": 1.0,
        "axes_recall@1": 1.0,
    }
    assert same.primary_metric == "axes_recall@1"
    assert same.description == "My Axis"
    wrong = MyAxisEvaluator({"q1": TEXTS[1]}, corpus, {"q1": {"d0"}})
    assert model.evaluate(wrong)["recall@1"] == 0.0
    both = stlib.evaluation.SequentialEvaluator([same, wrong])
    assert model.evaluate(both)["sequential_score"] == 0.0
