"""Structured logs: one JSON object a line on standard error, without secrets."""

import io
import logging
import re
import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, Final, TextIO, cast

import structlog

SECRET: Final = re.compile(r"(?i)password|secret|token|code|authorization|cookie|pass$|key|email")
HIDDEN: Final = "***"
HARMLESS: Final = {"attempts_left", "status_code", "key_id", "kid"}


class StandardError(io.TextIOBase):
    """Standard error as it is at each line: a logger may outlive the one it was made with."""

    def write(self, text: str) -> int:
        """Write to whatever standard error is now."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush it."""
        sys.stderr.flush()


def configure() -> None:
    """Set up structlog for this process, and the standard library's warnings through it."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _one_line_for_an_error,
            mask,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, StandardError())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _one_line_for_an_error,
                mask,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def mask(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide whatever goes by the name of a secret."""
    for name in entry:
        if _tells(name):
            entry[name] = HIDDEN
    return entry


@lru_cache(maxsize=1024)
def _tells(name: str) -> bool:
    """Names come again with every line."""
    return name not in HARMLESS and SECRET.search(name) is not None


def _one_line_for_an_error(
    _: Any, __: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Name the error's type and place instead of its text, which might quote input."""
    info = entry.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if info is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        entry["error"] = type(error).__name__
        entry["at"] = _place(error)
    return entry


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
