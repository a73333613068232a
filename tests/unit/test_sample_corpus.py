"""The sample corpus: known passages, judged ids, the same bytes from each build."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
QUESTIONS = (
    "queries.jsonl",
    "qrels/test.tsv",
    "asked/queries.jsonl",
    "asked/qrels/train.tsv",
    "asked/qrels/test.tsv",
)
NEWER_THAN_JUDGED = sys.version_info >= (3, 14)


def build(out, cwd, hash_seed):
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(SAMPLE / "build.py"), str(out)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("sample")
    done = build(root / "beir", cwd=root, hash_seed="1")
    assert (done.returncode, done.stderr) == (0, "")
    return root / "beir"


@pytest.fixture(scope="module")
def passages(folder):
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def by_id(passages):
    return {passage["_id"]: passage for passage in passages}


@pytest.fixture(scope="module")
def queries(folder):
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def judgments(folder):
    header, *lines = (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "query-id\tcorpus-id\tscore"
    return [tuple(line.split("\t")) for line in lines]


def test_ids_are_unique(passages):
    assert [name for name, count in Counter(p["_id"] for p in passages).items() if count > 1] == []


def test_size(passages):
    has_tk = importlib.util.find_spec("_tkinter") is not None
    assert (7_000 if has_tk else 6_000) <= len(passages) <= 12_000


@pytest.mark.parametrize(
    ("name", "module", "kind", "title", "start"),
    [
        (
            "itertools",
            "itertools",
            "module",
            "itertools",
            "Functional tools for creating and using iterators.",
        ),
        ("len", "builtins", "function", "len(obj, /)", "Return the number of items in a container."),
        (
            "open",
            "builtins",
            "function",
            "open(file, mode='r', buffering=-1,",
            "Open file and return a stream.",
        ),
        ("str.join", "builtins", "method", "str.join(iterable, /)", "Concatenate any number of strings."),
        (
            "dict.get",
            "builtins",
            "method",
            "dict.get(key, default=None, /)",
            "Return the value for key if key is",
        ),
        (
            "os.path.join",
            "os.path",
            "function",
            "os.path.join(a, *p)",
            "Join two or more pathname components",
        ),
        ("math.gcd", "math", "function", "math.gcd(*integers)", "Greatest Common Divisor."),
        ("time.sleep", "time", "function", "time.sleep(", "sleep(seconds)"),
        ("random.choice", "random", "function", "random.choice(seq)", "Choose a random element"),
        (
            "shutil.rmtree",
            "shutil",
            "function",
            "shutil.rmtree(path,",
            "Recursively delete a directory tree.",
        ),
        ("asyncio.run", "asyncio", "function", "asyncio.run(main, *, debug=None", "Execute the coroutine"),
        ("collections.Counter", "collections", "class", "collections.Counter(", "Dict subclass for counting"),
        ("copy.deepcopy", "copy", "function", "copy.deepcopy(x, memo=None", "Deep copy operation"),
        (
            "threading.Thread.start",
            "threading",
            "method",
            "threading.Thread.start()",
            "Start the thread's activity.",
        ),
        (
            "pathlib.PurePath.suffix",
            "pathlib",
            "property",
            "pathlib.PurePath.suffix",
            "The final component's",
        ),
        (
            "pathlib.Path.read_text",
            "pathlib",
            "method",
            "pathlib.Path.read_text(encoding=None,",
            "Open the file in",
        ),
        (
            "unittest.TestCase.setUp",
            "unittest",
            "method",
            "unittest.TestCase.setUp()",
            "Hook method for setting up",
        ),
    ],
)
def test_known_passage(by_id, name, module, kind, title, start):
    passage = by_id[name]
    assert (passage["metadata"]["module"], passage["metadata"]["kind"]) == (module, kind)
    assert passage["title"].startswith(title)
    if name != "time.sleep" or not NEWER_THAN_JUDGED:
        assert passage["text"].startswith(start)


def test_metadata_tells_signature_and_python_version(by_id):
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert by_id["str.join"]["metadata"] == {
        "module": "builtins",
        "kind": "method",
        "signature": "(iterable, /)",
        "python": python,
    }


@pytest.mark.parametrize(
    "name",
    [
        "posixpath.join",  # os.path.join
        "io.open",  # open
        "asyncio.runners.run",  # asyncio.run
        "random.Random.choice",  # random.choice
        "tarfile.TarFile.open",  # tarfile.open
        "collections.OrderedDict.__init__",
        "object.__init__",
        "this",
        "antigravity",
    ],
)
def test_other_names_and_private_ones_are_left_out(by_id, name):
    assert name not in by_id


def test_texts_say_something(passages):
    assert [p["_id"] for p in passages if len(p["text"].split()) < 2 or p["text"] != p["text"].strip()] == []
    assert [p["_id"] for p in passages if "Alias for field number" in p["text"]] == []


def test_the_same_bytes_again_from_another_folder(folder, tmp_path):
    build(tmp_path / "again", cwd=SAMPLE, hash_seed="2")
    for name in ("corpus.jsonl", *QUESTIONS):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_questions_and_answers_are_carried_unchanged(folder):
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {"corpus.jsonl", *QUESTIONS}
    for name in QUESTIONS:
        assert (folder / name).read_bytes() == (SAMPLE / name).read_bytes()


def test_an_output_that_is_a_file_is_one_line_of_error(tmp_path):
    (tmp_path / "taken").write_text("")
    done = build(tmp_path / "taken", cwd=tmp_path, hash_seed="1")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"error: cannot write {tmp_path / 'taken'}: File exists"]


@pytest.mark.skipif(NEWER_THAN_JUDGED, reason="judged on CPython 3.10 to 3.13")
@pytest.mark.skipif(sys.platform == "win32", reason="some judged functions are POSIX's")
def test_every_judged_id_exists(by_id, judgments):
    assert sorted({corpus_id for _, corpus_id, _ in judgments} - by_id.keys()) == []


def test_judgments_are_unique_and_graded_one_or_two(judgments):
    assert len({(query, corpus_id) for query, corpus_id, _ in judgments}) == len(judgments)
    assert {score for _, _, score in judgments} == {"1", "2"}


def test_every_question_is_unique_and_has_a_direct_answer(queries, judgments, by_id):
    assert len(queries) >= 100
    assert len({query["text"].casefold() for query in queries}) == len(queries)
    ids = [query["_id"] for query in queries]
    assert len(set(ids)) == len(ids)
    assert {query for query, _, _ in judgments} == set(ids)
    assert {query for query, corpus_id, score in judgments if score == "2" and corpus_id in by_id} == set(ids)
