"""Progress where there is no terminal: a line at times, with the rate of the step under way."""

from collections.abc import Iterator

import pytest

from twinlock.outputs import Telling


def test_each_step_has_its_own_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock: Iterator[float] = iter((0.0, 0.0, 100.0, 100.0, 110.0))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    tell = Telling("standing")
    for step, done in (("build", 0), ("build", 1000), ("compare", 0), ("compare", 50)):
        tell(step, done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "standing build: 1,000 of 1,000, 10/s, 0 s left",
        "standing compare: 50 of 1,000, 5/s, 190 s left",
    ]
