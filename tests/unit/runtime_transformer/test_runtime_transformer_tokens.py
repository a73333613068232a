"""A vector for each token without torch: worked out by hand, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from stlib.runtime import InvalidModelError, ModelNotFoundError, UnknownPromptError, UnsupportedModelError
from stlib.runtime.token_encoder import TokenRuntimeEncoder

KIND = {"model_type": "MultiVectorEncoder"}


@pytest.fixture
def late(tmp_path: Path, colours: Any) -> Any:
    """Writes a late-interaction model of words and colours whose documents leave out the word "car"."""

    def save(mask: Any = None, kinds: tuple[str, ...] = (), **transformer: Any) -> Path:
        folder = colours.save_model(
            tmp_path / "late", kinds=kinds or ("Transformer", "MultiVectorMask"), config=KIND
        )
        (folder / "1_MultiVectorMask").mkdir()
        colours.write(
            folder / "1_MultiVectorMask" / "config.json", mask or {"skiplist_words": ["car", "[CLS]"]}
        )
        colours.write(folder / "sentence_bert_config.json", transformer)
        return folder

    return save


def test_tokens_that_count(late: Any, colours: Any) -> None:
    light = TokenRuntimeEncoder.load(late())
    cls, red, car, sep = colours.rows[[2, 4, 6, 3]]
    (document,) = light.encode_document(["red car"])
    np.testing.assert_array_equal(document, [red, sep])
    (query,) = light.encode_query(["red car"])
    np.testing.assert_array_equal(query, [cls, red, car, sep])
    assert light.dimension == 3


def test_queries_are_filled_up(late: Any, colours: Any) -> None:
    settings = {"strategy": "fixed", "length": 5, "token": "fast"}
    light = TokenRuntimeEncoder.load(late(query_expansion=settings))
    cls, red, fast, sep = colours.rows[[2, 4, 7, 3]]
    short, long = light.encode_query(["red", "red red red red red"])
    np.testing.assert_array_equal(short, [cls, red, sep, fast, fast])
    np.testing.assert_array_equal(long, [cls, red, red, red, sep])


def test_a_bare_transformer_gives_unit_vectors(folder: Path, colours: Any) -> None:
    (folder / "modules.json").unlink()
    (found,) = TokenRuntimeEncoder.load(folder).encode_document(["red green"])
    red, green = colours.rows[[4, 5]]
    expected = [[0, 0, 0], red / np.linalg.norm(red), green / np.linalg.norm(green), [0, 0, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"query_expansion": {"strategy": "wide", "length": 5}}, "its strategy is one of fixed, min"),
        ({"query_expansion": {"strategy": "min", "length": 0}}, "its length is a whole number"),
        ({"query_expansion": {"strategy": "min", "length": 13}}, "number of tokens from 1 to 12"),
        ({"query_expansion": {"strategy": "min", "length": 5, "attend": 1}}, "its attend true or false"),
        ({"query_expansion": {"strategy": "min", "length": 5, "size": 1}}, "allowed is an object of attend"),
        ({"query_expansion": [5]}, "allowed is an object of attend"),
        ({"query_expansion": {"strategy": "min", "length": 5}}, r"names no token that tokenizer\.json has"),
        ({"query_expansion": {"strategy": "min", "length": 5, "token": "x"}}, "names no token"),
        ({"mask": {"skiplist_words": 5}}, "skiplist_words=5; allowed is a list of str"),
        ({"mask": {"keep_only_token_ids": ["a"]}}, "allowed is a list of int"),
    ],
)
def test_malformed_settings_are_named(late: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidModelError, match=message):
        TokenRuntimeEncoder.load(late(**settings))


def test_a_projection_of_another_model(late: Any, colours: Any) -> None:
    folder = late(kinds=("Transformer", "Dense"))
    colours.save_dense(folder, "1_Dense", {"activation_function": None})
    assert TokenRuntimeEncoder.load(folder).encode_document(["red"])[0].tolist() == [[0, 0], [4, -8], [0, 0]]
    colours.write(folder / "1_Dense" / "config.json", {"in_features": 4, "out_features": 2, "bias": False})
    save_file({"linear.weight": np.ones((2, 4), np.float32)}, folder / "1_Dense" / "model.safetensors")
    with pytest.raises(InvalidModelError, match="takes vectors of 4 dimensions and gets 3"):
        TokenRuntimeEncoder.load(folder)


def test_routes_of_queries_and_documents(late: Any, colours: Any) -> None:
    folder = late(kinds=("Router", "MultiVectorMask"))
    colours.save_dense(
        folder, "dense", {"activation_function": None, "module_input_name": "token_embeddings"}
    )
    transformer = "sentence_transformers.models.Transformer"
    types = {"one": transformer, "two": transformer, "dense": "sentence_transformers.models.Dense"}
    for name in ("one", "two"):
        colours.save_model(folder / name)
    routes = {"query": ["one", "dense"], "document": ["two", "dense"]}
    colours.write(folder / "router_config.json", {"types": types, "structure": routes, "parameters": {}})
    light = TokenRuntimeEncoder.load(folder)
    assert light.dimension == 2
    assert light.encode_query(["red car"])[0].tolist() == [[0, 0], [4, -8], [8, 4], [0, 0]]
    assert light.encode_document(["red car"])[0].tolist() == [[4, -8], [0, 0]]


def test_what_is_no_late_interaction_model(
    folder: Path, late: Any, colours: Any, tmp_path: Path, bge_small: Path
) -> None:
    with pytest.raises(ModelNotFoundError, match="no model folder at"):
        TokenRuntimeEncoder.load(tmp_path / "nothing")
    with pytest.raises(UnsupportedModelError, match=r"Transformer \+ Pooling needs stlib.MultiVectorEncoder"):
        TokenRuntimeEncoder.load(folder)
    for kind, message in (("SentenceTransformer", "holds a SentenceTransformer"), ("ColBERT", "PyLate")):
        colours.write(folder / "config_sentence_transformers.json", {"model_type": kind})
        with pytest.raises(UnsupportedModelError, match=message):
            TokenRuntimeEncoder.load(folder)
    with pytest.raises(UnsupportedModelError, match="begins with a TokenMask that gives no token vectors"):
        TokenRuntimeEncoder.load(late(kinds=("MultiVectorMask",)))
    light = TokenRuntimeEncoder.load(bge_small)
    with pytest.raises(TypeError, match="single string"):
        light.encode_query("red")
    with pytest.raises(UnknownPromptError, match="are: document, query"):
        light.encode(["red"], prompt_name="answer")


def test_the_open_model_without_its_projection(answerai_colbert: Path) -> None:
    """That what is exported by others runs, in a process that never imports torch."""
    code = (
        "import sys; from stlib.runtime.token_encoder import TokenRuntimeEncoder\n"
        "e = TokenRuntimeEncoder.load(sys.argv[1])\n"
        "a, b = e.encode_document(['Paris is the capital of France.', 'Bananas are yellow.'])\n"
        "q, = e.encode_query(['what is the capital of france'])\n"
        "assert a.shape == (9, 384) and (q @ a.T).max(1).sum() > (q @ b.T).max(1).sum() + 1\n"
        "print(sorted({'torch', 'transformers', 'onnx', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(answerai_colbert)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
