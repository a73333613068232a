"""`stlib feedback`: what people said of answers, in and out, and gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from app.cli.dashes import DashedCommand
from app.cli.options import json_option, location_options
from app.cli.terminal import confirm, echo, echo_json, echo_rows, warn
from app.settings import Location
from app.wording import format_count

__all__ = ["command"]

_MOST_NAMED = 5  # of ids and lines in a message


@click.group("feedback")
def command() -> None:
    """Say which answers were right, and keep, move or erase what was said."""


@command.command("judge", cls=DashedCommand)
@click.argument("name")
@click.argument("question")
@click.argument("document", default="")
@click.option(
    "--grade", type=click.IntRange(0, 3), help="0: no answer, 1: helps, 2: answers, 3: nothing better."
)
@click.option("--up", "kind", flag_value="up", help="It was of use: grade 1.")
@click.option("--down", "kind", flag_value="down", help="It was not: grade 0.")
@click.option("--answer", "kind", flag_value="answer", help="This is the right one: grade 3.")
@click.option("--none", "kind", flag_value="none", help="None of these, of all that --of showed.")
@click.option("--undo", "kind", flag_value="undo", help="Take back what you said of it.")
@click.option(
    "--pasted", "kind", flag_value="pasted", help="DOCUMENT is the text of an answer that you found."
)
@click.option("--of", "impression", metavar="ID", default="", help="Of which answer: its id in --json.")
@location_options
@json_option
@click.pass_context
def judge(
    context: click.Context,
    name: str,
    question: str,
    document: str,
    grade: int | None,
    kind: str | None,
    impression: str,
    location: Location,
    as_json: bool,
) -> None:
    """Say how well DOCUMENT (an id) answers QUESTION in collection NAME; what you said before is replaced."""
    if (grade is None) == (kind is None):
        raise click.UsageError("say it by one of --grade, --up, --down, --answer, --none, --undo", context)
    from app.facade.caller import local_caller
    from app.facade.feedback import record

    saying = record(
        local_caller("cli"), location, name, question, document, kind or "grade", grade, impression
    )
    if as_json:
        echo_json(saying.to_dict())
    elif saying.kind == "undo":
        echo("taken back")
    else:
        echo(f"kept: {', '.join(saying.documents)} has grade {saying.grade} for this question")


@command.command("import")
@click.argument("name")
@click.argument("path", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--split", default="train", show_default=True, help="Of a BEIR folder: which qrels/SPLIT.tsv.")
@click.option(
    "--format", type=click.Choice(["beir", "csv", "trec"]), help="Default: as FOLDER, or the file, looks."
)
@click.option("--topics", type=click.Path(path_type=Path), help="Of TREC qrels: the file of the questions.")
@location_options
@json_option
def import_(
    name: str,
    path: Path,
    split: str,
    format: str | None,
    topics: Path | None,
    location: Location,
    as_json: bool,
) -> None:
    """Take the judgments of FOLDER (BEIR layout), of a CSV file or of TREC qrels into collection NAME.

    A CSV file begins with a line that names its columns: question, document, grade. A second time adds
    nothing. Lines that cannot be read are named, and the rest is taken.
    """
    from app.facade.caller import local_caller
    from app.facade.feedback import import_feedback

    done = import_feedback(
        local_caller("cli"), location, name, path, format=format, split=split, topics=topics
    )
    if as_json:
        echo_json(done.to_dict())
        return
    parts = [f"{done.added:,} added", f"{done.changed:,} changed", f"{done.unchanged:,} already there"]
    echo(f"{done.source}: {format_count(done.questions, 'question')}; judgments: {', '.join(parts)}")
    _name_some("documents that are not in the collection (kept: they may come)", done.unknown)
    _name_some("judged questions without a text (left out)", done.lost)
    for line in done.bad[:_MOST_NAMED]:
        warn(f"stlib: left out: {line}")
    if len(done.bad) > _MOST_NAMED:
        warn(f"stlib: left out: {len(done.bad) - _MOST_NAMED:,} more lines; --json names all")


def _name_some(what: str, names: tuple[str, ...]) -> None:
    if names:
        more = ", …" if len(names) > _MOST_NAMED else ""
        warn(f"stlib: {len(names):,} {what}: {', '.join(names[:_MOST_NAMED])}{more}")


def _wanted_options(function: Any) -> Any:
    for name, help in (
        ("document", "Of this document, by its id."),
        ("question", "Of this question, however it is written."),
        ("person", "Of this person, by the name in the log, or by the session of one without a name."),
    ):
        function = click.option(f"--{name}", help=help)(function)
    return function


@command.command("export")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    type=click.Choice(["beir", "csv", "trec"]),
    default="beir",
    show_default=True,
    help="queries.jsonl and qrels/SPLIT.tsv; feedback.csv; or topics.tsv and qrels.txt.",
)
@click.option(
    "--split", default="train", show_default=True, help="Of a BEIR folder: the name of qrels/SPLIT.tsv."
)
@_wanted_options
@location_options
def export(
    name: str,
    folder: Path | None,
    format: str,
    split: str,
    person: str | None,
    question: str | None,
    document: str | None,
    location: Location,
) -> None:
    """Write what was said of collection NAME into FOLDER as judgments that `stlib feedback import` reads.

    Without FOLDER everything that is kept is printed as JSON lines: searches, clicks and sayings.

    Where several people judged a document for a question, the middle grade is written, of two the lower.
    """
    from app.facade.caller import local_caller
    from app.facade.feedback import Wanted, export_feedback, list_feedback

    caller, wanted = local_caller("cli"), Wanted(person, question, document)
    if folder is None:
        for line in list_feedback(caller, location, name, wanted=wanted):
            echo_json(line, lines=True)
        return
    done = export_feedback(caller, location, name, folder, format=format, split=split, wanted=wanted)
    echo(f"{folder}: {format_count(done.questions, 'question')}, {format_count(done.judgments, 'judgment')}")
    _name_some("ids that this format cannot hold (left out; csv can)", done.left_out)


@command.command("erase")
@click.argument("name")
@_wanted_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@location_options
@json_option
def erase(
    name: str,
    person: str | None,
    question: str | None,
    document: str | None,
    yes: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Erase what is kept of a person, a question or a document, from the files too.

    What fulfils all that is given is erased. Answers that showed an erased document stay, without it.
    """
    from app.facade.caller import local_caller
    from app.facade.feedback import Wanted
    from app.facade.feedback import erase as erase_feedback

    wanted = Wanted(person, question, document)
    if not wanted.given:
        raise click.UsageError("say what to erase: --person, --question or --document")
    if not yes:
        confirm("Erase it? There is no way back.")
    done = erase_feedback(local_caller("cli"), location, name, wanted)
    if as_json:
        echo_json(done.to_dict())
        return
    counts = (
        "1 search" if done.impressions == 1 else f"{done.impressions:,} searches",
        format_count(done.events, "click"),
        format_count(done.sayings, "saying"),
    )
    shortened = f"; taken out of {format_count(done.shortened, 'answer')}" if done.shortened else ""
    echo(f"erased: {', '.join(counts)}{shortened}")
    if done.pending:
        warn(f"stlib: {done.pending}")
    if done.servings:
        warn(f"stlib: learned from it, and stay as they are: servings {', '.join(map(str, done.servings))}")
    for place in done.out_of_reach:
        echo(f"not reached: {place}")


@command.command("status")
@click.argument("name")
@location_options
@json_option
def status(name: str, location: Location, as_json: bool) -> None:
    """Show how much was asked and said of collection NAME, and what is kept of a search."""
    from app.facade.caller import local_caller
    from app.facade.feedback import feedback_status

    found = feedback_status(local_caller("cli"), location, name)
    if as_json:
        echo_json(found.to_dict())
        return
    log = {"on": "searches are kept", "hashes": "searches are kept as hashes", "off": "searches are not kept"}
    days = "until they are erased" if found.days is None else f"for {format_count(found.days, 'day')}"
    said = ", ".join(f"{kind} {count:,}" for kind, count in found.kinds.items())
    echo_rows(
        [
            ("searches", f"{found.impressions:,}, with {format_count(found.events, 'click')}"),
            ("judgments", f"{found.judgments:,} for {format_count(found.questions, 'question')}"),
            ("people", f"{found.people:,}"),
            *([("said", said)] if said else []),
            ("log", log[found.mode] + ("" if found.mode == "off" else f" {days}")),
        ]
    )
