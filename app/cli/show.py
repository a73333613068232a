"""`stlib show`: documents as they are stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from app.cli.dashes import DashedCommand
from app.cli.failures import FAILED
from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_rows, echo_text, echo_wrapped, warn
from app.settings import Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexing import Collection
    from indexing.catalog.stored import StoredDocument

__all__ = ["command"]


@click.command("show", cls=DashedCommand)
@click.argument("name")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--open", "open_", is_flag=True, help="Show the document's file in its folder.")
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context, name: str, ids: tuple[str, ...], open_: bool, location: Location, as_json: bool
) -> None:
    """Show documents of collection NAME by their ids: file, title, metadata and the whole text."""
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        found = collection.get(ids)
        files = {id_: file for id_ in found if (file := _file_of(collection, id_))}
        if open_:
            _open_files(location, collection, list(found))
    asked = list(dict.fromkeys(ids))
    documents = [found[id_] for id_ in asked if id_ in found]
    if as_json:
        echo_json({"collection": name, "documents": [describe_document(one) for one in documents]})
    else:
        for number, document in enumerate(documents):
            if number:
                echo()
            _print_document(document, files.get(document.id, ""))
    missing = [id_ for id_ in asked if id_ not in found]
    for id_ in missing:
        warn(f"stlib: no document {id_!r} in {name!r}")
    if missing:
        context.exit(FAILED)


def describe_document(document: StoredDocument) -> dict[str, object]:
    """JSON values that `stlib index` reads as this document again."""
    return {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": document.metadata,
    }


def _file_of(collection: Collection, id_: str) -> str:
    found = collection.source_of(id_)
    return f"{found[0].root.rstrip('/')}/{found[1]}" if found else ""


def _open_files(location: Location, collection: Collection, ids: Sequence[str]) -> None:
    """In a program that shows folders: what opening a file does, and starts, is left to a person.

    Raises:
        NotServed: a file is of no folder that was confirmed on this machine, or gone.
    """
    from app.facade.caller import local_caller
    from app.facade.originals import find_original

    for path in dict.fromkeys(
        find_original(local_caller("cli"), location, collection, id_).path for id_ in ids
    ):
        if click.launch(path, locate=True):
            warn(f"stlib: no program here shows folders; the file is {path}")


def _print_document(document: StoredDocument, file: str) -> None:
    title = document.title or document.id
    echo_wrapped(title, bold=title)
    echo_rows([("id", document.id), *([("file", file)] if file else [])])
    for field, value in document.metadata.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        echo_wrapped(f"{field}: {shown}", indent="  ", dim=field)
    echo()
    echo_text(document.text)
