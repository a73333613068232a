"""The tables of indexing/SIZING.md, made of `measured.json` and of the sums of `stlib plan`.

    python tests/benchmarks/sizing_page.py            # writes them anew

Tables stand between `<!-- NAME -->` and `<!-- end -->`; a test holds that the page has what is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from app.wording import format_decimal, format_hours, format_milliseconds, format_quantity
from indexing.names import ENGINES
from indexing.sizing import (
    Limits,
    Machines,
    Plan,
    Sums,
    Workload,
    add_up,
    disk,
    find_model,
    make_plan,
    vectors,
)
from indexing.sizing.measured import measured
from indexing.sizing.models import ModelFacts
from indexing.sizing.times import Embedding

PAGE = Path(__file__).resolve().parents[2] / "indexing" / "SIZING.md"
SIZES = (1_000_000, 10_000_000, 41_000_000)
LENGTH = 500
TITLES = {"sqlite": "SQLite + FAISS", "postgres": "PostgreSQL + pgvector", "ray": "Ray + Milvus"}
ENDS = {"memory": "memory", "search": "the time of a search", "hours": "hours"}
# Of the demo: passages of an encyclopedia, a model of 1,024 numbers.
DEMO = Workload(
    41_000_000,
    LENGTH,
    find_model("mxbai-embed-large-v1") or ModelFacts("", 1024),
    "binary",
    metadata=0,
    fields=0,
    passages_each=1.0,
)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bytes_table() -> str:
    rows = []
    for precision in ("int8", "binary", "float32"):
        for width in (256, 384, 768, 1024):
            codes = [f"{disk.code_bytes(width, precision, base):,.0f}" for base in disk.DATABASES]
            views = [f"{vectors.view_bytes(1, width, precision, engine):,.0f}" for engine in ENGINES]
            rows.append([precision, f"{width:,}", *codes, *views])
    header = ["codes", "numbers", "SQLite", "PostgreSQL", "FAISS", "usearch", "pgvector", "Milvus*"]
    return table(header, rows)


def documents_table() -> str:
    rows = []
    for length in (100, 500, 1_000, 3_000, 10_000):
        catalog = [f"{disk.document_bytes(length, 60, base):,.0f}" for base in disk.DATABASES]
        rows.append(
            [f"{length:,}", *catalog, f"{disk.words_bytes(length):,.0f}", f"{disk.column_bytes(3):,.0f}"]
        )
    return table(["characters", "SQLite", "PostgreSQL", "index of words", "metadata"], rows)


def passages_line() -> str:
    sqlite, postgres = (f"{disk.passage_bytes(base):,.0f}" for base in disk.DATABASES)
    terms, tokens = disk.sparse_bytes(), disk.token_bytes(110, 96) / 1000
    return (
        f"A passage takes {sqlite} bytes besides in SQLite, {postgres} in PostgreSQL; with `--sparse` one of"
        f" 60 terms {terms:,.0f} more,\nwith `--tokens` one of 110 tokens of 96 numbers {tokens:.0f} kB."
    )


def models_table() -> str:
    known = measured()
    rows = []
    for name, one in known["models"].items():
        text = Workload(1, LENGTH, ModelFacts(name, one["dimension"], one["tokens_per_second"]))
        rate = text.passages / Embedding.of(text, "sqlite").model
        memory = format_decimal(one["memory"])
        rows.append(
            [f"`{name}`", f"{one['dimension']:,}", f"{one['tokens_per_second']:,.0f}", _rate(rate), memory]
        )
    for name, one in known["rerankers"].items():
        rows.append([f"`{name}` reads", "", "", _rate(1000 / one["milliseconds"]), ""])
    for what, cost in (
        ("reading, cutting and storing in SQLite", known["store"]["sqlite"]),
        ("the same in PostgreSQL", known["store"]["postgres"]),
        ("keyword leg: index of words, with metadata", known["build"]),
    ):
        rows.append([what, "", "", _rate(1 / (cost["document"] + LENGTH * cost["character"])), ""])
    header = ["", "numbers", "tokens a second", "passages of texts of 500 characters", "memory of a process"]
    return table(header, rows)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def ray_table() -> str:
    known = measured()["ray"]
    cells = ["not measured" if figure is None else f"{figure:.2f}" for figure in known["efficiency"].values()]
    return table(
        ["workers on one machine", *known["efficiency"]], [["rate by that of as many processes", *cells]]
    )


def times_table() -> str:
    asked = [
        ("faiss", "int8"),
        ("faiss", "binary"),
        ("faiss", "float32"),
        ("usearch", "int8"),
        ("pgvector", "int8"),
    ]
    rows = []
    for count in (100_000, *SIZES):
        searched = [format_milliseconds(vectors.search_ms(count, 256, how, engine)) for engine, how in asked]
        made = [
            format_hours(vectors.build_seconds(count, 256, "int8", engine))
            for engine in ("faiss", "usearch", "pgvector")
        ]
        rows.append([f"{count:,}", *searched, " · ".join(made)])
    header = [
        "passages",
        "FAISS int8",
        "binary",
        "float32",
        "usearch",
        "pgvector",
        "made: FAISS · usearch · pgvector",
    ]
    return table(header, rows)


def compared_table() -> str:
    rows = []
    for one in measured().get("compared", []):
        error = one["sums"] / one["measured"] - 1
        rows.append(
            [
                one["what"],
                f"{one['measured']:,.2f}",
                f"{one['sums']:,.2f}",
                f"{error:+.0%}".replace("%", " %"),
            ]
        )
    return table(["", "measured", "sums", "error"], rows or [["(not compared yet)", "", "", ""]])


def plans() -> list[Plan]:
    model = find_model(None)
    assert model is not None
    return [make_plan(Workload(count, LENGTH, model)) for count in SIZES]


def sums_table() -> str:
    rows = []
    for plan in plans():
        for one in plan.sums:
            bold = "**" if one.setup == plan.advised else ""
            star = "" if one.measured else "*"
            name = f"{bold}{TITLES[one.setup]}{star}{bold}"
            rows.append([f"{plan.workload.documents:,}", name, *_cells(one)])
    return table(
        ["texts", "", "embedding", "indexes made", "disk", "memory", "each of Milvus", "search"], rows
    )


def _cells(one: Sums) -> list[str]:
    said = one.to_dict()  # what `stlib plan --json` prints
    return [
        format_hours(said["embedding_seconds"]),
        format_hours(said["view_seconds"]),
        format_decimal(said["disk_bytes"]),
        format_decimal(said["memory_bytes"]),
        format_decimal(said["memory_each"]) if said["memory_each"] else "",
        format_milliseconds(said["search_ms"]),
    ]


def steps_table() -> str:
    rows = []
    for name, precision in ((None, "int8"), ("all-MiniLM-L6-v2", "int8"), ("mxbai-embed-large-v1", "binary")):
        model = find_model(name)
        assert model is not None
        plan = make_plan(Workload(SIZES[0], LENGTH, model, precision))
        cells = []
        for step in plan.steps:
            ends = " and ".join(ENDS[bound] for bound in step.ends_by)
            cells.append(f"{format_quantity(step.documents)}: {ends}" if step.documents else f"none: {ends}")
        rows.append([f"{model.name}, {precision}", *cells])
    return table(["", *TITLES.values()], rows)


def demo_table() -> str:
    ours = add_up(DEMO, "sqlite", Machines(), Limits())
    hours = add_up(DEMO, "ray", Machines(), Limits()).embedding_seconds
    vectors_ = vectors.memory(DEMO.passages, 1024, "binary")
    index = ours.disk["vectors"]
    rows = [
        ["memory of the search by bits", "5.2 GB", format_decimal(DEMO.passages * 128)],
        ["memory with the keys of passages and documents", "", format_decimal(vectors_.wanted)],
        ["disk of bits and int8 vectors", "47.5 GB", format_decimal(index)],
        ["the same codes in the catalog, which is the truth", "", format_decimal(ours.disk["codes"])],
        [
            "texts of 500 characters, passages, words",
            "not counted",
            format_decimal(ours.disk_bytes - index - ours.disk["codes"]),
        ],
        ["disk, everything", "", format_decimal(ours.disk_bytes)],
        ["search, median, one thread", "", format_milliseconds(ours.search_ms)],
        ["embedding by 32 cores, estimated", "", format_hours(hours)],
    ]
    return table(["41 million texts, 1,024 numbers, binary with int8", "demo", "here"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "bytes": bytes_table,
    "documents": documents_table,
    "passages": passages_line,
    "models": models_table,
    "ray": ray_table,
    "times": times_table,
    "compared": compared_table,
    "sums": sums_table,
    "steps": steps_table,
    "demo": demo_table,
}


def with_tables(text: str) -> str:
    """The page with every table as it is made now."""
    for name, make in TABLES.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition("<!-- end -->")
        if not opening or not closing:
            raise ValueError(f"{PAGE} has no place <!-- {name} -->")
        text = f"{before}{opening}{make()}\n{closing}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
