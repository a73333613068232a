"""Numbers as people write large ones: 40M documents, 24G of memory."""

from __future__ import annotations

import math
import re

import click

__all__ = ["BYTES", "COUNT", "POSITIVE"]

_NUMBER = re.compile(r"(\d[\d_,]*(?:\.\d+)?|\.\d+)(?:e(\d{1,2}))?\s*([a-z]*)", re.IGNORECASE)
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_SIZES = {"": 1, "b": 1} | {
    unit: factor
    for power, letter in enumerate("kmgt", 1)
    for unit, factor in ((letter, 1000**power), (f"{letter}b", 1000**power), (f"{letter}ib", 1024**power))
}
_MOST = 10**15


class _Quantity(click.ParamType[float]):
    """A number above 0 with a unit; `whole` ones are rounded."""

    def __init__(self, name: str, units: dict[str, int], example: str, whole: bool = True) -> None:
        self.name, self._units, self._example, self._whole = name, units, example, whole

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        if isinstance(value, (int, float)):
            return value
        found = _NUMBER.fullmatch(str(value).strip())
        if found is None or found[3].lower() not in self._units:
            self.fail(f"{value!r} is no number such as {self._example}", parameter, context)
        number = float(found[1].replace(",", "").replace("_", "")) * 10 ** int(found[2] or 0)
        number *= self._units[found[3].lower()]
        least = 1 if self._whole else 0
        if not (number >= least and number > 0 and math.isfinite(number) and number <= _MOST):
            bound = "1 or more" if self._whole else "more than 0"
            self.fail(f"{value!r} is out of range: {bound}, and at most 1000T", parameter, context)
        return round(number) if self._whole else number


COUNT = _Quantity("NUMBER", _COUNTS, "1500, 1.5k, 40M or 2G")
"""How many: k, M, G and T are powers of a thousand."""
BYTES = _Quantity("BYTES", _SIZES, "512M, 24G or 24GiB")
"""Bytes: 24G are 24,000,000,000, 24GiB are 24 times 1,024 to the third power."""
POSITIVE = _Quantity("NUMBER", _COUNTS, "0.5, 200 or 1.5k", whole=False)
"""A number above 0."""
