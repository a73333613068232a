"""Rerankers exported to ONNX: through CrossEncoder, and without torch through the runtime."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexing import Collection
from stlib import CrossEncoder, export_dynamic_quantized_onnx_model
from stlib.runtime import (
    InvalidModelError,
    MissingModelFileError,
    ModelNotFoundError,
    Reranker,
    RerankerProtocol,
    UnsupportedModelError,
)

pytestmark = pytest.mark.parity

QUERY = "how do i sort a list"
PASSAGES = [
    "sort a list in short",
    "",
    "the quick brown fox jumps over the lazy dog " * 12,
    "meaning of word",
    "the quick brown fox",
] * 3
PAIRS = [(QUERY, passage) for passage in PASSAGES]


@pytest.fixture(scope="module")
def exported(tiny_reranker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx") / "reranker"
    CrossEncoder(tiny_reranker, backend="onnx", device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="module")
def logits(tiny_reranker):
    import torch

    return CrossEncoder(tiny_reranker, device="cpu").predict(PAIRS, activation_fn=torch.nn.Identity())


def test_the_backend_gives_the_same_scores(tiny_reranker, exported):
    expected = CrossEncoder(tiny_reranker, device="cpu").predict(PAIRS)
    model = CrossEncoder(exported, backend="onnx", device="cpu")
    assert model.get_backend() == "onnx"
    np.testing.assert_allclose(model.predict(PAIRS), expected, atol=2e-6)


def test_the_runtime_gives_the_same_scores(exported, logits):
    reranker = Reranker.load(exported)
    assert isinstance(reranker, RerankerProtocol)
    np.testing.assert_allclose(reranker.scores(QUERY, PASSAGES), logits, atol=2e-5)
    assert reranker.scores(QUERY, []).shape == (0,)
    assert reranker.max_length == 64
    by_file = Reranker.load(exported / "onnx" / "model.onnx")
    np.testing.assert_array_equal(by_file.scores(QUERY, PASSAGES), reranker.scores(QUERY, PASSAGES))


def test_a_quantised_file_runs(exported, logits, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "int8"))
    model = CrossEncoder(folder, backend="onnx", device="cpu")
    export_dynamic_quantized_onnx_model(model, "avx2", str(folder))
    name = "model_quint8_avx2.onnx"
    got = Reranker.load(folder, file_name=name).scores(QUERY, PASSAGES)
    np.testing.assert_allclose(got, logits, atol=0.12)  # they span 1.4
    assert np.argsort(got, kind="stable").tolist() == np.argsort(logits, kind="stable").tolist()
    through_torch = CrossEncoder(
        folder, backend="onnx", model_kwargs={"file_name": f"onnx/{name}"}, device="cpu"
    )
    np.testing.assert_allclose(through_torch.predict(PAIRS), 1 / (1 + np.exp(-got)), atol=1e-5)


def test_the_real_reranker_prefers_the_answer(ms_marco):
    passages = [
        "The library is closed on Sundays.",
        "sorted() builds a new sorted list from an iterable; list.sort() sorts a list in place.",
        "A list of rivers in Europe.",
        "word " * 20_000,
    ]
    reranker = Reranker.load(ms_marco)
    scores = reranker.scores("How do I sort a list in Python?", passages)
    assert scores.argmax() == 1
    assert scores[1] > 1 > -1 > np.delete(scores, 1).max()


def test_reranking_loads_no_torch(exported):
    program = (
        "import sys; from stlib.runtime import Reranker; "
        f"print(len(Reranker.load({str(exported)!r}).scores('a', ['b', 'c']))); "
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["2", "[]"]


def test_what_is_no_reranker_is_named(tmp_path, tiny_reranker, tiny_bert, tiny_classifier):
    with pytest.raises(ModelNotFoundError, match="there is no such folder"):
        Reranker.load(tmp_path / "nowhere")
    with pytest.raises(UnsupportedModelError, match=r"holds no ONNX file, so it needs stlib\.CrossEncoder"):
        Reranker.load(tiny_reranker)
    CrossEncoder(tiny_classifier, backend="onnx", device="cpu").save(str(tmp_path / "three"))
    with pytest.raises(UnsupportedModelError, match="gives 3 scores per pair"):
        Reranker.load(tmp_path / "three")
    from stlib import SentenceTransformer

    SentenceTransformer(tiny_bert, backend="onnx", device="cpu").save(str(tmp_path / "embeds"))
    with pytest.raises(UnsupportedModelError, match="names the modules Transformer, Pooling"):
        Reranker.load(tmp_path / "embeds")
    (tmp_path / "embeds" / "modules.json").unlink()
    with pytest.raises(UnsupportedModelError, match="as embedding models do"):
        Reranker.load(tmp_path / "embeds")


def test_damaged_folders_are_named(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "damaged"))
    (folder / "onnx" / "model.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidModelError, match=r"model\.onnx"):
        Reranker.load(folder)
    (folder / "tokenizer.json").unlink()
    shutil.copy(exported / "onnx" / "model.onnx", folder / "onnx" / "model.onnx")
    with pytest.raises(MissingModelFileError, match=r"tokenizer\.json"):
        Reranker.load(folder)
    settings = json.loads((exported / "tokenizer_config.json").read_text())
    shutil.copy(exported / "tokenizer.json", folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": "many"}))
    with pytest.raises(InvalidModelError, match="model_max_length"):
        Reranker.load(folder)


def test_one_text_is_not_taken_for_a_list(exported):
    with pytest.raises(TypeError, match="pass a list"):
        Reranker.load(exported).scores("a", "b")


def test_the_runtime_asks_with_the_saved_prompt(exported, tmp_path):
    import torch

    model = CrossEncoder(str(exported), backend="onnx", device="cpu", prompts={"find": "sort the word: "})
    model.default_prompt_name = "find"
    model.save(str(tmp_path / "prompted"))
    expected = CrossEncoder(str(tmp_path / "prompted"), backend="onnx", device="cpu").predict(
        PAIRS, activation_fn=torch.nn.Identity()
    )
    prompted = Reranker.load(tmp_path / "prompted")
    np.testing.assert_allclose(prompted.scores(QUERY, PASSAGES), expected, atol=1e-5)
    plain = Reranker.load(exported)
    np.testing.assert_allclose(plain.scores(f"sort the word: {QUERY}", PASSAGES), expected, atol=1e-5)


def test_a_prompt_that_is_missing_is_named(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "promptless"))
    settings = {"default_prompt_name": "find", "prompts": {"other": "Find: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    with pytest.raises(InvalidModelError, match="default_prompt_name is 'find', and prompts has no text"):
        Reranker.load(folder)


def test_a_reranker_whose_file_was_written_anew_is_loaded_again(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "reranker"))
    with Collection.create("fox", home=tmp_path) as collection:
        collection.add([{"id": "fox", "text": "the quick brown fox"}, {"id": "list", "text": "sort a list"}])
        before = collection.search("fox", rerank=str(folder))
        graph = folder / "onnx" / "model.onnx"
        graph.write_bytes(graph.read_bytes())
        changed = collection.search("fox", rerank=str(folder))
        assert "has changed since it was loaded" in changed.notes[0]
        after = collection.search("fox", rerank=str(folder))
        assert (after.reranked, after.notes) == (2, [])
        assert [r.parts["rerank"] for r in after.results] == [r.parts["rerank"] for r in before.results]


def test_the_runtime_cuts_pairs_as_the_folder_says(exported, tmp_path):
    import torch

    folder = Path(shutil.copytree(exported, tmp_path / "cut"))
    for name, settings in (
        ("tokenizer_config.json", {"truncation_side": "left"}),
        ("sentence_bert_config.json", {"max_seq_length": 12}),
    ):
        saved = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**saved, **settings}))
    model = CrossEncoder(str(folder), backend="onnx", device="cpu")
    passages = [*PASSAGES, "fox " * 1000 + "meaning of word"]
    expected = model.predict([(QUERY, p) for p in passages], activation_fn=torch.nn.Identity())
    reranker = Reranker.load(folder)
    assert (reranker.max_length, model.max_length) == (12, 12)
    np.testing.assert_allclose(reranker.scores(QUERY, passages), expected, atol=1e-5)
    assert abs(Reranker.load(exported).scores(QUERY, passages) - expected).max() > 0.01


@pytest.mark.parametrize(
    "settings", [{"do_lower_case": True}, {"processing_kwargs": {"text": {"max_length": 6}}}]
)
def test_settings_that_only_the_full_library_serves_are_named(exported, tmp_path, settings):
    folder = Path(shutil.copytree(exported, tmp_path / "settings"))
    path = folder / "sentence_bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    with pytest.raises(UnsupportedModelError, match=f"sets {next(iter(settings))}"):
        Reranker.load(folder)


def test_the_runtime_cuts_very_long_texts_as_if_it_had_read_them(exported):
    """Each word is a single unknown token, however long it is."""
    long, short = ("unknownword" * 30 + " the ") * 100, "x1y2z3 the " * 100
    reranker = Reranker.load(exported)
    np.testing.assert_array_equal(*reranker.scores(QUERY, [long, short]))
    assert reranker.scores(long, ["fox"]) == reranker.scores(short, ["fox"])


def test_special_tokens_that_are_plain_text_are_so_in_very_long_texts(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "split"))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "split_special_tokens": True}))
    reranker = Reranker.load(folder)
    np.testing.assert_array_equal(*reranker.scores(QUERY, ["[SEP] fox " * 2000, "[SEP] fox " * 100]))
    assert reranker._untruncating.encode("[SEP]").tokens == reranker._tokenizer.encode("[SEP]").tokens
