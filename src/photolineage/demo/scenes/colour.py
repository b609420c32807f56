"""Colours as 8-bit RGB triples, and the few operations that scenes need on them."""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import numpy as np

Colour: TypeAlias = tuple[int, int, int]
Stops: TypeAlias = Sequence[tuple[float, Colour]]
T = TypeVar("T")

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def rgb(code: str) -> Colour:
    """The colour of a six-digit hexadecimal code such as `ff8800`."""
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """A colour between two: `share` 0 is the first, 1 the second."""
    red, green, blue = (
        min(255, max(0, round(a + (b - a) * share))) for a, b in zip(first, second, strict=True)
    )
    return red, green, blue


def lighter(colour: Colour, share: float) -> Colour:
    """The colour moved towards white."""
    return mix(colour, WHITE, share)


def darker(colour: Colour, share: float) -> Colour:
    """The colour moved towards black."""
    return mix(colour, BLACK, share)


def varied(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """The colour with each channel moved by a normal deviate of `spread` 8-bit steps."""
    moves = rng.normal(0, spread, 3).tolist()
    red, green, blue = (
        min(255, max(0, round(value + move))) for value, move in zip(colour, moves, strict=True)
    )
    return red, green, blue


def even(*codes: str) -> list[tuple[float, Colour]]:
    """Gradient stops at equal distances from 0 to 1, from hexadecimal codes."""
    return [(index / (len(codes) - 1), rgb(code)) for index, code in enumerate(codes)]


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of the choices, each as likely as another."""
    return choices[int(rng.integers(len(choices)))]
