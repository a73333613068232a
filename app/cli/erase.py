"""`stlib erase`: documents gone for good, with a receipt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from app.cli.dashes import DashedCommand
from app.cli.delete import FEW, confirm_many
from app.cli.failures import FAILED
from app.cli.filters import filter_option, point_at_errors
from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_rows, echo_table, warn
from app.settings import Location
from app.wording import format_count

if TYPE_CHECKING:
    from app.facade.erasure import Receipt

__all__ = ["command", "print_receipt"]

_NOUNS = {
    "documents": "document",
    "passages": "passage",
    "renames": "former name",
    "files": "source file",
    "memories": "remembering serving",
    "uploads": "uploaded file",
    "answers": "answer",
    "clicks": "click",
    "judgments": "judgment",
    "jobs": "job",
    "reports": "report",
    "judged lines": "judged line",
}


@click.command("erase", cls=DashedCommand)
@click.argument("name")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_option
@click.option("--yes", is_flag=True, help=f"Do not ask, where a filter matches more than {FEW}.")
@click.option("--finish", is_flag=True, help="Go on with what is pending, and say what is left.")
@click.option("--list", "list_", is_flag=True, help="Show the receipts of what was erased.")
@click.option(
    "--allow-again", is_flag=True, help="Let the documents ID come in again; nothing brings them back."
)
@click.option("--erasure", type=int, metavar="N", help="With --allow-again: all documents of erasure N.")
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    ids: tuple[str, ...],
    filter_: str | None,
    yes: bool,
    finish: bool,
    list_: bool,
    allow_again: bool,
    erasure: int | None,
    location: Location,
    as_json: bool,
) -> None:
    """Erase documents by ID or --filter from collection NAME for good: from its files, indexes and free
    space, from searches, judgments, jobs, reports and uploads that name them. They stay out, by id and by
    text, when their folder is read again.

    A receipt says what is gone, what is pending, and what cannot be reached from here, such as backups. The
    exit code is 1 as long as something is pending. `stlib verify NAME --erased` looks again.
    """
    _check_usage(context, ids, filter_, finish, list_, allow_again, erasure)
    from app.facade import erasure as facade
    from app.facade.caller import local_caller
    from indexing import Collection

    caller = local_caller("cli")
    with Collection.open(name, **location.arguments()) as collection, point_at_errors(context, filter_):
        if allow_again:
            count = facade.allow_again(caller, location, collection, ids, erasure=erasure)
            _print_allowed(name, count, as_json)
            return
        if list_:
            _print_list(name, facade.list_erasures(caller, location, collection), as_json)
            return
        if finish:
            receipts = facade.finish_erasures(caller, location, collection)
        else:
            if filter_ is not None:
                confirm_many(collection, filter_, yes, "Erase", "erasing")
            receipts = [facade.erase_documents(caller, location, collection, ids or None, filter=filter_)]
    if as_json:
        echo_json({"collection": name, "erasures": [one.to_dict() for one in receipts]})
    elif not receipts:
        echo(f"{name}: nothing is pending")
    for receipt in receipts:
        if not as_json:
            print_receipt(name, receipt)
        for why in receipt.pending:
            warn(f"stlib: pending: {why}")
    if not all(receipt.done for receipt in receipts):
        context.exit(FAILED)


def _check_usage(
    context: click.Context,
    ids: Sequence[str],
    filter_: str | None,
    finish: bool,
    list_: bool,
    allow_again: bool,
    erasure: int | None,
) -> None:
    if finish + list_ + allow_again > 1:
        raise click.UsageError("give one of --finish, --list and --allow-again", context)
    if erasure is not None and not allow_again:
        raise click.UsageError("--erasure goes with --allow-again", context)
    if filter_ is not None and (ids or finish or list_ or allow_again):
        raise click.UsageError("give ids or --filter, not both, and neither with --finish or --list", context)
    if filter_ is not None and not filter_.strip():
        raise click.UsageError("the filter is empty, and would match every document", context)
    if (finish or list_) and ids:
        raise click.UsageError("--finish and --list take no ids", context)
    if not (ids or filter_ is not None or finish or list_ or (allow_again and erasure is not None)):
        raise click.UsageError("name the documents: by their ids, or by --filter", context)


def print_receipt(name: str, receipt: Receipt) -> None:
    """What came of one erasure; what is pending is for stderr."""
    there = "" if receipt.found == receipt.documents else f", of which {receipt.found:,} were there"
    documents = format_count(receipt.documents, "document")
    echo(f"{name}: erasure {receipt.number} of {documents}{there}: {receipt.state}")
    rows = []
    if erased := ", ".join(format_count(count, _NOUNS[what]) for what, count in receipt.erased.items()):
        rows.append(("gone", erased))
    if receipt.same_texts:
        others = format_count(receipt.same_texts, "other document")
        rows.append(("stays", f"{others} with the very same text"))
    rows += [("learned", one) for one in receipt.seen_by]
    rows += [("not reached", one) for one in receipt.out_of_reach]
    echo_rows(rows)


def _print_allowed(name: str, count: int, as_json: bool) -> None:
    if as_json:
        echo_json({"collection": name, "allowed": count})
    else:
        echo(f"{name}: {format_count(count, 'document')} may come in again")


def _print_list(name: str, receipts: Sequence[Receipt], as_json: bool) -> None:
    if as_json:
        echo_json({"collection": name, "erasures": [one.to_dict() for one in receipts]})
        return
    if not receipts:
        echo(f"{name}: nothing was erased")
        return
    rows = [[str(one.number), one.begun_at, one.who, f"{one.documents:,}", one.state] for one in receipts]
    echo_table(["erasure", "begun", "by", "documents", "state"], rows, right=(3,))
