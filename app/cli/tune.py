"""`stlib tune`: learn from what people said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.failures import Interrupted
from app.cli.jobs import start_in_background
from app.cli.options import background_option, json_option, location_options
from app.cli.terminal import echo, echo_json, echo_rows, echo_table, echo_wrapped, rewrite, style
from app.settings import Location
from app.wording import format_count, format_duration

if TYPE_CHECKING:
    from app.tuning.report import TuneReport, TuneStep

__all__ = ["command"]

LEVERS = ("auto", "ranking", "memory", "query", "reranker", "full")
PROMOTE = ("never", "if-better")
_STAGES = {"read": "reading questions", "learn": "learning", "embed": "embedding", "test": "testing"}


@click.command("tune")
@click.argument("name")
@click.option(
    "--lever",
    type=click.Choice(LEVERS),
    default="auto",
    show_default=True,
    help="What is learned: weights of the ranking, a memory of judged answers, a map of questions; auto: each"
    " of these that helps. A reranker, or the full model, with which documents are embedded anew beside the"
    " live ones: these two train for minutes, and need torch.",
)
@click.option(
    "--model",
    metavar="MODEL",
    help="What the levers reranker and full train: a folder or a name; what is served if nothing is said.",
)
@click.option(
    "--promote",
    type=click.Choice(PROMOTE),
    default="never",
    show_default=True,
    help="Whether the candidate becomes live if the gate passes it.",
)
@click.option(
    "--guard",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Judgments in BEIR layout (split test) that must not get worse.",
)
@background_option
@location_options
@json_option
def command(
    name: str,
    lever: str,
    model: str | None,
    promote: str,
    guard: Path | None,
    background: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Learn from what people said of the answers of collection NAME.

    It makes a serving that may answer better, and tests it on questions that it did not learn from. The exit
    status is 0 whether it is better or not.
    """
    from app.facade.caller import local_caller

    if background:
        from app.jobs.kinds.tune import describe

        arguments = describe(local_caller("cli"), name, lever, promote, guard, _absolute(model))
        start_in_background(location, "tune", arguments, as_json)
        return
    from app.facade.tuning import tune

    say = _Progress(quiet=as_json or not sys.stderr.isatty())
    try:
        report = tune(
            local_caller("cli"), location, name, lever, promote, guard=guard, progress=say, model=model
        )
    except KeyboardInterrupt:
        say.end()
        raise Interrupted(f"stopped; {name!r} answers as before") from None
    say.end()
    if as_json:
        echo_json(report.to_dict())
    else:
        _print(report)


def _absolute(model: str | None) -> str | None:
    """A folder as the job finds it, which has another working folder."""
    return str(Path(model).absolute()) if model is not None and Path(model).exists() else model


class _Progress:
    """One line on the terminal that says where the work is."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._shown = False

    def __call__(self, step: TuneStep) -> None:
        if self._quiet:
            return
        count = f" {step.done}" + (f" of {step.total}" if step.total else "")
        tried = f": {step.lever}, {step.what}, {step.gain:+.4f}" if step.gain is not None else ""
        rewrite(f"{_STAGES[step.stage]}{count}{tried}"[:100])
        self._shown = True

    def end(self) -> None:
        if self._shown:
            rewrite()


def _print(report: TuneReport) -> None:
    echo(style(f"tune {report.collection}", bold=True))
    rows = []
    for one in report.levers:
        gain = f"{one.gain:+.4f}" + ("" if one.error is None else f" ± {one.error:.4f}")
        rows.append([one.lever, "kept" if one.kept else "off", gain, one.note])
    echo_table(["lever", "", "gain in cross-validation", ""], rows, right=(2,))
    echo()
    if report.gate is None:
        echo_wrapped(report.sentence)
    else:
        for sentence in report.gate.sentences:
            echo_wrapped(sentence)
    name, candidate = report.collection, report.candidate
    learned = f"{format_count(report.questions, 'judged question')} in {format_duration(report.seconds)}"
    said = [("learned from", learned)]
    if candidate is not None:
        live = ", which is live now" if report.promoted else ""
        said.append(("candidate", f"serving {candidate}{live}"))
        if report.promoted:
            said.append(("go back", f"`stlib rollback {name}`"))
        elif report.gate is not None and report.gate.verdict == "passed":
            said.append(("go live", f"`stlib promote {name} {candidate}`"))
    echo_rows(said)
