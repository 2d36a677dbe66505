"""What `make run` says when everything is up: where to look, who is who, what to try."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from rich.console import Console
from rich.table import Table


def welcome(facts: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the run's facts, as they stand in var/run.json."""
    console = console or Console()
    console.print(_urls(facts), _people(facts["members"]))
    if "host_app_url" in facts:
        console.print("Everybody's password is twinlock-demo, at the example application too.")
    console.print("Ask whether a member needs a code:")
    # Never wrapped: a line that is copied has to work.
    console.print(f"  {_curl(facts)}", markup=False, highlight=False, soft_wrap=True)
    console.print("A current code of a member who is bound:")
    console.print(f"  {_code(facts['members'])}", markup=False, highlight=False, soft_wrap=True)
    console.print("All of this, and one token per role, is in var/run.json. Ctrl-C stops it.")


def _urls(facts: Mapping[str, Any]) -> Table:
    table = Table("What", "Where", title="Twinlock runs", title_justify="left")
    rows = {
        **({"Example application": f"{facts['host_app_url']}/"} if "host_app_url" in facts else {}),
        "Demonstration": f"{facts['base_url']}/",
        "API reference": f"{facts['base_url']}/docs",
        "Mailbox": f"{facts['mailbox_url']}/",
        "Event log": facts["kafka"] or "embedded, in PostgreSQL",
        "Log files": "var/log/",
    }
    for what, where in rows.items():
        table.add_row(what, where)
    return table


def _people(members: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("Member", "Address", "Role", "MFA")
    for member in members:
        bound = "bound" if member["bound"] else "not bound"
        table.add_row(member["member_id"], member["email"], member["role"], bound)
    return table


def _curl(facts: Mapping[str, Any]) -> str:
    asked = {
        "workspace_id": facts["workspace_id"],
        "member_id": _somebody(facts["members"])["member_id"],
    }
    bearer = f"Authorization: Bearer {facts['tokens']['host']}"
    return f"curl -s -H '{bearer}' '{facts['base_url']}/v1/login-checks?{urlencode(asked)}'"


def _code(members: Sequence[Mapping[str, Any]]) -> str:
    return f"bin/twinlock demo code {_somebody(members)['member_id']}"


def _somebody(members: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Choose a member who is bound, if there is one."""
    return next((member for member in members if member["bound"]), members[0])
