"""Which heavy packages are loaded after each public import, in a fresh interpreter each time."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = [
    "torch",
    "transformers",
    "numpy",
    "tokenizers",
    "huggingface_hub",
    "faiss",
    "usearch",
    "scipy",
    "sklearn",
]

# What loads nothing more when it is used; that of imports alone is in test_imports_heavy.py.
CASES = [
    ("import stlib; stlib.SimilarityFunction.COSINE", set()),
    ("import numpy as np, stlib; stlib.quantize_embeddings(np.eye(3), 'binary')", {"numpy"}),
    ("from stlib.util import load_file_path; load_file_path('.', 'no-such-file')", set()),
]


@pytest.mark.parametrize(("statement", "allowed"), CASES, ids=[statement for statement, _ in CASES])
def test_heavy_packages_after(statement, allowed):
    program = f"import sys; {statement}; print(*[name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) == allowed


def test_all_names_exist_and_unknown_ones_do_not():
    import stlib

    for name in stlib.__all__:
        assert getattr(stlib, name) is not None
    assert set(stlib.__all__) <= set(dir(stlib))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = stlib.nonsense


def test_lazy_packages_export_what_they_list():
    import stlib.models
    import stlib.util
    from stlib.base import modules

    for package in (stlib.util, stlib.models, modules):
        for name in package.__all__:
            assert getattr(package, name) is not None


def test_importing_touches_no_logging_and_no_environment():
    program = (
        "import logging, os; before = dict(os.environ); import stlib.models, stlib.util; "
        "stlib.models.Pooling; stlib.util.cos_sim; "
        "names = [n for n in logging.root.manager.loggerDict if n.startswith('stlib')]; "
        "assert dict(os.environ) == before; assert not any(logging.getLogger(n).handlers for n in names)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
