"""The command line: `twinlock`, one line for each failure, exit codes for scripts."""

import typer

from twinlock import (
    cli_audit,
    cli_demo,
    cli_export,
    cli_keys,
    cli_parked,
    cli_processes,
    cli_rebuild,
    cli_replay,
    cli_tokens,
)

EXIT_CODES = """
Exit codes: 0 done; 1 refused, or a check failed; 2 a setting or an argument is missing or wrong;
3 the database is away, not migrated or unfit, or refuses; 4 a file or a topic could not be
finished; 5 nothing is wrong, but not everything could be compared.

Settings are environment variables with the prefix TWINLOCK_. NO_COLOR is honoured.
"""

app = typer.Typer(
    name="twinlock",
    help="Twinlock: the second factor, event-sourced.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",  # or the lines of a docstring would be broken twice
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (
    cli_audit,
    cli_processes,
    cli_tokens,
    cli_demo,
    cli_keys,
    cli_parked,
    cli_replay,
    cli_rebuild,
    cli_export,
):
    part.register(app)


def main() -> None:
    """Run the command line."""
    app(prog_name="twinlock")
