"""A value that does not show itself.

Printing, formatting, pickling, copying and encoding as JSON are the ways in which secrets reach logs, reports and
crash dumps; none of them works here. `reveal()` is the one way, and easy to find by search.
"""

from __future__ import annotations

import hmac
from typing import NoReturn

HIDDEN = "<secret>"


class SecretValue:
    """A secret's value; `reveal()` gives it, nothing else does."""

    __slots__ = ("__value",)
    __hash__ = None  # type: ignore[assignment]  # a hash of a short secret tells it; mypy wants a method here

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Returns the value itself. It belongs in no message, no argv and no file outside of the listed ones."""
        return self.__value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(
            self.__value.encode("utf-8", "surrogatepass"), other.__value.encode("utf-8", "surrogatepass")
        )

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __copy__(self) -> NoReturn:
        raise TypeError("a secret is not copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a secret is not copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled")
