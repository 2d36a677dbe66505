"""What a request asks of the database: statements cost more than anything else it does."""

import threading
from typing import Any

import pytest

from tests.http.installation import Installation
from twinlock.adapters.database import PatientConnection


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first words of each statement that this thread sends, from now on."""
    seen: list[str] = []
    execute, mine = PatientConnection.execute, threading.get_ident()

    def noted(connection: PatientConnection, query: bytes, *given: Any, **more: Any) -> Any:
        if threading.get_ident() == mine:
            seen.append(" ".join(query.decode().split()[:2]))
        return execute(connection, query, *given, **more)

    monkeypatch.setattr(PatientConnection, "execute", noted)
    return seen


def test_a_code_takes_one_statement_to_read_and_one_to_append(
    here: Installation, statements: list[str]
) -> None:
    workspace_id = here.workspace()
    here.enforce(workspace_id)
    person = here.bound(workspace_id)
    here.clock.wait(seconds=60)
    login = here.login(person)
    statements.clear()
    place = f"/v1/logins/{login['login_id']}/code"
    assert here.post(place, login["login_token"], {"code": here.code(person)}).status == 200
    assert statements == ["with login", "with held"]
