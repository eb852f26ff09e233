"""Reading architectures as people write them: tuples, text, arrays, tensors, columns of a frame."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import nearest, short, to_array

__all__ = ["ReadsArchitectures", "read_number"]

_TOO_LARGE = 2**31 - 1  # what larger numbers are cut to before they are refused
_TUPLE_TEXT = re.compile(r"\s*[(\[]\s*\d+(?:\s*,\s*\d+)*\s*,?\s*[)\]]\s*")


class ReadsArchitectures(ABC):
    """What turns architectures, in any form, into rows of whole numbers.

    A `SearchSpace` is one of these. Whether the numbers are an architecture of the space is for the
    space to say.
    """

    name: str
    operations: tuple[str, ...]
    code_length: int
    first_id: int
    lengths: tuple[int, ...]

    @abstractmethod
    def _parse(self, text: str) -> tuple[int, ...]:
        """As `_read`, of text that is not a written tuple: the benchmark's own spelling."""

    @abstractmethod
    def _example(self) -> tuple[int, ...]:
        """An architecture to show in messages."""

    def _read(self, text: str) -> tuple[int, ...]:
        """The code of one architecture given as text; its values are checked by the caller."""
        if not isinstance(text, str):
            raise ValueError(
                f"{text!r} of type {type(text).__name__} is not text. Pass a string, or use "
                "to_codes for tuples."
            )
        written = self._parse_tuple_text(text)
        return self._parsed(text) if written is None else written

    def _parsed(self, text: str) -> tuple[int, ...]:
        """What `_parse` of the space reads, which must be whole numbers of a right length."""
        code = self._parse(text)
        if not isinstance(code, tuple | list):
            raise ValueError(
                f"{type(self).__name__}._parse({text!r}) returned {short(code)}; it must return "
                f"the tuple of a code, such as {self._example()}, or raise a ValueError."
            )
        if len(code) == self.code_length and set(map(type, code)) <= {int}:
            return tuple(code)
        return self._check_tuple(code)

    def _collect(self, architectures: Any) -> NDArray[np.integer]:
        """Architectures as rows of integers, not yet checked against the rules of the space."""
        items = self._items(architectures)
        if isinstance(items, np.ndarray) and items.ndim == 0:
            raise ValueError(
                f"architectures={architectures!r} is a single number. Pass a list of tuples such "
                f"as [{self._example()}]."
            )
        if len(items) == 0:
            raise ValueError(
                "architectures is empty; at least one is needed. Pass a list of tuples such as "
                f"[{self._example()}]."
            )
        codes = self._as_integers(items)
        if codes is None:  # text, or something that one row must be blamed for
            rows = [self._encode_one(item, row) for row, item in enumerate(items)]
            codes = np.array(rows, dtype=np.int64)
        return codes

    def _items(self, architectures: Any) -> list[Any] | NDArray[Any]:
        """The architectures as a list or an array, from anything that holds several."""
        if isinstance(architectures, str) or self._is_code(architectures):
            one = architectures
            if not isinstance(one, str):
                one = tuple(int(item) for item in architectures)
            raise ValueError(
                f"architectures={one!r} is one architecture; a list of architectures is needed. "
                f"Write [{one!r}]."
            )
        if hasattr(architectures, "__array__"):  # arrays, pandas, and tensors of other libraries
            architectures = to_array("architectures", architectures)
        elif isinstance(architectures, Iterable) and not isinstance(architectures, dict | bytes):
            return list(architectures)
        else:
            raise ValueError(
                f"architectures={short(architectures)} of type {type(architectures).__name__} is "
                f"not a list of architectures. Pass a list of tuples such as [{self._example()}], "
                "of strings, or an integer array."
            )
        if architectures.ndim == 2 and architectures.shape[1] == 1:
            column = architectures[:, 0]
            if len(column) and isinstance(column[0], str | tuple | list):
                return column
        return architectures

    def _is_code(self, architectures: Any) -> bool:
        """Whether what should be several architectures is the code of one."""
        if isinstance(architectures, np.ndarray) and architectures.ndim == 1:
            architectures = list(architectures)
        is_list = isinstance(architectures, list) and len(architectures) in self.lengths
        return (
            (is_list or isinstance(architectures, tuple))
            and len(architectures) > 0
            and all(isinstance(item, int | np.integer) for item in architectures)
        )

    def _as_integers(self, items: Any) -> NDArray[np.integer] | None:
        """The items as one integer array, or None where a row must be looked at alone."""
        if isinstance(items, np.ndarray):
            plain = items.dtype.kind in "iu" and items.ndim == 2
            return items if plain and items.shape[1] == self.code_length else None
        if not set(map(type, items)) <= {tuple, list}:
            return None
        lengths = list(map(len, items))
        if not set(lengths) <= set(self.lengths):
            return None
        if not set(map(type, chain.from_iterable(items))) <= {int}:
            return None
        try:  # bytes is the quickest way from Python integers to an array
            values = np.frombuffer(bytes(chain.from_iterable(items)), dtype=np.uint8)
        except ValueError:  # not in 0 .. 255
            return None
        if len(set(lengths)) == 1 and lengths[0] == self.code_length:
            return values.reshape(-1, self.code_length).astype(np.int16)
        codes = np.full((len(items), self.code_length), -1, dtype=np.int16)
        codes[np.arange(self.code_length) < np.array(lengths)[:, None]] = values
        return codes

    def _encode_one(self, item: Any, row: int) -> tuple[int, ...]:
        try:
            if isinstance(item, str):
                return self._read(item)
            return self._check_tuple(item)
        except ValueError as error:
            raise ValueError(f"architecture {row} = {short(item)}: {error}") from None

    def _check_tuple(self, item: Any) -> tuple[int, ...]:
        """The code of one architecture given as a sequence of numbers, filled up with -1."""
        if isinstance(item, dict | bytes) or not isinstance(item, Iterable):
            raise ValueError(
                f"type {type(item).__name__} is not an architecture. Write a tuple of "
                f"{self.code_length} operation ids such as {self._example()}, or the benchmark's "
                "string."
            )
        values = list(to_array("it", item) if hasattr(item, "__array__") else item)
        if len(values) not in (*self.lengths, self.code_length):
            raise ValueError(
                f"it has {len(values)} entries; {self.name} needs "
                f"{' or '.join(map(str, self.lengths))}, such as {self._example()}."
            )
        code = [self._check_entry(position, value) for position, value in enumerate(values)]
        return tuple(code + [-1] * (self.code_length - len(code)))

    def _check_entry(self, position: int, value: Any) -> int:
        """One entry of a code as an integer; whether it is an id is checked by the caller."""
        if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # a tensor of one number
            value = value.item()
        is_bool = isinstance(value, bool | np.bool_)
        whole = isinstance(value, int | np.integer) and not is_bool
        if not whole and not (isinstance(value, float | np.floating) and value.is_integer()):
            last = self.first_id + len(self.operations) - 1
            remedy = ""
            if isinstance(value, str) and value in self.operations:
                remedy = f" {value!r} has id {self.first_id + self.operations.index(value)}."
            elif isinstance(value, str) and value.strip().isdecimal():
                remedy = f" Write {int(value)} without quotes (.astype(int) for an array)."
            elif is_bool:
                remedy = f" Write {int(value)} if the id is meant (.astype(int) for an array)."
            raise ValueError(
                f"entry {position} is {value!r} of type {type(value).__name__}; it must be a "
                f"whole number, an operation id {self.first_id}..{last}.{remedy}"
            )
        return int(min(max(value, -_TOO_LARGE), _TOO_LARGE))

    def _parse_tuple_text(self, text: str) -> tuple[int, ...] | None:
        """A written tuple such as ``"(4, 0, 3, 1, 4, 3)"``; None if the text is not one."""
        if not _TUPLE_TEXT.fullmatch(text):
            return None
        return self._check_tuple([read_number(digits) for digits in re.findall(r"\d+", text)])

    def _operation_id(self, op: Any, where: str = "") -> int:
        """The id of an operation's name, counted from 0."""
        if op not in self.operations:
            raise ValueError(
                f"{where}operation {op!r} is unknown in {self.name}; it must be one of "
                f"{list(self.operations)}.{nearest(op, self.operations)}"
            )
        return self.operations.index(op)


def read_number(digits: str) -> int:
    """Return the number that some digits write; one far too large is cut to a large one.

    Parameters
    ----------
    digits : str

    Returns
    -------
    int
        At most 2^31 - 1.
    """
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) < 10 else _TOO_LARGE
