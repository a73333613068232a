"""After one line this library answers to the name of Sentence Transformers; before it, and after it is taken
back, nothing does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import stlib
from stlib.compat import FOLLOWED

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import copy, importlib, importlib.metadata, importlib.util, json, pickle, sys
import stlib.compat
facts = {}
heavy = {"torch", "transformers", "numpy"}
facts["before"] = "sentence_transformers" in sys.modules
stlib.compat.install()
stlib.compat.install()  # once more changes nothing
facts["heavy"] = sorted(heavy & set(sys.modules))
facts["spec"] = importlib.util.find_spec("sentence_transformers") is not None
facts["no spec"] = importlib.util.find_spec("sentence_transformers.no_such_module") is None
names = ("sentence-transformers", "sentence_transformers")
facts["versions"] = [importlib.metadata.version(name) for name in names]
facts["other version"] = importlib.metadata.version("numpy")

import sentence_transformers
import sentence_transformers.models.Pooling
import sentence_transformers.sentence_transformer.modules.pooling
from sentence_transformers import SentenceTransformer, models, util, __version__
from sentence_transformers.losses import CoSENTLoss
from sentence_transformers.cross_encoder import CrossEncoder
from sentence_transformers.models import Pooling
from sentence_transformers.SentenceTransformer import SentenceTransformer as by_older_path
import stlib.models, stlib.losses, stlib.util

facts["same"] = [
    SentenceTransformer is stlib.SentenceTransformer,
    by_older_path is SentenceTransformer,
    sentence_transformers.SentenceTransformer is SentenceTransformer,
    CrossEncoder is stlib.CrossEncoder,
    Pooling is stlib.models.Pooling and isinstance(Pooling, type),
    sentence_transformers.models.Pooling is Pooling,
    CoSENTLoss is stlib.losses.CoSENTLoss,
    util.cos_sim is stlib.util.cos_sim,
    set(stlib.__all__) <= set(dir(sentence_transformers)),
]
facts["version"] = [__version__, stlib.__version__]
facts["foreign files"] = [
    name for name, module in sys.modules.items()
    if "site-packages/sentence_transformers" in str(getattr(module, "__file__", ""))
]
try:
    import sentence_transformers.no_such_module
except ModuleNotFoundError as error:
    facts["missing"] = error.name
try:
    from sentence_transformers import no_such_name
except ImportError as error:
    facts["missing name"] = type(error).__name__

model = SentenceTransformer("stlib-static-en", device="cpu")
class Mine(SentenceTransformer):
    pass
facts["types"] = [str(type(model)), str(CrossEncoder), str(stlib.models.StaticEmbedding)]
mine = Mine("stlib-static-en")
facts["isinstance"] = isinstance(model, stlib.SentenceTransformer) and isinstance(mine, SentenceTransformer)
expected = model.encode("a text").tolist()
kept = pickle.dumps(model)
facts["named in pickles"] = b"sentence_transformers." in kept
facts["copies"] = [
    other.encode("a text").tolist() == expected and type(other) is SentenceTransformer
    for other in (pickle.loads(kept), copy.deepcopy(model))
] + [type(copy.deepcopy(mine)) is Mine]
util.made_up = 3
facts["set"] = stlib.util.made_up
open(sys.argv[1], "wb").write(kept)

stlib.compat.uninstall()
stlib.compat.uninstall()
facts["after"] = [name for name in sys.modules if name.startswith("sentence_transformers")]
facts["types after"] = str(type(model))
facts["pickle after"] = pickle.loads(pickle.dumps(model)).encode("a text").tolist() == expected
facts["installed"] = stlib.compat.is_installed()
print(json.dumps(facts))
"""


def run(script: str, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def pickled(tmp_path_factory):
    return tmp_path_factory.mktemp("compat") / "model.pickle"


@pytest.fixture(scope="module")
def facts(pickled):
    return json.loads(run(SCRIPT, str(pickled)))


def test_the_line_imports_nothing_heavy(facts):
    assert not facts["before"]
    assert facts["heavy"] == []


def test_names_and_paths_lead_here(facts):
    assert all(facts["same"]), facts["same"]
    assert facts["foreign files"] == []
    assert facts["missing"] == "sentence_transformers.no_such_module"
    assert facts["missing name"] == "ImportError"
    assert facts["set"] == 3


def test_the_version_is_that_of_the_api(facts):
    assert facts["versions"] == [FOLLOWED, FOLLOWED]
    assert facts["version"] == [FOLLOWED, stlib.__version__]
    assert facts["other version"][0].isdigit()
    assert facts["spec"]
    assert facts["no spec"]


def test_models_say_the_name_and_nothing_else_does(facts):
    model, reranker, module = facts["types"]
    assert model == "<class 'sentence_transformers.sentence_transformer.model.SentenceTransformer'>"
    assert reranker == "<class 'sentence_transformers.cross_encoder.model.CrossEncoder'>"
    assert module == "<class 'stlib.sentence_transformer.modules.static_embedding.StaticEmbedding'>"
    assert facts["isinstance"]


def test_copies_and_pickles_know_their_class(facts, pickled):
    assert all(facts["copies"])
    assert not facts["named in pickles"]
    # and in a process that was never told
    load = "import pickle, sys; print(str(type(pickle.load(open(sys.argv[1], 'rb')))))"
    assert run(load, str(pickled)).strip() == "<class 'stlib.sentence_transformer.model.SentenceTransformer'>"


def test_it_is_taken_back(facts):
    assert facts["after"] == []
    assert facts["types after"] == "<class 'stlib.sentence_transformer.model.SentenceTransformer'>"
    assert facts["pickle after"]
    assert not facts["installed"]


def test_a_package_in_use_is_left_alone(tmp_path):
    (tmp_path / "sentence_transformers.py").write_text("__version__ = '1'\n")
    script = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import sentence_transformers, stlib.compat, stlib.errors
try:
    stlib.compat.install()
except stlib.errors.AlreadyImported as error:
    print(error)
assert not stlib.compat.is_installed() and sentence_transformers.__version__ == "1"
"""
    said = run(script)
    assert f"sentence_transformers was imported from {tmp_path / 'sentence_transformers.py'} before" in said
    assert "call stlib.compat.install() at the top of the program" in said
