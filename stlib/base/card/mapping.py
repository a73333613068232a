"""Facts of a card by key, as the hub's own card data hands them out."""

from __future__ import annotations

from typing import Any

__all__ = ["CardMapping"]


class CardMapping:
    """``data["license"]`` beside ``data.license``; a key without a value counts as missing in :meth:`get`."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a fact, or ``default`` if it is None or there is no such fact."""
        value = self.__dict__.get(key)
        return default if value is None else value

    def pop(self, key: str, default: Any = None) -> Any:
        """Take a fact out and return it."""
        return self.__dict__.pop(key, default)

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.__dict__[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self.__dict__

    def __len__(self) -> int:
        return len(self.__dict__)
