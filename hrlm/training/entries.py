"""Entries of a YAML file: each made what its field is annotated with, or refused by its name."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hrlm.errors import ConfigError

T = TypeVar("T")


def make(kind: type[T], values: Any, where: str) -> T:
    """A dataclass from a mapping of its fields.

    Args:
        where: the mapping's place in the file, for messages; empty for the whole of it.

    Raises:
        ConfigError: an entry is unknown, missing or of another kind, named.
    """
    entries = read_entries(kind, values, where)
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in entries and field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{_inside(where)}lacks {field.name!r}: add it")
    return kind(**entries)


def read_entries(kind: type, values: Any, where: str, without: Collection[str] = ()) -> dict[str, Any]:
    """Those fields of a dataclass that a mapping holds, each of its field's type.

    Args:
        where: as of `make`.
        without: fields that a file may not set.

    Raises:
        ConfigError: an entry is unknown or of another kind, named.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'the file'} is {values!r}: give a mapping")
    hints = get_type_hints(kind)
    known = {f.name: hints[f.name] for f in fields(kind) if f.name not in without}
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ConfigError(f"{_inside(where)}unknown entry {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return {name: _converted(value, known[name], _inside(where) + name) for name, value in values.items()}


def _inside(where: str) -> str:
    return where and f"{where}: "


def _converted(value: Any, wanted: Any, what: str) -> Any:
    """`value` as the type `wanted`, which is one of those that configurations are made of."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if wanted is Any or (value is None and types.NoneType in inner):
        return value
    if value is None:
        raise ConfigError(f"{what} is empty: give it a value or leave it out")
    if origin in (Union, types.UnionType):
        kinds = [each for each in inner if each is not types.NoneType]
        own = next((each for each in kinds if isinstance(value, get_origin(each) or each)), kinds[0])
        return _converted(value, own, what)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{what} is {value!r}: give a list, in square brackets")
        return tuple(_converted(each, inner[0], f"{what}, entry {i}") for i, each in enumerate(value, 1))
    if is_dataclass(wanted):
        return make(wanted, value, what)  # type: ignore[arg-type]
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{what} is {value!r}: give a mapping")
        return value
    read, said = READERS[wanted]
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{what} is {value!r}: give {said}") from None


def _number(value: Any) -> float:
    # YAML 1.1 takes 1e-3, which has no point, for text
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _whole_number(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value)
    if not number.is_integer():
        raise ValueError
    return int(number)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    # YAML takes 1.10 for the number 1.1, and no for false: what was written can no longer be told
    if not isinstance(value, str | int | date) or isinstance(value, bool):
        raise TypeError
    return str(value)


def _path(value: Any) -> Path:
    text = _text(value)
    if not text:
        raise ValueError
    return Path(text)


READERS: Mapping[type, tuple[Callable[[Any], Any], str]] = {
    float: (_number, "a number"),
    int: (_whole_number, "a whole number"),
    bool: (_truth, "true or false"),
    str: (_text, "a text, in quotes where it is not plain"),
    Path: (_path, "a file or folder"),
}
