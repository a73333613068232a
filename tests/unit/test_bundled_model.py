"""The model that comes with the package: it is there, it fits, and it answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexing import Collection
from stlib.runtime import BUNDLED_MODEL_NAME, Encoder, default_model_path

PASSAGES = [
    "Heart attacks happen when the blood supply to the heart muscle is blocked.",
    "The central bank raised interest rates to slow down inflation.",
    "Volcanoes erupt when molten rock rises to the surface of the earth.",
    "Return successive overlapping pairs taken from the input iterable.",
    "Execute a child program in a new process and capture its output.",
    "The airplane wing generates lift because air flows faster over its upper surface.",
    "Paris is the capital and most populous city of France.",
    "Photosynthesis turns sunlight, water and carbon dioxide into sugar and oxygen.",
]
QUESTIONS = [
    "what causes myocardial infarction",
    "why did borrowing become more expensive",
    "how does lava come out of a mountain",
    "iterate over neighbouring items of a list",
    "run a command and read what it prints",
    "what keeps aircraft in the air",
    "largest French city",
    "how do plants make food",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load()


def test_default_and_name_are_the_same_model(encoder: Encoder) -> None:
    assert encoder.name == BUNDLED_MODEL_NAME
    assert Encoder.load(BUNDLED_MODEL_NAME).fingerprint == encoder.fingerprint
    assert Encoder.load(default_model_path()).fingerprint == encoder.fingerprint


def test_a_folder_of_the_same_name_wins_over_the_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / BUNDLED_MODEL_NAME).mkdir()
    with pytest.raises(FileNotFoundError, match=r"modules\.json"):
        Encoder.load(BUNDLED_MODEL_NAME)


def test_the_folder_stays_below_twelve_megabytes() -> None:
    size = sum(path.stat().st_size for path in default_model_path().rglob("*") if path.is_file())
    assert size <= 12_000_000


@pytest.mark.parametrize("width", [256, 128, 64])
def test_each_question_finds_its_passage(encoder: Encoder, width: int) -> None:
    options = {"truncate_dim": width, "normalize_embeddings": True}
    scores = encoder.encode_query(QUESTIONS, **options) @ encoder.encode_document(PASSAGES, **options).T
    assert np.argmax(scores, axis=1).tolist() == list(range(len(QUESTIONS)))


def test_vectors_have_unit_length_and_empty_texts_none(encoder: Encoder) -> None:
    norms = np.linalg.norm(encoder.encode(["A sentence.", "", "東京", "x" * 500]), axis=1)
    np.testing.assert_allclose(norms, [1, 0, 1, norms[3]], atol=1e-6)


def test_word_order_and_case_do_not_matter(encoder: Encoder) -> None:
    first, second = encoder.encode(["Sorting a LIST quickly", "quickly sorting a list"])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_loading_needs_no_torch() -> None:
    code = (
        "import sys; from stlib.runtime import Encoder; "
        "print(Encoder.load().encode(['hello']).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 256) False"


def test_collections_of_a_process_share_it(tmp_path: Path, another_machine: None) -> None:
    for name in ("one", "two"):
        Collection.create(name, home=tmp_path).close()
    with Collection.open("one", home=tmp_path) as one, Collection.open("two", home=tmp_path) as two:
        assert one.encoder is two.encoder
        assert one.encoder.fingerprint == Encoder.load().fingerprint
