"""Collections over ONNX models: found again without torch, and models given as objects."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import BadInput, ModelMismatch
from indexing.models.encoders import FullModelEncoder, load_encoder, recorded_name
from stlib.runtime import BUNDLED_MODEL_NAME, Encoder, EncoderProtocol
from stlib.runtime.modules.onnx_files import find_onnx_file

DOCUMENTS = [
    {"id": "sort", "text": "sorted() returns a new sorted list."},
    {"id": "bread", "text": "Bread needs flour, water and yeast."},
    {"id": "car", "text": "The car is red and very fast."},
]


@pytest.fixture(scope="session")
def bge(bge_small: Path, tmp_path_factory) -> Path:
    """A real transformer that exists as an ONNX file only."""
    pytest.importorskip("onnxruntime", reason="run: pip install '.[onnx]'")
    return shutil.copytree(bge_small, tmp_path_factory.mktemp("models") / "bge-small")


def ids(collection: Collection, query: str) -> list[str]:
    return [result.id for result in collection.search(query, mode="semantic").results]


def test_a_collection_with_an_onnx_model_is_found_again_without_torch(bge: Path, home: Path) -> None:
    with Collection.create("notes", str(bge), home=home) as collection:
        collection.add(DOCUMENTS)
        before = collection.search("how to bake", mode="semantic").results
        assert before[0].id == "bread"
    code = (
        "import sys; from indexing import Collection\n"
        "c = Collection.open('notes', home=sys.argv[1])\n"
        "c.add([{'id': 'sky', 'text': 'The sky is blue.'}])\n"
        "print(*[r.id for r in c.search('how to bake', mode='semantic').results][:1], "
        "*[r.id for r in c.search('colour above us', mode='semantic').results][:1], "
        "sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bread", "sky", "[]"]


def test_the_command_line_indexes_with_an_onnx_folder_without_torch(
    bge: Path, home: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for document in DOCUMENTS:
        (notes / f"{document['id']}.txt").write_text(document["text"])
    code = (
        "import sys; from app.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )

    def stlib(*arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments, "--home", str(home)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert stlib("index", "notes", str(notes), "--model", str(bge)).endswith("[]\n")
    found = stlib("search", "notes", "baking", "--json", "--mode", "semantic")
    assert found.endswith("[]\n")
    assert json.loads(found.removesuffix("[]\n"))["results"][0]["id"] == "bread.txt"


def test_the_command_line_says_what_is_wrong_with_a_model(bge: Path, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bge, folder)
    (folder / "1_Pooling").mkdir()
    config = {"embedding_dimension": 100, "pooling_mode": "mean"}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    (tmp_path / "note.txt").write_text("The car is red.")
    code = "import sys; from app.cli import main; main(sys.argv[1:])"
    arguments = ["index", "notes", str(tmp_path / "note.txt"), "--model", str(folder), "--home", str(home)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert "give vectors of 384 dimensions, but its settings say 100" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_onnx_file_may_be_the_model(bge: Path, home: Path) -> None:
    shutil.copy(bge / "model.onnx", bge / "model_copy.onnx")
    try:
        with Collection.create(
            "notes", Encoder.load(bge, file_name="model_copy.onnx"), home=home
        ) as collection:
            collection.add(DOCUMENTS)
            assert collection.info().model == str(bge / "model_copy.onnx")
        with Collection.open("notes", home=home) as collection:
            assert ids(collection, "sorting")[0] == "sort"
    finally:
        (bge / "model_copy.onnx").unlink()


def test_a_changed_onnx_file_is_noticed(bge: Path, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bge, folder)
    Collection.create("notes", folder, home=home).close()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": 16}))
    with (
        Collection.open("notes", home=home) as collection,
        pytest.raises(ModelMismatch, match="was made with"),
    ):
        _ = collection.encoder


def test_a_missing_onnx_runtime_is_named(bge: Path) -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from indexing.models.encoders import load_encoder\nfrom indexing.errors import BadInput\n"
        "try: load_encoder(sys.argv[1])\nexcept BadInput as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bge)], capture_output=True, text=True, check=True)
    assert "pip install onnxruntime" in done.stdout


# -- models given as objects --------------------------------------------------------------------------------


class Lengths:
    """A model that lives in this process only."""

    name, dimension, fingerprint = "lengths", 2, "00"

    def encode_query(self, texts, *, truncate_dim=None, normalize_embeddings=False):
        return np.array([[len(text), 1] for text in texts], dtype=np.float32).reshape(-1, 2)

    encode_document = encode_query

    def token_spans(self, texts):
        return [np.array([[0, len(text)]], dtype=np.int32) for text in texts]


def test_an_object_from_no_folder_must_be_given_again(home: Path) -> None:
    assert isinstance(Lengths(), EncoderProtocol)
    with Collection.create("notes", Lengths(), home=home) as collection:
        collection.add(DOCUMENTS)
    with (
        Collection.open("notes", home=home) as collection,
        pytest.raises(
            BadInput, match=r"an object of lengths in memory, which no folder holds: .* with model="
        ),
    ):
        _ = collection.encoder
    with Collection.open("notes", home=home, model=Lengths()) as collection:
        assert len(ids(collection, "any text")) == 3


def test_an_object_is_recorded_by_where_it_came_from(bge: Path, tmp_path: Path) -> None:
    bundled = Encoder.load()
    assert recorded_name(bundled, bundled) == recorded_name(None, bundled) == BUNDLED_MODEL_NAME
    light = Encoder.load(bge)
    assert recorded_name(light, light) == recorded_name(str(bge), light) == str(bge)
    assert load_encoder(recorded_name(light, light)).fingerprint == light.fingerprint


def test_a_sentence_transformer_is_found_again_by_its_folder(home: Path, tmp_path: Path) -> None:
    from stlib import SentenceTransformer

    folder = tmp_path / "static"
    SentenceTransformer(BUNDLED_MODEL_NAME, device="cpu").save(folder)
    model = SentenceTransformer(folder, device="cpu")
    with Collection.create("notes", model, home=home) as collection:
        collection.add(DOCUMENTS)
        assert collection.info().model == str(folder)
    # The folder serves without torch too, but the vectors of the collection are those of torch.
    assert isinstance(load_encoder(folder), Encoder)
    with Collection.open("notes", home=home) as collection:
        assert isinstance(collection.encoder, FullModelEncoder)
        assert ids(collection, "baking bread")[0] == "bread"
    model.tokenizer.enable_truncation(3)
    text = "Long texts are cut by the model and not by the index, " * 30
    (spans,) = load_encoder(model).token_spans([text])
    np.testing.assert_array_equal(spans, Encoder.load().token_spans([text])[0])
    model.tokenizer.no_truncation()
    made = SentenceTransformer(modules=list(model), device="cpu")
    assert recorded_name(made, load_encoder(made)) == "object of SentenceTransformer; pass model="


def test_a_file_added_beside_the_model_does_not_hide_it(bge: Path, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bge, folder)
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model_quint8.onnx")
    with Collection.create("grown", str(folder), home=home) as collection:
        collection.add(DOCUMENTS)
    content = (folder / "onnx" / "model_quint8.onnx").read_bytes()
    (folder / "onnx" / "model.onnx").write_bytes(content + b"\x32\x01x")  # another one: a field of its own
    with Collection.open("grown", home=home) as collection:
        assert ids(collection, "how to bake")[0] == "bread"


def test_a_quantised_file_does_not_take_the_place_of_torch_weights(bge: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bge, folder)
    (folder / "model.onnx").rename(folder / "model_quint8.onnx")
    assert find_onnx_file(folder) == folder / "model_quint8.onnx"
    (folder / "model.safetensors").write_bytes(b"weights")
    assert find_onnx_file(folder) is None
    assert find_onnx_file(folder, "model_quint8.onnx") == folder / "model_quint8.onnx"
