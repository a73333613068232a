"""A hub that does not answer, and a machine without torch: one sentence each."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stlib.errors import ModelNotFound
from stlib.needs import INSTALL_TORCH
from stlib.util import file_io

ROOT = Path(__file__).resolve().parents[2]


def test_a_hub_that_is_silent_is_given_up(monkeypatch):
    """It takes connections and says nothing, as behind a firewall."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(file_io, "ANSWER_SECONDS", 0.2)
        monkeypatch.setattr(
            "huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}"
        )
        with pytest.raises(
            ModelNotFound, match=r"^'no-such/model' is neither a folder nor in the cache, .*answer"
        ):
            file_io.resolve_model_folder("no-such/model", None, None, None, False)


WITHOUT_TORCH = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import importlib.util
find = importlib.util.find_spec
absent = ("torch", "transformers")
importlib.util.find_spec = lambda name, *more: None if name in absent else find(name, *more)
sys.meta_path.insert(0, Absent())
try:
    exec(sys.argv[1])
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "line",
    [
        "from stlib import SentenceTransformer",
        "from stlib import CrossEncoder",
        "from stlib.losses import CosineSimilarityLoss",
        "import stlib.models",
        "from stlib.util import cos_sim",
        "from stlib import mine_hard_negatives",
    ],
)
def test_what_needs_torch_says_the_line_to_type(line):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, line], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert "needs torch and transformers, which searching does without: " + INSTALL_TORCH in done.stdout


def test_searching_needs_no_torch(tmp_path):
    line = (
        "from indexing import Collection; c = Collection.create('c', home=sys.argv[2]); "
        "c.add([{'id': 'a', 'text': 'apples'}]); print(c.search('apples')[0].id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, line, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("a\n", "")


def test_the_line_to_type_is_the_extra():
    extra = re.findall(
        r'"(.+)",', (ROOT / "pyproject.toml").read_text().split("\ntorch = [")[1].split("]")[0]
    )
    assert "pip install " + " ".join(f"'{one}'" for one in extra) == INSTALL_TORCH
