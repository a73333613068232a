"""The whole path on the sample corpus: build it, index it, ask it, open the search page.

    python -m app.demo --corpus DIR [--no-ui]

Run from a checkout, which holds the builder. A second run finds corpus and collection as they should be and
embeds nothing again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import click

from app.cli.failures import run
from app.cli.index import index_with_progress
from app.cli.reading import print_problems, print_summary
from app.cli.search import print_result
from app.cli.terminal import echo, style, warn
from app.cli.ui import serve
from app.settings import DEMO_COLLECTION, EXAMPLE_QUESTIONS, HOME_VARIABLE, Location

__all__ = ["command", "main"]

_BUILDER = Path(__file__).resolve().parents[1] / "data" / "sample" / "build.py"
_QUESTIONS = 3
_ANSWERS = 2


@click.command()
@click.option(
    "--corpus", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where it is built."
)
@click.option("--no-ui", is_flag=True, help="Stop after the answers.")
def command(corpus: Path, no_ui: bool) -> None:
    """Search Python's own standard library by meaning."""
    location = Location.from_environment()
    if build_corpus(corpus):
        drop_collection(location)  # what another Python documented must not stay
    index_corpus(location, corpus)
    answer_questions(location)
    if no_ui:
        home = (
            f"{HOME_VARIABLE}={shlex.quote(os.environ[HOME_VARIABLE])} "
            if HOME_VARIABLE in os.environ
            else ""
        )
        echo(f'Ask on:  {home}.venv/bin/stlib search {DEMO_COLLECTION} "…"')
        return
    serve(location)


def build_corpus(corpus: Path) -> bool:
    """Build the corpus, unless this Python and this builder made it. True if it was built."""
    if not _BUILDER.is_file():
        raise click.ClickException(
            f"the demo builds its corpus with {_BUILDER}, which is missing: run it in a checkout"
        )
    maker = json.dumps({"python": sys.version, "builder": _builder_fingerprint()})
    stamp = corpus / ".made-by.json"
    if (corpus / "corpus.jsonl").is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == maker:
        return False
    echo("Building the sample corpus from the docstrings of this Python …")
    stamp.unlink(missing_ok=True)
    built = subprocess.run([sys.executable, str(_BUILDER), str(corpus)], capture_output=True, text=True)  # noqa: S603
    if built.returncode:
        for line in built.stderr.strip().splitlines():
            warn(line)
        raise click.ClickException("the sample corpus could not be built; why stands above")
    stamp.write_text(maker, encoding="utf-8")
    return True


def _builder_fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(_BUILDER.parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def drop_collection(location: Location) -> None:
    from indexing import Collection

    if DEMO_COLLECTION in Collection.list(**location.arguments()):
        Collection.open(DEMO_COLLECTION, **location.arguments()).drop()


def has_older_model(location: Location) -> bool:
    """Whether the bundled model is another one since the last run."""
    from indexing import Collection
    from indexing.errors import ModelMismatch, UnknownCollection

    try:
        with Collection.open(DEMO_COLLECTION, **location.arguments()) as collection:
            collection.encoder  # noqa: B018 - loading it compares
    except UnknownCollection:
        pass
    except ModelMismatch:
        return True
    return False


def index_corpus(location: Location, corpus: Path) -> None:
    if has_older_model(location):
        drop_collection(location)  # plainer here than reindexing: nobody goes back to it
    summary = index_with_progress(location, DEMO_COLLECTION, [corpus])
    print_summary(summary)
    print_problems(summary)


def answer_questions(location: Location) -> None:
    from indexing import Collection

    with Collection.open(DEMO_COLLECTION, **location.arguments()) as collection:
        for question in EXAMPLE_QUESTIONS[:_QUESTIONS]:
            results = collection.search(question, _ANSWERS)
            echo()
            echo(
                style(f"› {question}", fg="cyan", bold=True) + style(f"   {results.took_ms:.1f} ms", dim=True)
            )
            for number, result in enumerate(results.results, start=1):
                print_result(number, result, lines=2)
    echo()


def main() -> None:
    run(command, "python -m app.demo")


if __name__ == "__main__":
    main()
