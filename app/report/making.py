"""Making a report: read judgments, measure, compare."""

from __future__ import annotations

import os
import platform
import shlex
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from string import ascii_uppercase

import numpy as np

from app.report.comparing import compare_runs, summarise_run
from app.report.coverage import measure_coverage
from app.report.judgments import FEEDBACK, Judgments, read_judgments
from app.report.measuring import TIMED, Progress, Run, run_systems
from app.report.model import Answer, Measured, Report, System
from app.report.systems import ReportChoices, choose_systems, spell_system
from app.settings import Location
from app.wording import format_count
from indexing import Collection
from indexing.catalog.log import slices
from indexing.serving.history import Serving
from stlib import __version__

__all__ = ["is_tuned", "make_report", "report_command"]

_BEGINNING = 200  # characters of a text: enough to see what it is about


def make_report(
    location: Location,
    name: str,
    source: str,
    split: str = "test",
    choices: ReportChoices | None = None,
    *,
    who: str = "",
    progress: Progress | None = None,
) -> Report:
    """Compare ways of searching collection `name` on the judgments of `source`, a folder or `FEEDBACK`.
    `progress` gets how many searches were measured, and how many will be; what it raises ends the work.

    Raises:
        UnknownCollection, BadInput, BadLine: a collection, judgments or choices that cannot be used.
        RerankingFailed: a reranker cannot be used.
    """
    choices = choices or ReportChoices()
    tell = progress or (lambda done, total: None)
    started = time.perf_counter()
    with Collection.open(name, **location.arguments()) as collection:
        servings = collection.servings()
        systems = choose_systems(choices, servings)
        compared = {one.serving for one in systems}
        tuned = any(is_tuned(one) for one in servings if one.id in compared)
        judgments = read_judgments(location, collection, source, split, tuned=tuned)
        runs = run_systems(collection, systems, judgments, tell)
        coverage = measure_coverage(collection, lambda: tell(0, len(systems) * len(judgments.queries)))
        relevant = {id_ for grades in judgments.qrels.values() for id_, grade in grades.items() if grade > 0}
        shown = {id_ for run in runs for answers in run.answers.values() for id_ in answers}
        documents = _describe(collection, shown | relevant)
        by_id = {one.id: one for one in servings}
        return Report(
            collection=name,
            uuid=collection.uuid,
            at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            who=who,
            seconds=time.perf_counter() - started,
            seq=runs[0].seq,
            version=__version__,
            machine=f"{platform.machine()}, {format_count(os.cpu_count() or 1, 'processor')}, Python"
            f" {platform.python_version()}",
            source=source,
            split=judgments.split,
            side=judgments.side,
            judgments=judgments.fingerprint,
            questions=judgments.queries,
            grades=judgments.qrels,
            systems=tuple(_measure(runs, by_id)),
            missing=len(relevant - documents.keys()),
            coverage=coverage,
            documents={id_: documents[id_] for id_ in sorted(documents)},
            timed=min(TIMED, len(judgments.queries)),
            command=report_command(name, source, judgments.split, systems),
            notes=_notes(judgments, runs),
        )


def is_tuned(serving: Serving) -> bool:
    """Whether it has learned from judgments, as far as its row tells."""
    return serving.gate is not None or serving.head or serving.memory


def report_command(name: str, source: str, split: str, systems: Sequence[System]) -> str:
    """What a person types to have the same systems compared on the same judgments."""
    words = [
        "stlib",
        "report",
        name,
        "--judgments",
        source if source == FEEDBACK else str(Path(source).absolute()),
    ]
    if source != FEEDBACK:
        words += ["--split", split]
    for one in systems:
        words += ["--system", spell_system(one)]
    return shlex.join([*words, "-o", "report.html"])


def _measure(runs: Sequence[Run], servings: dict[int, Serving]) -> Iterable[Measured]:
    differences = [{}, *compare_runs(runs[0], runs[1:])]
    for at, (run, apart) in enumerate(zip(runs, differences, strict=True)):
        serving = servings[run.system.serving]
        reranker, read_by = run.reranker
        fingerprints = {"model": run.fingerprint, **({"reranker": read_by} if read_by else {})}
        times = np.asarray(run.times)
        yield Measured(
            letter=ascii_uppercase[at],
            name=_name(run, serving),
            system=run.system,
            model=run.model,
            precision=run.precision,
            reranker=reranker,
            fingerprints=fingerprints,
            tuned=is_tuned(serving),
            metrics=summarise_run(run),
            values=run.values,
            differences=apart,
            judged=float(np.mean(run.judged)),
            latency=float(np.median(times)),
            slow=float(np.quantile(times, 0.95)),
            memory=run.memory,
            answers=run.answers,
        )


def _name(run: Run, serving: Serving) -> str:
    what = "live serving" if serving.live else f"serving {serving.id}"
    note = f" ({serving.note})" if serving.note and not serving.live else ""
    precision = f", {run.system.precision} vectors" if run.system.precision else ""
    reranked = (
        f", reranked by {run.reranker[0]}"
        if run.reranker[0]
        else ", not reranked"
        if serving.reranker
        else ""
    )
    return f"{run.system.mode.capitalize()}{reranked}{precision}, {what}{note}"


def _describe(collection: Collection, ids: Iterable[str]) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for part in slices(sorted(ids)):
        for id_, one in collection.get(part).items():
            beginning = " ".join(one.text[: 2 * _BEGINNING].split())[:_BEGINNING]
            found[id_] = Answer(one.title or beginning[:80] or id_, beginning)
    return found


def _notes(judgments: Judgments, runs: Sequence[Run]) -> tuple[str, ...]:
    notes = list(judgments.notes)
    if len({run.seq for run in runs if run.system.precision is None}) > 1:
        notes.append("The collection was changed while it was measured: systems saw other documents.")
    if any(run.system.precision for run in runs):
        notes.append(
            "Other precisions were measured on a copy of the documents in a scratch folder, embedded again"
            " by the same model and ordered by the settings of what is live."
        )
    if len(judgments.queries) < 30:
        notes.append(
            f"{format_count(len(judgments.queries), 'question')} are few: only large differences can show."
        )
    return tuple(notes)
