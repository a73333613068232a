"""Commands whose questions and ids may begin with a dash: `stlib search notes "-5 degrees"`."""

from __future__ import annotations

import re
from typing import Any

import click

__all__ = ["DashedCommand"]

# Before an argument while it is parsed. No shell can pass one that holds it.
_MARK = "\0"
_NO_OPTION = re.compile(r"-.*\s|-[^\w\s-]|-{1,2}\d", re.DOTALL)


class DashedCommand(click.Command):
    """Takes what has blanks, or a digit after its dashes, for an argument where it is no option of its own.

    A single word (`-rf`, `--force`) cannot be told from a mistyped option; the error says to write `--`
    before it.
    """

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        try:
            rest = super().parse_args(context, self._mark(context, args))
        except click.NoSuchOption as error:
            if error.possibilities:
                raise
            words = " ".join(self.collect_usage_pieces(context)[1:])
            hint = f"where it is none, write two dashes before it: -- {words}"
            raise click.UsageError(f"{error.format_message().rstrip('.')}; {hint}", context) from error
        except click.UsageError as error:
            if _MARK not in error.message:
                raise
            raise click.UsageError(error.message.replace(_MARK, ""), context) from error
        context.params = {name: _unmark(value) for name, value in context.params.items()}
        return [_unmark(arg) for arg in rest]

    def _mark(self, context: click.Context, args: list[str]) -> list[str]:
        options = [one for one in self.get_params(context) if isinstance(one, click.Option)]
        names = {name for one in options for name in (*one.opts, *one.secondary_opts)}
        with_value = {name for one in options if not one.is_flag and not one.count for name in one.opts}
        marked: list[str] = []
        for position, arg in enumerate(args):
            if arg == "--":
                return marked + args[position:]
            is_value = position > 0 and args[position - 1] in with_value
            is_option = arg.partition("=")[0] in names
            marked.append(_MARK + arg if _NO_OPTION.match(arg) and not is_option and not is_value else arg)
        return marked


def _unmark(value: Any) -> Any:
    if isinstance(value, str):
        return value.removeprefix(_MARK)
    return tuple(map(_unmark, value)) if isinstance(value, tuple) else value
