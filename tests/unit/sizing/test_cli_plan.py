"""What `stlib plan` prints, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from app.cli import main
from app.cli.quantities import BYTES, COUNT, POSITIVE
from app.wording import format_decimal, format_hours, format_quantity
from indexing import Collection
from indexing.sizing import Machines, Workload, find_model, make_plan


@pytest.fixture
def stlib(capsys, monkeypatch, home):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        (COUNT, "1500", 1500),
        (COUNT, "1.5k", 1500),
        (COUNT, "40M", 40_000_000),
        (COUNT, "2g", 2_000_000_000),
        (COUNT, "1,000_000", 1_000_000),
        (COUNT, "1e6", 1_000_000),
        (BYTES, "24G", 24_000_000_000),
        (BYTES, "24 GB", 24_000_000_000),
        (BYTES, "1.5GiB", 3 << 29),
        (BYTES, "512", 512),
        (POSITIVE, ".5", 0.5),
    ],
)
def test_large_numbers_are_read_as_people_write_them(kind, text, number):
    assert kind.convert(text, None, None) == number


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (COUNT, text)
        for text in ("", "M", "-1", "0", "0.4", "40 documents", "1e99", "nan", "1.2.3", "inf", "4Q")
    ]
    + [(BYTES, "24GX"), (BYTES, "0G"), (POSITIVE, "0"), (POSITIVE, "-3")],
)
def test_what_is_no_number_is_refused(kind, text):
    with pytest.raises(click.BadParameter, match=r"is no number such as|is out of range: "):
        kind.convert(text, None, None)


def test_large_numbers_are_shown_in_short():
    assert [format_quantity(n) for n in (950, 12_500, 999_700, 40e6, 1.2e9, 5e12)] == [
        "950", "12.5k", "1M", "40M", "1.2G", "5,000G",
    ]  # fmt: skip
    assert [format_decimal(n) for n in (512, 12_340, 999_999, 47.5e9, 123.6e9, 2.4e12)] == [
        "512 bytes", "12.3 kB", "1.0 MB", "47.5 GB", "124 GB", "2.4 TB",
    ]  # fmt: skip
    assert [format_hours(n) for n in (35, 720, 16_200, 40 * 86_400)] == ["35 s", "12 min", "4.5 h", "40 days"]


def test_three_ways_and_which_to_take(stlib):
    code, out, err = stlib("plan", "--documents", "40M", "--length", "500", "--memory", "24G")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "40M documents of 500 characters"
    assert max(map(len, lines)) <= 80
    plan = make_plan(Workload(40_000_000, 500, find_model(None)), Machines(memory=24e9))
    disk = next(line for line in lines if line.startswith("disk  "))
    assert disk.split()[1:] == " ".join(format_decimal(one.disk_bytes) for one in plan.sums).split()
    advised = next(line for line in lines if line.startswith("advised: "))
    title = {"sqlite": "SQLite", "postgres": "PostgreSQL", "ray": "Ray + Milvus"}[plan.advised]
    assert advised.startswith(f"advised: {title}, ")
    assert any(line.startswith("  SQLite       up to ") for line in lines)


def test_json_has_the_sums_in_whole_units(stlib):
    asked = (
        "--documents",
        "1M",
        "--length",
        "400",
        "--model",
        "mxbai-embed-large-v1",
        "--precision",
        "binary",
    )
    code, out, _ = stlib("plan", *asked, "--json")
    said = json.loads(out)
    workload = Workload(1_000_000, 400, find_model("mxbai-embed-large-v1"), "binary")
    assert (code, said) == (0, make_plan(workload).to_dict())
    assert [one["setup"] for one in said["setups"]] == ["sqlite", "postgres", "ray"]
    assert said["setups"][0]["memory"]["mapped"] > said["passages"] * 128


def test_a_collection_is_planned_by_its_own_settings(stlib, home):
    with Collection.create("notes", home=home, precision="binary") as notes:
        notes.add(
            [{"id": str(i), "text": f"Note {i} on bread. " * 3, "metadata": {"a": i}} for i in range(40)]
        )
    with Collection.open("notes", home=home) as notes:
        info = notes.info()
    code, out, _ = stlib("plan", "notes", "--times", "1k", "--json")
    said = json.loads(out)
    assert (code, said["documents"], said["precision"]) == (0, 40_000, "binary")
    assert said["now"]["documents"] == 40 and said["now"]["catalog_bytes"] == info.catalog_bytes
    assert (said["model"]["name"], said["length"]) == ("stlib-static-en", pytest.approx(53.25))
    code, out, _ = stlib("plan", "notes")
    assert code == 0 and out.splitlines()[1].split() == ["now", "40", "documents", "of", "53", "characters"]
    assert "400 documents of 53 characters" in out


def test_measured_bytes_of_a_collection_count(home):
    with Collection.create("notes", home=home, dimension=8) as notes:
        texts = [f"Note {i} on bread and how it is made. " * 3 for i in range(1000)]
        notes.add([{"id": str(i), "text": text} for i, text in enumerate(texts)], vectors=[[1.0] * 8] * 1000)
        now = notes.sums()
        info = notes.info()
    ten = now.corrected(make_plan(now.workload.of_documents(10_000)))
    measured = 10 * (info.catalog_bytes + info.view_bytes)
    assert ten.sums[0].disk_bytes == pytest.approx(measured, rel=0.001)
    assert ten.sums[1] == make_plan(now.workload.of_documents(10_000)).sums[1]


def test_an_engine_of_a_collection_is_that_of_its_own_way(stlib, home):
    with Collection.create("notes", home=home, engine="usearch") as notes:
        notes.add([{"id": "1", "text": "Bread rises."}])
    planned = [one["engine"] for one in json.loads(stlib("plan", "notes", "--json")[1])["setups"]]
    assert planned == ["usearch", "pgvector", "milvus"]
    planned = json.loads(stlib("plan", "notes", "--engine", "milvus", "--json")[1])["setups"]
    assert [(one["engine"], one["measured"]) for one in planned] == 3 * [("milvus", False)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "--documents is missing: give --documents 40M --length 500, or the NAME of a collection"),
        (["--documents", "4M"], 2, "--length is missing"),
        (
            ["--documents", "4X", "--length", "5"],
            2,
            "invalid value for '--documents': '4X' is no number",
        ),
        (["--documents", "0", "--length", "5"], 2, "'0' is out of range: 1 or more"),
        (["--documents", "4M", "--length", "5", "--times", "2"], 2, "--times is for a collection"),
        (["--documents", "4M", "--length", "5", "--memory", "24Z"], 2, "invalid value for '--memory'"),
        (
            ["--documents", "4M", "--length", "5", "--overlap", "200"],
            1,
            "--overlap 200: allowed is 0 to",
        ),
        (
            ["--documents", "4M", "--length", "5", "--model", "nobody/nothing"],
            1,
            "model 'nobody/nothing': nothing is known of it here: give --dimension NUMBER and --speed",
        ),
        (
            ["--documents", "4M", "--length", "5", "--model", "x", "--dimension", "8"],
            1,
            "nothing is known of it here: give --speed PASSAGES_A_SECOND (of one core), its folder",
        ),
        (
            ["--documents", "4M", "--length", "5", "--sparse", "x"],
            1,
            "--sparse 'x': nothing is known of",
        ),
        (["nothing"], 1, "no collection 'nothing'"),
        (["empty"], 1, "the collection holds no document to go by"),
        (["empty", "--length", "5"], 2, "--length is for documents that are not indexed yet"),
        (["empty", "--documents", "5", "--times", "2"], 2, "--documents and --times say the same"),
    ],
)
def test_what_cannot_be_planned_is_one_line(stlib, home, arguments, code, message):
    Collection.create("empty", home=home).close()
    got, out, err = stlib("plan", *arguments)
    assert (got, out) == (code, "") and err.startswith("stlib: ") and message in err and err.count("\n") == 1


def test_a_model_that_nobody_knows_needs_two_numbers(stlib):
    asked = ("--documents", "1M", "--length", "500", "--model", "x", "--dimension", "512", "--speed", "40")
    said = json.loads(stlib("plan", *asked, "--json")[1])
    assert said["model"] == {"name": "x", "dimension": 512, "passages_per_second": 40.0, "how": "given"}


def test_planning_loads_no_torch():
    code = (
        "import sys\nfrom app.cli import main\n"
        "try: main(['plan', '--documents', '1M', '--length', '500'])\n"
        "except SystemExit: pass\nprint([m for m in ('torch', 'faiss', 'transformers') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
