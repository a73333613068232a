"""Panics of libraries written in Rust: they derive from BaseException and pass every ``except Exception``."""

from __future__ import annotations

from types import TracebackType

from stlib.errors import ModelConfigError

__all__ = ["TOKENISING", "NamedPanics"]


class NamedPanics:
    """A ``with`` block that turns a panic, or an error without a type, into one that names the model's file.

    May be entered again and by several threads.

    Args:
        source: the file, or what was made of it, that the message begins with.
        doing: what failed, as in "reading a text".

    Raises:
        ModelConfigError: from the panic, at the end of the block.
    """

    def __init__(self, source: object, doing: str) -> None:
        self.source = source
        self.doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Each library makes a class of its own for panics. ``tokenizers`` raises bare Exceptions, too.
        if kind is Exception or (kind is not None and kind.__name__ == "PanicException"):
            reason = " ".join(str(error).split())[:200]
            raise ModelConfigError(
                f"{self.source}: {self.doing} failed ({reason}); it is damaged, get or save the model again"
            ) from error


TOKENISING = NamedPanics("the model's tokenizer", "reading a text")
