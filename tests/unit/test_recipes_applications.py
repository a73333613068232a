"""The recipes of clustering, mining and search, on texts whose answer is known."""

from __future__ import annotations

import gzip
import importlib
import json
import sys

import numpy as np
import pytest

from stlib.errors import InvalidInput, InvalidOption, MissingDependency
from stlib.recipes import (
    agglomerative,
    fast_clustering,
    image_search,
    kmeans,
    parallel_mining,
    paraphrase_mining,
    quantized_search,
    topics,
)
from stlib.recipes._inputs import read_rows, read_texts, run

MUSIC = [
    "the band played music with guitar and drums",
    "a guitar and a drum make the music of the band",
    "the singer of the band played guitar music",
]
FOOD = [
    "bake the bread with flour, butter and sugar",
    "sugar, flour and butter make a sweet cake bread",
    "the cook mixed butter, flour and sugar for bread",
    "flour and butter for baking bread and cake",
]
SPACE = ["the rocket flew to the planet mars in space", "a rocket in space on its way to planet mars"]
TEXTS = [text for row in zip(MUSIC, FOOD, strict=False) for text in row] + [FOOD[3], *SPACE]
GROUPS = [sorted(FOOD), sorted(MUSIC), sorted(SPACE)]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return str(path)


# -- clustering


def test_kmeans(file, capsys):
    pytest.importorskip("sklearn", reason="run: pip install '.[recipes]'")
    found = kmeans.main([file, "--clusters", "3", "--show", "2"])
    assert [sorted(cluster) for cluster in found] == GROUPS
    printed = capsys.readouterr().out
    assert "cluster 1, 4 texts" in printed
    assert "... 2 more" in printed
    with pytest.raises(InvalidOption, match="--clusters is 10; use 1 to 9"):
        kmeans.main([file, "--clusters", "10"])


def test_agglomerative(file):
    pytest.importorskip("sklearn", reason="run: pip install '.[recipes]'")
    found = agglomerative.main([file, "--threshold", "1.2"])
    assert [sorted(cluster) for cluster in found] == GROUPS
    one = agglomerative.main([file, "--threshold", "9"])
    assert [sorted(cluster) for cluster in one] == [sorted(TEXTS)]


def test_fast_clustering(file, capsys):
    found = fast_clustering.main([file, "--threshold", "0.5", "--min-size", "3"])
    assert [sorted(cluster) for cluster in found] == GROUPS[:2]
    assert "7 of 9 texts are in 2 groups" in capsys.readouterr().out


def test_topics(file):
    pytest.importorskip("sklearn", reason="run: pip install '.[recipes]'")
    found = topics.main([file, "--clusters", "3", "--words", "3"])
    assert [sorted(texts) for _, texts in found] == GROUPS
    assert [set(words) for words, _ in found] == [
        {"flour", "butter", "bread"},
        {"band", "guitar", "music"},
        {"rocket", "planet", "mars"},
    ]


def test_words_of_a_topic_by_hand():
    # Six words in two clusters: A = 3. "red" weighs 2 log(1 + 3/2) and 0, "the" log(1 + 3/2) in both,
    # "blue" 2 log(1 + 3/2).
    words = topics.topic_words(["red red the", "the blue blue"], [[0], [1]], 2)
    assert words == [["red", "the"], ["blue", "the"]]


@pytest.mark.parametrize("recipe", [kmeans, agglomerative])
def test_missing_sklearn_is_named(monkeypatch, file, recipe):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(MissingDependency, match=r"pip install scikit-learn"):
        recipe.main([file])


# -- mining


def test_paraphrase_mining(tmp_path, capsys):
    path = tmp_path / "texts.csv"
    path.write_text(
        'id,text\n1,"how do I bake bread"\n2,the red car\n3,how to bake a bread\n', encoding="utf-8"
    )
    found = paraphrase_mining.main([str(path), "--pairs", "1"])
    assert [pair[1:] for pair in found] == [("how do I bake bread", "how to bake a bread")]
    assert found[0][0] > 0.5
    assert capsys.readouterr().out.startswith(f"{found[0][0]:.3f}  how do I bake bread\n")
    assert paraphrase_mining.main([str(path), "--min-score", "1.1"]) == []


def test_parallel_mining_by_hand():
    # Row 2 of the target is near every row of the source, so cosines alone would pair it with row 0.
    source = np.array([[1.0, 0.2, 0.9], [0.2, 1.0, 0.9]])
    target = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 0.2], [0.5, 0.5, 1.0]])
    cosines = _cosines(source, target)
    assert cosines.argmax(axis=1).tolist() == [2, 2]
    found = parallel_mining.margin_pairs(source, target, neighbours=2)
    expected = _best_ratios(cosines, 2)
    assert [pair[1:] for pair in found] == [pair[1:] for pair in expected]
    np.testing.assert_allclose([pair[0] for pair in found], [pair[0] for pair in expected], rtol=1e-6)


def test_parallel_mining_equals_a_loop():
    rng = np.random.default_rng(4)
    source = rng.standard_normal((12, 6))
    target = np.concatenate([source[::2] + 0.3 * rng.standard_normal((6, 6)), rng.standard_normal((5, 6))])
    for k in (1, 3, 30):
        found = parallel_mining.margin_pairs(source, target, neighbours=k, threshold=1.05)
        expected = _best_ratios(_cosines(source, target), k, 1.05)
        assert [pair[1:] for pair in found] == [pair[1:] for pair in expected]


def _cosines(a, b):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return a @ b.T


def _best_ratios(cosines, k, threshold=1.0):
    """The definition: nearest neighbours of both sides, then greedily the best ratio of free rows."""
    rows = np.sort(cosines, axis=1)[:, ::-1][:, :k].mean(axis=1)
    columns = np.sort(cosines, axis=0)[::-1][:k].mean(axis=0)
    ratios = cosines / ((rows[:, None] + columns) / 2)
    near = (cosines >= np.sort(cosines, axis=1)[:, ::-1][:, : min(k, cosines.shape[1])][:, -1:]) | (
        cosines >= np.sort(cosines, axis=0)[::-1][: min(k, cosines.shape[0])][-1]
    )
    free_rows, free_columns, found = set(range(len(rows))), set(range(len(columns))), []
    for flat in np.argsort(-ratios, axis=None):
        i, j = (int(x) for x in np.unravel_index(flat, ratios.shape))
        if near[i, j] and ratios[i, j] >= threshold and i in free_rows and j in free_columns:
            found.append((ratios[i, j], i, j))
            free_rows.remove(i)
            free_columns.remove(j)
    return found


def test_parallel_mining_of_files(tmp_path, capsys):
    one, other = tmp_path / "one.txt", tmp_path / "other.jsonl"
    one.write_text("the big dog\nmusic of the band\n", encoding="utf-8")
    rows = [{"t": "band music"}, {"t": "flour and sugar"}, {"t": "a large dog"}]
    other.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = parallel_mining.main([str(one), str(other), "--target-column", "t", "--neighbours", "2"])
    assert {pair[1:] for pair in found} == {
        ("the big dog", "a large dog"),
        ("music of the band", "band music"),
    }
    assert "\tthe big dog\ta large dog\n" in capsys.readouterr().out


# -- search


@pytest.mark.parametrize("precision", ["float32", "uint8", "ubinary"])
def test_quantized_search(file, capsys, precision):
    pytest.importorskip("faiss", reason="run: pip install faiss-cpu")
    found = quantized_search.main(
        [file, "a rocket to the planet mars", "--precision", precision, "--top-k", "2"]
    )
    assert sorted(text for _, text in found) == sorted(SPACE)
    assert found[0][0] >= found[1][0]
    assert "9 texts in" in capsys.readouterr().out


def test_image_search(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="run: pip install '.[image]'")
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    colours = {"red.png": (250, 10, 10), "more/blue.png": (10, 10, 250), "green.jpg": (10, 250, 10)}
    for name, colour in colours.items():
        image.new("RGB", (32, 32), colour).save(folder / name)
    image.new("RGB", (32, 32), (10, 20, 240)).save(tmp_path / "query.png")
    model = _clip(tmp_path / "clip")
    found = image_search.main([str(folder), str(tmp_path / "query.png"), "--model", model, "--top-k", "2"])
    assert found[0][1] == folder / "more" / "blue.png"
    assert found[0][0] > found[1][0]
    by_text = image_search.main([str(folder), "a blue picture", "--model", model])
    assert {path for _, path in by_text} == {folder / name for name in colours}
    with pytest.raises(InvalidInput, match="holds no pictures"):
        image_search.main([str(tmp_path / "clip"), "text", "--model", model])


def _clip(folder):
    """A tiny CLIP with random weights."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast, CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "blue", "picture"]
    BertWordPieceTokenizer({word: i for i, word in enumerate(words)}).save(str(folder / "tokenizer.json"))
    tokenizer = BertTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), model_max_length=16)
    tower = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    torch.manual_seed(1)
    config = CLIPConfig(
        text_config={**tower, **ids, "vocab_size": 8, "max_position_embeddings": 16},
        vision_config={**tower, "image_size": 32, "patch_size": 16, "initializer_range": 0.3},
        projection_dim=8,
    )
    CLIPModel(config).eval().save_pretrained(folder)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(CLIPImageProcessor(**size), tokenizer).save_pretrained(folder)
    return str(folder)


# -- input files


def test_files_are_read_by_their_ending(tmp_path):
    files = {
        "a.txt": "one\n\ntwo\n",
        "a.csv": 'name,text\n1,one\n2,"two"\n',
        "a.tsv": "name\ttext\n1\tone\n2\ttwo\n",
        "a.jsonl": '{"id": 1, "text": "one"}\n\n"two"\n',
        "a.json": '[{"text": "one"}, "two"]',
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        assert read_texts(tmp_path / name) == read_texts(tmp_path / f"{name}.gz") == ["one", "two"]
    assert read_texts(tmp_path / "a.csv", "name", limit=1) == ["1"]
    assert read_texts(tmp_path / "a.csv", "1") == ["text", "one", "two"]
    assert read_texts(tmp_path / "a.csv", "name") == ["1", "2"]


def test_quotation_marks_in_tables_with_tabs_are_text(tmp_path):
    path = tmp_path / "sts.csv"
    path.write_text('5.0\ta "b\tc\n4.0\t"d\te\n', encoding="utf-8")
    assert (read_texts(path, "1"), read_texts(path, "0")) == (['a "b', '"d'], ["5.0", "4.0"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "a"}\n{', "line 2 of .* is not JSON"),
        ("a.jsonl", b"3", "line 1 of .* is a int"),
        ("a.json", b'{"a": 1}', "expected a list"),
        ("a.csv", b"x,y\n1,2\n", "has the columns x, y; say which one holds the text"),
        ("a.txt", b"\xff\xfe", "is not UTF-8 text"),
        ("a.txt", b"\n", "holds no text"),
        ("a.txt.gz", b"plain", "cannot be read"),
        ("missing.txt", None, "there is no file"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read_texts(tmp_path / name)


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": "a"}\n{"y": "b"}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"row 2 of .* has no column 'x'; its columns: y"):
        read_texts(path, "x")
    assert read_rows(path) == [{"x": "a"}, {"y": "b"}]


RECIPES = [
    "agglomerative",
    "fast_clustering",
    "image_search",
    "kmeans",
    "parallel_mining",
    "paraphrase_mining",
    "quantized_search",
    "topics",
]


@pytest.mark.parametrize("name", RECIPES)
def test_help_needs_nothing(name, capsys):
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"stlib.recipes.{name}").main(["--help"])
    assert end.value.code == 0
    assert "--model" in capsys.readouterr().out


def test_expected_errors_are_one_line():
    def fail(argv):
        raise InvalidInput("there is no file x")

    with pytest.raises(SystemExit, match=r"^error: there is no file x$"):
        run(fail)
