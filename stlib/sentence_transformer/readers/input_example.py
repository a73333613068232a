"""One row of training data, as the older ``fit`` takes it."""

from __future__ import annotations

from typing import Any

from stlib.util.lists import refuse_text


class InputExample:
    """Texts that belong together, with a label.

    Args:
        guid: a name for the example; nothing in training reads it.
        texts: one, two or more texts, in the order the loss wants them.
        label: a class (int), a score (float), or a vector. When all labels of a dataset are 0, ``fit`` trains
            without labels.
    """

    def __init__(self, guid: str = "", texts: list[str] | None = None, label: Any = 0) -> None:
        refuse_text(texts=texts)
        self.guid = guid
        self.texts: list[str] = texts if texts is not None else []
        self.label = label

    def __str__(self) -> str:
        return f"<InputExample> label: {self.label}, texts: {'; '.join(map(str, self.texts))}"

    __repr__ = __str__
