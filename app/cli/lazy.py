"""A click group whose commands are imported when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from app.cli.help import HelpContext

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """Commands by name: the module that defines it as `command`, and one line of help.

    The line of help stands here because `stlib --help` lists every command and should import none.
    """

    context_class = HelpContext

    def __init__(self, *args: Any, commands_at: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commands_at = commands_at

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._commands_at)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self._commands_at:
            return None
        module, _ = self._commands_at[name]
        command: click.Command = import_module(module).command
        for each in (command, *getattr(command, "commands", {}).values()):
            each.context_class = HelpContext
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if name not in self._commands_at and not name.startswith("-"):
            raise click.UsageError(f"no command {name!r}; there are: {', '.join(self._commands_at)}")
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._commands_at.items()])
