"""`stlib mcp`: collections for agents, by the Model Context Protocol."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import click

from app.cli.options import location_options
from app.cli.serve import NEEDED_BY_AGENTS, serve
from app.cli.terminal import echo_json, warn
from app.settings import LOOPBACK, Location

__all__ = ["command"]


@click.command("mcp")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--write", is_flag=True, help="Also offer tools that add and delete documents and judge answers."
)
@click.option("--print-config", is_flag=True, help="Print what a client's settings take, and start nothing.")
@click.option(
    "--http", is_flag=True, help="Serve over HTTP at /mcp, as a part of `stlib serve`, with its keys."
)
@click.option("--port", type=click.IntRange(0, 65535), help="With --http: as of `stlib serve`.")
@click.option("--host", metavar="ADDRESS", help=f"With --http: as of `stlib serve`. Default: {LOOPBACK}.")
@location_options
def command(
    names: tuple[str, ...],
    write: bool,
    print_config: bool,
    http: bool,
    port: int | None,
    host: str | None,
    location: Location,
) -> None:
    """Serve collections to an agent that starts this command and speaks MCP with it; all of them, or those
    that are named. It only reads, without --write.
    """
    if not http and (port is not None or host is not None):
        raise click.UsageError("--port and --host are for --http: add it")
    if importlib.util.find_spec("mcp") is None:
        raise click.ClickException(f"this needs a package that is missing: pip install {NEEDED_BY_AGENTS}")
    if print_config:
        _print_config(names, write, location)
    elif http:
        serve(location, host=host, port=port, mcp="write" if write else "read", mcp_names=names or None)
    else:
        _serve_stdio(names, write, location)


def _serve_stdio(names: tuple[str, ...], write: bool, location: Location) -> None:
    from app.mcp.stdio import serve_stdio

    if sys.stdin.isatty():
        warn("stlib: waiting for a client on stdin, which `stlib mcp --print-config` is for; Ctrl-C stops it")
    serve_stdio(location, frozenset(names) or None, write=write)


def _print_config(names: tuple[str, ...], write: bool, location: Location) -> None:
    """In the form that desktop clients and editors share."""
    program = shutil.which("stlib")
    started = [program] if program else [sys.executable, "-c", "from app.cli import main; main()"]
    settings = {
        "command": started[0],
        "args": [*started[1:], "mcp", *names, *(["--write"] if write else [])],
        "env": location.to_environment(),
    }
    echo_json({"mcpServers": {"stlib": settings}})
