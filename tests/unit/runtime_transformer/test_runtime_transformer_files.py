"""Files of transformers: which one is loaded, what a fingerprint covers, and weights left on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from stlib.runtime import Encoder, InvalidModelError, MissingModelFileError, UnsupportedModelError
from stlib.runtime.modules.onnx_outline import outline


def test_the_file_is_chosen_by_name(tmp_path: Path, colours: Any) -> None:
    folder = colours.save_model(tmp_path / "m")
    onnx.save(colours.graph(rows=colours.rows * 2), folder / "onnx" / "model_int8.onnx")
    onnx.save(colours.graph(rows=colours.rows * 3), folder / "model_O2.onnx")
    usual, double, triple = [[3, 2, 1]], [[6, 4, 2]], [[9, 6, 3]]
    assert Encoder.load(folder).encode(["red car"]).tolist() == usual
    for name in ("model_int8.onnx", "onnx/model_int8.onnx"):
        encoder = Encoder.load(folder, file_name=name)
        assert encoder.encode(["red car"]).tolist() == double
        assert encoder.source == str(folder / "onnx" / "model_int8.onnx")
    assert Encoder.load(encoder.source).encode(["red car"]).tolist() == double
    assert Encoder.load(folder / "model_O2.onnx").encode(["red car"]).tolist() == triple
    assert Encoder.load(folder).source == str(folder)
    with pytest.raises(
        MissingModelFileError, match=r"holds no model_O4.onnx.*model_O2.onnx, onnx/model.onnx"
    ):
        Encoder.load(folder, file_name="model_O4.onnx")
    (folder / "onnx" / "model.onnx").unlink()
    with pytest.raises(MissingModelFileError, match=r"file_name=: model_O2.onnx, onnx/model_int8.onnx"):
        Encoder.load(folder)
    (folder / "model_O2.onnx").unlink()
    assert Encoder.load(folder).encode(["red car"]).tolist() == double


@pytest.mark.parametrize("name", ["../other/model.onnx", "/etc/model.onnx", "..\\model.onnx"])
def test_a_file_name_may_not_leave_the_folder(folder: Path, name: str) -> None:
    with pytest.raises(InvalidModelError, match="lies outside the model's folder"):
        Encoder.load(folder, file_name=name)


def test_without_an_onnx_file_the_full_library_is_needed(folder: Path) -> None:
    (folder / "onnx" / "model.onnx").unlink()
    with pytest.raises(
        UnsupportedModelError, match=r"Transformer \+ Pooling needs stlib.SentenceTransformer"
    ):
        Encoder.load(folder)


def test_fingerprint_depends_on_all_that_decides_vectors_and_on_nothing_else(
    tmp_path: Path, colours: Any
) -> None:
    def changed(name: str, path: str, value: object) -> str:
        folder = colours.save_model(tmp_path / name)
        colours.write(folder / path, value)
        return Encoder.load(folder).fingerprint

    first = Encoder.load(colours.save_model(tmp_path / "a")).fingerprint
    assert (
        Encoder.load(colours.save_model(tmp_path / "elsewhere" / "b", file="model.onnx")).fingerprint == first
    )
    assert changed("same", "README.md", "nothing") == first
    others = {
        Encoder.load(
            colours.save_model(tmp_path / "weights", colours.graph(rows=colours.rows + 1))
        ).fingerprint,
        changed("length", "sentence_bert_config.json", {"max_seq_length": 5}),
        changed("lower", "sentence_bert_config.json", {"do_lower_case": True}),
        changed("case", "tokenizer_config.json", {"do_lower_case": False}),
        changed("side", "tokenizer_config.json", {"padding_side": "left"}),
        changed("pool", "1_Pooling/config.json", {"embedding_dimension": 3, "pooling_mode": "max"}),
        changed("prompt", "config_sentence_transformers.json", {"prompts": {"query": "q "}}),
        changed("width", "config_sentence_transformers.json", {"truncate_dim": 2}),
    }
    assert len(others | {first}) == 9


def test_fingerprint_covers_weights_outside_the_file(tmp_path: Path, colours: Any) -> None:
    folder = colours.save_model(tmp_path / "m", file="model.onnx")
    onnx.save(
        colours.graph(),
        folder / "model.onnx",
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=0,
    )
    first = Encoder.load(folder)
    assert first.encode(["red car"]).tolist() == [[3, 2, 1]]
    before = first.fingerprint
    data = bytearray((folder / "model.onnx_data").read_bytes())
    data[-1] ^= 1
    (folder / "model.onnx_data").write_bytes(data)
    assert Encoder.load(folder).fingerprint != before
    (folder / "model.onnx_data").unlink()
    with pytest.raises(MissingModelFileError, match=r"model\.onnx_data"):
        Encoder.load(folder)


def test_a_file_that_changes_under_a_loaded_model_has_no_fingerprint(folder: Path, colours: Any) -> None:
    encoder = Encoder.load(folder)
    onnx.save(
        colours.graph(rows=np.concatenate([colours.rows, colours.rows])), folder / "onnx" / "model.onnx"
    )
    with pytest.raises(InvalidModelError, match="has changed since it was loaded"):
        _ = encoder.fingerprint


@pytest.fixture
def large(colours: Any) -> np.ndarray:
    """Rows that no outline of a graph holds."""
    return np.concatenate([colours.rows, np.arange(30000, dtype=np.float32).reshape(-1, 3)])


def test_large_weights_stay_in_the_file(tmp_path: Path, colours: Any, large: np.ndarray) -> None:
    folder = colours.save_model(tmp_path / "m", colours.graph(rows=large))
    path = folder / "onnx" / "model.onnx"
    sketch = outline(path)
    assert len(sketch) < 1000 < large.nbytes < path.stat().st_size
    (tensor,) = onnx.load_from_string(sketch).graph.initializer
    place = {entry.key: entry.value for entry in tensor.external_data}
    content = path.read_bytes()[int(place["offset"]) :][: int(place["length"])]
    assert (place["location"], tensor.name, list(tensor.dims)) == ("model.onnx", "rows", list(large.shape))
    np.testing.assert_array_equal(np.frombuffer(content, np.float32).reshape(large.shape), large)
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[3, 2, 1]]


def test_large_weights_are_found_through_links_and_beside_other_files(
    tmp_path: Path, colours: Any, large: np.ndarray
) -> None:
    """As a download cache has them: the folder holds links to files of other names."""
    blob = tmp_path / "blobs" / "0a1b2c"
    blob.parent.mkdir()
    onnx.save(colours.graph(rows=large), blob)
    folder = colours.save_model(tmp_path / "m")
    (folder / "onnx" / "model.onnx").unlink()
    (folder / "onnx" / "model.onnx").symlink_to(blob)
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[3, 2, 1]]


def test_a_mapped_file_that_is_cut_is_an_error_and_no_crash(
    tmp_path: Path, colours: Any, large: np.ndarray
) -> None:
    folder = colours.save_model(tmp_path / "m", colours.graph(rows=large))
    encoder = Encoder.load(folder)
    encoder.encode(["red car"])
    (folder / "onnx" / "model.onnx").write_bytes(b"")
    with pytest.raises(InvalidModelError, match="has changed since it was loaded"):
        encoder.encode(["red car"])


def test_a_file_that_is_replaced_changes_nothing_for_a_loaded_model(
    tmp_path: Path, colours: Any, large: np.ndarray
) -> None:
    folder = colours.save_model(tmp_path / "m", colours.graph(rows=large))
    first, encoder = Encoder.load(folder).fingerprint, Encoder.load(folder)
    onnx.save(colours.graph(rows=large * 2), folder / "new.onnx")
    (folder / "new.onnx").replace(folder / "onnx" / "model.onnx")
    assert encoder.encode(["red car"]).tolist() == [[3, 2, 1]]
    many = encoder.encode(["red car"] * 500)  # several batches, which run in a session of their own
    np.testing.assert_array_equal(many, [[3, 2, 1]] * 500)
    assert encoder.fingerprint == first != Encoder.load(folder).fingerprint
