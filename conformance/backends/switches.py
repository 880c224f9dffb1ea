"""Switches of a framework that a loss must leave as they are: it is one of many calls in somebody's training."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Switch:
    """One of them: how it is called, read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]


@contextmanager
def left_as_they_were(switches: Sequence[Switch], misdeeds: list[str]) -> Iterator[None]:
    """Put back what a call has switched, so that the next one is judged for itself, and say what it was."""
    before = [switch.read() for switch in switches]
    try:
        yield
    finally:
        for switch, was in zip(switches, before):
            now = switch.read()
            if now != was:
                misdeeds.append(f"{switch.name}: {now} since the call, was {was}")
                switch.write(was)
