"""Texts that the sums are compared with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def sample_texts(tmp_path_factory):
    """Texts of the sample corpus: many short ones, few long ones."""
    folder = tmp_path_factory.mktemp("sample")
    build = [sys.executable, "-B", str(ROOT / "data" / "sample" / "build.py"), str(folder)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    lines = (folder / "corpus.jsonl").read_text("utf-8").split("\n")
    return [json.loads(line)["text"] for line in filter(None, lines)]
