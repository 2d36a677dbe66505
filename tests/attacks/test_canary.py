"""Marked secrets, hunted through every table, event, log line and later answer."""

import base64
import json
from typing import Any

import structlog
from psycopg import sql
from structlog.testing import capture_logs

from tests.http.installation import Installation, Person


def every_row(here: Installation) -> str:
    """All rows of all tables as text, in both ways of writing bytes."""
    with here.twinlock.database.connection() as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'public'"
            " and table_type = 'BASE TABLE'"
        ).fetchall()
        found = list[str]()
        for output in ("hex", "escape"):
            connection.execute(f"set bytea_output = '{output}'".encode())
            for (name,) in tables:
                query = sql.SQL("select t::text from {} t").format(sql.Identifier(name))
                found += [row[0] for row in connection.execute(query)]
        connection.execute("reset bytea_output")
    assert len(tables) > 8
    return "\n".join(found)


def spellings(secret: str) -> set[str]:
    """A secret as it is, and as other formats would write it."""
    raw = secret.encode()
    found = {secret, raw.hex(), base64.b64encode(raw).decode().rstrip("=")}
    if secret.isalnum() and len(secret) == 32:
        seed = base64.b32decode(secret)
        found |= {seed.hex(), base64.b64encode(seed).decode().rstrip("=")}
    return found


def lived(here: Installation) -> tuple[Person, set[str]]:
    """A member who has used everything once, and every secret of that life."""
    person = here.bound(here.workspace())
    opened = here.login(person)
    path = f"/v1/logins/{opened['login_id']}/code"
    granted = here.post(path, opened["login_token"], {"code": here.code(person)})
    filed = here.ticket(person)
    key = {"Idempotency-Key": f"key-{person.id}"}
    renewed = here.post(
        f"/v1/members/{person.id}/mfa/recovery-codes",
        granted.body["pass"],
        {"code": here.code(person)},
        headers=key,
    )
    assert renewed.status == 201, renewed.text
    secrets = {
        person.secret,
        person.email,
        person.granted,
        granted.body["pass"],
        opened["login_token"],
        opened["page"].rpartition("=")[2],
        filed["ticket_token"],
        *person.recovery_codes,
        *renewed.body["recovery_codes"],
    }
    return person, secrets


def test_no_secret_lies_outside_of_the_vault(here: Installation) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        person, secrets = lived(here)
    later: list[Any] = [
        here.get(f"/v1/members/{person.id}/mfa", "host").text,
        here.get("/v1/audit?limit=500", "auditor").text,
        here.get("/v1/events?limit=500", "analyst").text,
        here.get(f"/v1/workspaces/{person.workspace_id}/coverage", "host").text,
        json.dumps(lines, default=str),
        every_row(here),
    ]
    for text in later:
        for secret in secrets:
            assert not [spelt for spelt in spellings(secret) if spelt in text]
    assert "It fell" not in every_row(here)
