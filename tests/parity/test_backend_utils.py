"""Where exported files are looked for: the same places as the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from stlib.backend.utils import _save_pretrained_wrapper, backend_should_export, backend_warn_to_save

pytestmark = pytest.mark.parity

LAYOUTS = [
    ([], {}),
    (["model.onnx"], {}),
    (["onnx/model.onnx"], {}),
    (["onnx/model.onnx", "onnx/model_O3.onnx"], {"file_name": "model_O3.onnx"}),
    (["onnx/model_O3.onnx"], {"file_name": "onnx/model_O3.onnx"}),
    (["onnx/model_O3.onnx"], {}),
    (["part/onnx/model.onnx"], {"subfolder": "part"}),
    (["onnx/model.onnx"], {"export": True}),
    (["onnx/model.onnx"], {"export": False}),
    (["onnx/model.onnx"], {"file_name": "other.onnx"}),
]


def located(folder: Path, should_export: tuple[bool, dict]) -> tuple[bool, str | None]:
    """Whether to export, and else the file that the options lead to."""
    export, options = should_export
    if export:
        return True, None
    place = folder / options.get("subfolder", "") / options.get("file_name", "model.onnx")
    return False, place.relative_to(folder).as_posix()


@pytest.mark.parametrize(("files", "options"), LAYOUTS)
def test_files_are_found_where_the_reference_finds_them(reference, tmp_path, files, options):
    from sentence_transformers.backend.utils import backend_should_export as expected

    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    own, theirs = (
        located(tmp_path, function(tmp_path, True, dict(options), "model.onnx", "*.onnx", "ONNX"))
        for function in (backend_should_export, expected)
    )
    assert own == theirs


def test_wrapped_save_writes_into_the_subfolder(tmp_path):
    save = _save_pretrained_wrapper(lambda folder, name: (folder / name).write_text("x"), "onnx")
    save(tmp_path, name="model.onnx")
    assert (tmp_path / "onnx" / "model.onnx").read_text() == "x"


def test_the_warning_says_how_to_keep_an_export(caplog):
    backend_warn_to_save("owner/name", False, "ONNX")
    assert "model.push_to_hub('owner/name')" in caplog.text
