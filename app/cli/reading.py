"""What the commands that read files share: their options, the run with a bar, and what is said of it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from app.cli.failures import Interrupted
from app.cli.progress import ProgressBar
from app.cli.terminal import echo_rows, echo_wrapped, warn
from app.wording import format_bytes, format_count, format_duration, format_model
from indexing.documents.kinds import kinds_of_extensions

if TYPE_CHECKING:
    from app.indexing_job import IndexSummary, Progress
    from indexing import AddReport
    from indexing.describe import CollectionInfo
    from indexing.documents import ReadReport
    from indexing.documents.model import Skipped
    from indexing.documents.options import ReadOptions

__all__ = [
    "choose_options",
    "print_problems",
    "print_summary",
    "prune_options",
    "reading_options",
    "with_progress",
]

_SHOWN = 20  # skipped lines, notes
_LISTED = 3  # of a group of files

_LEFT_OUT = {
    "hidden": "hidden (--hidden reads them)",
    "vendored": "of other people's code (--vendored reads it)",
    "ignored": "that .gitignore or .stlibignore names (--no-ignore reads them)",
    "excluded": "by --include or --exclude",
    "erased": "that were erased before (`stlib erase NAME --allow-again ID` lets one in)",
}


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which files and columns are read; the command gets `reading`, or None."""
    options = [
        click.option(
            "--include", multiple=True, metavar="PATTERN", help="Read only what matches, as in .gitignore."
        ),
        click.option(
            "--exclude", multiple=True, metavar="PATTERN", help="Leave out what matches, as in .gitignore."
        ),
        click.option("--hidden", is_flag=True, help="Read files and folders that begin with a dot too."),
        click.option(
            "--vendored", is_flag=True, help="Read node_modules, virtual environments and the like too."
        ),
        click.option("--no-ignore", is_flag=True, help="Read what .gitignore and .stlibignore name too."),
        click.option("--archives", is_flag=True, help="Read what lies in zip and tar files, one level deep."),
        click.option(
            "--text-field",
            multiple=True,
            metavar="NAME",
            help="Column or field to search, instead of all (repeatable).",
        ),
        click.option("--title-field", metavar="NAME", help="Column or field that is the title."),
        click.option("--id-field", metavar="NAME", help="Column or field that is the id."),
    ]

    @functools.wraps(function)
    def with_reading(
        *args: Any,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        hidden: bool,
        vendored: bool,
        no_ignore: bool,
        archives: bool,
        text_field: tuple[str, ...],
        title_field: str | None,
        id_field: str | None,
        **kwargs: Any,
    ) -> Any:
        given = choose_options(
            include=include,
            exclude=exclude,
            hidden=hidden,
            vendored=vendored,
            ignore_files=not no_ignore,
            archives=archives,
            text_fields=text_field,
            title_field=title_field,
            id_field=id_field,
        )
        return function(*args, reading=given, **kwargs)

    wrapped: Callable[..., Any] = with_reading
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def choose_options(**given: Any) -> ReadOptions | None:
    """The options, or None where all are as they are by default: then a source keeps those it has.

    Raises:
        BadInput: a pattern that is none.
    """
    from indexing.documents.ignoring import check_patterns
    from indexing.documents.options import ReadOptions

    check_patterns([*given["include"], *given["exclude"]])
    options = ReadOptions(**given)
    return None if options == ReadOptions() else options


def prune_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --prune, --force and --reread."""
    prune = click.option("--prune", is_flag=True, help="Remove documents that are no longer in their files.")
    force = click.option(
        "--force", is_flag=True, help="With --prune: also if that is much of a source, or all."
    )
    again = click.option("--reread", is_flag=True, help="Read every file again, changed or not.")
    return prune(force(again(function)))


def with_progress(run: Callable[[Progress], IndexSummary]) -> IndexSummary:
    """`run`, with a progress bar on stderr.

    Raises:
        Interrupted: Ctrl-C; the message says how to go on.
    """
    # The reader logs what its report also holds; the summary tells it once.
    logging.getLogger("indexing.documents").setLevel(logging.ERROR)
    with ProgressBar() as bar:

        def progress(added: AddReport, read: ReadReport) -> None:
            """How many documents there are is only known at the end: the share is one of bytes."""
            bar.show(read.bytes_read / read.bytes_total if read.bytes_total else 0.0, added.committed)

        try:
            return run(progress)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; {format_count(bar.committed, 'document')} of this run stay committed:"
                " run it again to go on"
            ) from None


def print_summary(summary: IndexSummary) -> None:
    """What the collection holds and what this run did: one line where that is nothing. If no collection was
    made, only what was passed over.
    """
    if made_nothing(summary):
        echo_rows(_passed_over(summary))
        return
    info, files = summary.info, summary.sync.files
    if not summary.changed and not summary.added.skipped and not summary.sync.vanished:
        read = f", {format_count(files.read, 'file')} read" if files.read else ""
        held = f"{format_count(info.documents, 'document')} in {format_count(files.total, 'file')}"
        echo_wrapped(f"{summary.collection}: nothing new, {held}{read}", bold=summary.collection)
        echo_rows(_passed_over(summary))
        return
    held = f"{format_count(info.documents, 'document')} in {format_count(info.chunks, 'passage')}"
    echo_wrapped(
        f"{summary.collection}: {held} ({format_model(info.model)}, {info.precision}, {info.engine})",
        bold=summary.collection,
    )
    echo_rows([("documents", _changes(summary)), *_passed_over(summary), *_figures(summary)])


def _changes(summary: IndexSummary) -> str:
    added, sync = summary.added, summary.sync
    unchanged = added.unchanged + sync.unchanged
    changes = f"{added.added:,} added, {added.updated:,} updated, {unchanged:,} unchanged"
    if added.duplicates:
        changes += f", {added.duplicates:,} replaced by a later one of the same id"
    if sync.files.renamed:
        changes += f", {format_count(sync.files.renamed, 'file')} renamed"
    if sync.pruned:
        changes += f", {sync.pruned:,} removed"
    return changes


def _figures(summary: IndexSummary) -> list[tuple[str, str]]:
    added, info = summary.added, summary.info
    rate = added.committed / added.seconds if added.seconds else 0.0
    return [
        ("time", f"{format_duration(added.seconds)}, {rate:,.0f} documents/s"),
        ("keyword lag", format_count(added.keyword_lag, "change")),
        ("memory", format_bytes(info.memory_bytes)),
        ("disk", _disk(info)),
    ]


def _passed_over(summary: IndexSummary) -> list[tuple[str, str]]:
    """What of the folders is not in the collection, the kinds of documents that nobody read first."""
    sync, rows = summary.sync, []
    if sync.unsupported:
        kinds = "; ".join(
            f"{kind} ({' '.join(extensions[:5])}) {count:,}"
            for kind, extensions, count in kinds_of_extensions(sync.unsupported)
        )
        rows.append(("not read", f"{format_count(sum(sync.unsupported.values()), 'file')}: {kinds}"))
    left_out = [
        f"{count:,} {_LEFT_OUT[why]}" for why, count in sorted(sync.left_out.items()) if why in _LEFT_OUT
    ]
    if left_out:
        rows.append(("left out", "; ".join(left_out)))
    if sync.files.empty:
        rows.append(
            (
                "empty",
                f"{format_count(sync.files.empty, 'file')} without text: "
                f"{_some(summary.read.empty, sync.files.empty)}",
            )
        )
    if sync.unreadable:
        rows.append(
            ("unreadable", f"{format_count(sync.unreadable, 'file')} as before; --reread tries again")
        )
    if sync.vanished > sync.pruned:
        left = sync.vanished - sync.pruned
        rows.append(
            ("vanished", f"{format_count(left, 'document')} no longer in their files; --prune removes them")
        )
    if summary.added.skipped:
        rows.append(("skipped", f"{summary.added.skipped:,}"))
    return rows


def _some(names: Sequence[str], count: int) -> str:
    """The first of `count` names, of which `names` are some."""
    more = f" and {count - _LISTED:,} more" if count > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def made_nothing(summary: IndexSummary) -> bool:
    """True when the collection would have been new, and got no document."""
    return summary.created and not summary.info.documents


def _disk(info: CollectionInfo) -> str:
    catalog, views = info.catalog_bytes, info.view_bytes
    return f"{format_bytes(catalog + views)} ({format_bytes(catalog)} catalog, {format_bytes(views)} views)"


def _grouped(skips: Sequence[Skipped]) -> tuple[list[str], list[Skipped]]:
    """A line for each reason that many whole files share, and what is left to be told one by one."""
    files: dict[str, list[str]] = {}
    for skip in skips:
        if skip.line is None:
            files.setdefault(skip.reason, []).append(skip.source)
    many = {reason: names for reason, names in files.items() if len(names) > _LISTED}
    told = [f"{len(names):,} files: {reason}: {_some(names, len(names))}" for reason, names in many.items()]
    return told, [skip for skip in skips if skip.line is not None or skip.reason not in many]


def print_problems(summary: IndexSummary) -> None:
    """One line on stderr for each thing of the input that is not in the collection."""
    added = summary.added
    told, single = _grouped(added.skips)
    for group in told:
        warn(f"stlib: skipped {group}")
    for skip in single[:_SHOWN]:
        warn(f"stlib: skipped {skip}")
    more = added.skipped - (len(added.skips) - len(single)) - _SHOWN
    if more > 0:
        warn(f"stlib: skipped {more:,} more (--json lists up to 1,000)")
    for reason in summary.sync.refused:
        warn(f"stlib: {reason}")
    for root in summary.sync.missing:
        warn(f"stlib: note: {root} is not there: what was read from it is kept as it was")
    if added.duplicates:
        warn(
            f"stlib: {format_count(added.duplicates, 'document')} had the id of a later one in this run:"
            " the last one wins"
        )
    if added.renamed:
        warn(
            f"stlib: note: {format_count(added.renamed, 'document')} got the name of a folder or file before"
            " the id, because another file has the short one"
        )
    if added.moved:
        warn(
            f"stlib: note: {format_count(added.moved, 'document')} replaced, as if the folder had been moved:"
            " the file it came from is gone"
        )
    for note in group_notes(summary.notes)[:_SHOWN]:
        warn(f"stlib: note: {note}")
    if made_nothing(summary):
        warn(f"stlib: nothing could be indexed; collection {summary.collection!r} was not made")


def group_notes(notes: Sequence[str]) -> list[str]:
    """`FILE says this` of many files as one line that names the first."""
    files: dict[str, list[str]] = {}
    for note in notes:
        name, _, rest = note.partition(" ")
        files.setdefault(rest, []).append(name)
    grouped = []
    for rest, names in files.items():
        more = f" (and {format_count(len(names) - 1, 'other file')})" if len(names) > 1 else ""
        grouped.append(f"{names[0]} {rest}{more}")
    return grouped
