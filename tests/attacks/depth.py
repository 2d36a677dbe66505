"""How long the attacks try: a little in every run of the tests, far more with ATTACKS_DEEP=1."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

DEEP: Final = os.environ.get("ATTACKS_DEEP") == "1"


def tries(quick: int, deep: int, **more: int) -> settings:
    """How many examples hypothesis makes up; it waits for a database, so no example is late."""
    return settings(
        max_examples=deep if DEEP else quick,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        **more,  # type: ignore[arg-type]
    )
