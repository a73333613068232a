"""The torch-free Encoder: its vectors, its spans, its fingerprint and its errors."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece

from stlib.runtime import (
    Encoder,
    EncoderProtocol,
    InvalidModelError,
    MissingModelFileError,
    ModelError,
    ModelNotFoundError,
    UnknownPromptError,
    UnsupportedModelError,
)

WORDS = ["[UNK]", "red", "green", "fast", "##er", "car", ":", "query"]
ROWS = np.array(
    [[0, 0, 0], [3, 4, 0], [0, 1, 2], [1, 1, 1], [5, -1, 3], [2, 2, 0], [0, 0, 0], [6, 0, 6]], np.float32
)
TEXTS = ["red car", "", "Faster, GREEN car: red?", "🚗", "  ", "ünknown café 東京 red", "green " * 5000]


def save_model(
    folder: Path,
    tensors: dict[str, np.ndarray] | None = None,
    *,
    kinds: tuple[str, ...] = ("StaticEmbedding",),
    config: dict[str, object] | None = None,
) -> Path:
    """A model of eight tokens whose vectors can be worked out by hand."""
    embedding = folder / "0_StaticEmbedding"
    embedding.mkdir(parents=True)
    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(embedding / "tokenizer.json"))
    save_file(tensors or {"embedding.weight": ROWS}, embedding / "model.safetensors")
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config or {}))
    return folder


def test_many_texts_at_a_time_give_the_same_vectors(tmp_path: Path) -> None:
    codes = np.array(ROWS * 9, np.int8)
    scale = np.linspace(0.1, 0.7, len(WORDS), dtype=np.float32)[:, None]
    folder = save_model(tmp_path / "int8", {"embedding.weight": codes, "embedding.scale": scale})
    few, many = Encoder.load(folder), Encoder.load(folder)
    expected = np.concatenate([few.encode([text]) for text in TEXTS * 100])
    np.testing.assert_array_equal(many.encode(TEXTS * 100), expected)
    np.testing.assert_array_equal(many.encode(TEXTS), few.encode(TEXTS))


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    return Encoder.load(save_model(tmp_path / "colours"))


def test_vector_is_the_mean_of_the_token_vectors(encoder: Encoder) -> None:
    vectors = encoder.encode(["red car", "faster", "Green green GREEN"])
    assert vectors.tolist() == [[2.5, 3, 0], [3, 0, 2], [0, 1, 2]]
    assert vectors.dtype == np.float32


def test_text_without_tokens_is_the_zero_vector_also_when_normalized(encoder: Encoder) -> None:
    assert encoder.encode(["", "red", " "]).tolist() == [[0, 0, 0], [3, 4, 0], [0, 0, 0]]
    normalized = encoder.encode(["", "red"], normalize_embeddings=True)
    np.testing.assert_allclose(normalized, [[0, 0, 0], [0.6, 0.8, 0]], atol=1e-7)


def test_no_texts_give_an_empty_matrix(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, 3)
    assert encoder.token_spans([]) == []


def test_truncation_comes_before_normalization(encoder: Encoder) -> None:
    np.testing.assert_allclose(
        encoder.encode(["red"], truncate_dim=1, normalize_embeddings=True), [[1.0]], atol=1e-7
    )
    assert encoder.encode(["red"], truncate_dim=2).tolist() == [[3, 4]]


@pytest.mark.parametrize("batch_size", [1, 2, 1024])
def test_batch_size_does_not_change_the_vectors(encoder: Encoder, batch_size: int) -> None:
    np.testing.assert_array_equal(encoder.encode(TEXTS, batch_size=batch_size), encoder.encode(TEXTS))


def test_a_text_longer_than_a_block_keeps_its_mean(encoder: Encoder) -> None:
    vectors = encoder.encode(["red", "green " * 9001, "car"])
    np.testing.assert_allclose(vectors, [[3, 4, 0], [0, 1, 2], [2, 2, 0]], rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("kinds", [("StaticEmbedding",), ("StaticEmbedding", "Normalize")])
def test_vectors_equal_the_reference_library(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    reference = pytest.importorskip("sentence_transformers")
    config = {"prompts": {"query": "query: ", "document": ""}}
    folder = save_model(tmp_path / "model", kinds=kinds, config=config)
    (folder / "1_Normalize").mkdir(exist_ok=True)
    ours, theirs = Encoder.load(folder), reference.SentenceTransformer(str(folder), device="cpu")
    for options in (
        {},
        {"prompt_name": "query"},
        {"prompt": "red "},
        {"normalize_embeddings": True},
        {"truncate_dim": 2},
        {"truncate_dim": 2, "normalize_embeddings": True},
    ):
        expected = theirs.encode(TEXTS, **options)
        np.testing.assert_allclose(ours.encode(TEXTS, **options), expected, atol=1e-6, err_msg=str(options))
    np.testing.assert_allclose(ours.encode_query(TEXTS), theirs.encode_query(TEXTS), atol=1e-6)
    np.testing.assert_allclose(ours.encode_document(TEXTS), theirs.encode_document(TEXTS), atol=1e-6)


@pytest.mark.parametrize("scale", [np.full((8, 1), 0.5), np.full((8,), 0.5), [[0.5] * 3], [[0.5]], [0.5]])
def test_int8_rows_are_scaled(tmp_path: Path, scale: object) -> None:
    tensors = {
        "embedding.weight": (ROWS * 2).astype(np.int8),
        "embedding.scale": np.asarray(scale, np.float32),
    }
    encoder = Encoder.load(save_model(tmp_path / "int8", tensors))
    assert encoder.encode(["red car", "green"]).tolist() == [[2.5, 3, 0], [0, 1, 2]]


def test_each_row_has_its_own_scale(tmp_path: Path) -> None:
    scale = np.arange(8, dtype=np.float32)[:, None]
    tensors = {"embedding.weight": np.ones((8, 3), np.int8), "embedding.scale": scale}
    encoder = Encoder.load(save_model(tmp_path / "int8", tensors))
    assert encoder.encode(["red", "green", "red car"]).tolist() == [[1] * 3, [2] * 3, [3] * 3]


def test_float16_rows_give_float32_vectors(tmp_path: Path) -> None:
    encoder = Encoder.load(save_model(tmp_path / "half", {"embedding.weight": ROWS.astype(np.float16)}))
    vectors = encoder.encode(["red car"])
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[2.5, 3, 0]]


def test_prompts(tmp_path: Path) -> None:
    config = {"prompts": {"query": "query: ", "passage": "green "}, "default_prompt_name": "passage"}
    encoder = Encoder.load(save_model(tmp_path / "prompted", config=config))
    assert encoder.prompts == {"query": "query: ", "passage": "green "}
    assert encoder.encode_query(["car"]).tolist() == encoder.encode(["query: car"], prompt="").tolist()
    assert encoder.encode_document(["car"]).tolist() == [[1, 1.5, 1]]
    assert encoder.encode(["car"]).tolist() == [[1, 1.5, 1]]  # the default prompt
    assert encoder.encode(["car"], prompt="red ").tolist() == [[2.5, 3, 0]]
    with pytest.raises(UnknownPromptError, match=r"no prompt named 'title'.*passage, query"):
        encoder.encode(["car"], prompt_name="title")


def test_spans_cut_out_the_tokens(encoder: Encoder) -> None:
    texts = ["Red  faster cär", "", "東京 😀 red"]
    spans = encoder.token_spans(texts)
    pieces = [[text[start:end] for start, end in rows] for text, rows in zip(texts, spans, strict=True)]
    assert pieces == [["Red", "fast", "er", "cär"], [], ["東", "京", "😀", "red"]]
    assert spans[0].dtype == np.int32
    assert spans[1].shape == (0, 2)


def test_fingerprint_depends_on_content_alone(tmp_path: Path) -> None:
    first = Encoder.load(save_model(tmp_path / "a")).fingerprint
    assert Encoder.load(save_model(tmp_path / "elsewhere" / "b")).fingerprint == first
    assert len(bytes.fromhex(first)) == hashlib.sha256().digest_size
    prompted = save_model(tmp_path / "c", config={"prompts": {"query": "q: "}})
    normalized = save_model(tmp_path / "d", kinds=("StaticEmbedding", "Normalize"))
    assert len({first, Encoder.load(prompted).fingerprint, Encoder.load(normalized).fingerprint}) == 3


def test_fingerprint_sees_one_flipped_bit(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    before = Encoder.load(folder).fingerprint
    path = folder / "0_StaticEmbedding" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert Encoder.load(folder).fingerprint != before


def test_encoder_satisfies_the_protocol_of_the_index(encoder: Encoder) -> None:
    assert isinstance(encoder, EncoderProtocol)
    assert (encoder.name, encoder.dimension) == ("colours", 3)


def test_torch_is_not_imported() -> None:
    code = "import sys, stlib.runtime; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_single_string_is_refused(encoder: Encoder) -> None:
    with pytest.raises(TypeError, match=r"encode\(\[text\]\)"):
        encoder.encode("red car")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truncate_dim": 4}, "truncate_dim is 4; allowed are 1 to 3"),
        ({"truncate_dim": 0}, "truncate_dim is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_numbers_out_of_range(encoder: Encoder, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder.encode(["red"], **options)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model folder at .*nowhere"):
        Encoder.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["modules.json", "0_StaticEmbedding/tokenizer.json", "0_StaticEmbedding/model.safetensors"]
)
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = save_model(tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(MissingModelFileError, match=name):
        Encoder.load(folder)


@pytest.mark.parametrize(
    "name",
    [
        "modules.json",
        "config_sentence_transformers.json",
        "0_StaticEmbedding/tokenizer.json",
        "0_StaticEmbedding/model.safetensors",
    ],
)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"[1, 2]"])
def test_garbage_in_a_file_is_an_error_that_names_it(tmp_path: Path, name: str, content: bytes) -> None:
    folder = save_model(tmp_path / "model")
    (folder / name).write_bytes(content)
    with pytest.raises(InvalidModelError, match=name):
        Encoder.load(folder)


@pytest.mark.parametrize(
    "tensors",
    [
        {"embedding.weight": ROWS.astype(np.int8)},
        {"embedding.weight": ROWS.astype(np.float64)},
        {"embedding.weight": ROWS[:, 0]},
        {"weight": ROWS},
        {"embedding.weight": ROWS[:3]},
        {"embedding.weight": ROWS.astype(np.int8), "embedding.scale": np.ones((5, 1), np.float32)},
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidModelError, match="0_StaticEmbedding"):
        Encoder.load(save_model(tmp_path / "model", tensors))


def test_a_transformer_is_sent_to_the_full_library(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", kinds=("Transformer", "Pooling"))
    with pytest.raises(UnsupportedModelError, match=r"Transformer \+ Pooling needs stlib"):
        Encoder.load(folder)


def test_module_path_may_not_leave_the_folder(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "../elsewhere"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InvalidModelError, match="outside"):
        Encoder.load(folder)


def test_default_prompt_must_exist(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", config={"default_prompt_name": "title"})
    with pytest.raises(InvalidModelError, match="default_prompt_name 'title'"):
        Encoder.load(folder)


def test_every_error_is_a_model_error() -> None:
    kinds = [ModelNotFoundError, MissingModelFileError, InvalidModelError, UnsupportedModelError]
    assert all(issubclass(kind, ModelError) for kind in [*kinds, UnknownPromptError])


def test_saved_weights_round_trip(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    stored = load_file(folder / "0_StaticEmbedding" / "model.safetensors")["embedding.weight"]
    np.testing.assert_array_equal(Encoder.load(folder).encode(WORDS[1:4]), stored[1:4])
