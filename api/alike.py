"""Answers about an address take the same time, whether or not somebody is known by it."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

STEP: Final = 0.025
"""Seconds; the work behind such an answer takes a fifth of it."""


@contextmanager
def alike() -> Iterator[None]:
    """Let the block last a whole number of steps, also where it refuses."""
    began = time.perf_counter()
    try:
        yield
    finally:
        taken = time.perf_counter() - began
        time.sleep(math.ceil(taken / STEP) * STEP - taken)
