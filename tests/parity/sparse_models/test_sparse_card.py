"""The README.md beside a saved sparse model: kind, facts and an example that runs."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
import yaml

from stlib import SparseEncoder

pytestmark = pytest.mark.parity


def card_of(model, folder):
    model.save(folder)
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), body


@pytest.mark.parametrize(
    ("name", "headline", "tags"),
    [
        ("splade", "SPLADE Sparse Encoder", {"splade"}),
        ("csr", "CSR Sparse Encoder", {"csr"}),
        (
            "inference_free",
            "Asymmetric Inference-free SPLADE Sparse Encoder",
            {"asymmetric", "inference-free", "splade"},
        ),
    ],
)
def test_kind_and_example(request, name, headline, tags, texts, tmp_path, monkeypatch):
    ours, theirs = request.getfixturevalue(name)
    ours.encode(texts)  # by now it knows its dimension
    ours.save(tmp_path / "first")
    model = SparseEncoder(tmp_path / "first", device="cpu")
    model.model_card_text = None
    model.model_card_data.run_usage_snippet()
    front, body = card_of(model, tmp_path / "my-model")
    assert f"\n# {headline}\n" in body
    assert set(front["tags"]) == {"sentence-transformers", "sparse-encoder", "sparse", *tags}
    assert front["pipeline_tag"] == "feature-extraction"
    assert headline == theirs.model_card_data.model_type
    assert "to a sparse vector" in body
    (code,) = re.findall(r"```python\n(.+?)```", body, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    said = "".join(f"{line[2:]}\n" for line in code.splitlines() if line.startswith("# "))
    assert printed.getvalue() == said
    assert said.startswith("torch.Size([")
