"""Names that are no cross-encoder's: told at once, without the hub."""

from __future__ import annotations

import pytest

from stlib import CrossEncoder
from stlib.errors import InvalidOption, ModelConfigError, ModelNotFound
from stlib.runtime import InteractionReranker, default_reranker_path

LOADS = "stlib.runtime.InteractionReranker.load("


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    """Looking for a model fails the test."""
    monkeypatch.setattr("stlib.base.model.find_model", lambda *given: pytest.fail("looked for a model"))


def test_the_bundled_reranker_is_told_how_it_is_loaded():
    with pytest.raises(ModelNotFound) as raised:
        CrossEncoder("stlib-rerank-en")
    assert str(raised.value) == (
        f"'stlib-rerank-en' is a reranker without torch, which CrossEncoder does not run: load it "
        f"with {LOADS}), or search with Collection.search(rerank='stlib-rerank-en')"
    )
    assert InteractionReranker.load().name == "stlib-rerank-en"  # as it says


def test_its_folder_is_too():
    folder = str(default_reranker_path())
    with pytest.raises(ModelConfigError, match="a reranker without torch") as raised:
        CrossEncoder(folder)
    assert f"{LOADS}{folder!r})" in str(raised.value)


def test_a_misspelt_name_is_told():
    with pytest.raises(ModelNotFound, match="did you mean 'stlib-rerank-en'") as raised:
        CrossEncoder("stlib-rerank-eng")
    assert LOADS in str(raised.value)


def test_the_bundled_embedding_model_is_told():
    with pytest.raises(ModelNotFound, match="is the bundled embedding model"):
        CrossEncoder("stlib-static-en")


@pytest.mark.parametrize("name", ["", "  "])
def test_a_blank_name_is_refused(name):
    with pytest.raises(InvalidOption, match=f"^the model's name is '{name}'; give a folder or a model id"):
        CrossEncoder(name)


def test_neither_a_name_nor_modules_is_refused():
    with pytest.raises(InvalidOption, match="there is neither a name nor modules; pass the name"):
        CrossEncoder(None)
    with pytest.raises(InvalidOption, match="modules is empty; pass the name"):
        CrossEncoder("", modules=[])
