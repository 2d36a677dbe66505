"""What `make run` prints can be copied and works as it stands."""

import io
import shlex

from rich.console import Console

from twinlock.dev.welcome import welcome

FACTS = {
    "base_url": "http://127.0.0.1:8080",
    "mailbox_url": "http://127.0.0.1:8025",
    "kafka": None,
    "tokens": {"host": "t" * 70},
    "workspace_id": "acme",
    "members": [
        {"member_id": "m1", "email": "m1@example.com", "role": "owner", "bound": False},
        {"member_id": "m2", "email": "m2@example.com", "role": "member", "bound": True},
    ],
}


def printed() -> list[str]:
    out = io.StringIO()
    welcome(FACTS, Console(file=out, width=80))
    return out.getvalue().splitlines()


def test_the_curl_stands_on_one_line_however_narrow_the_window() -> None:
    (curl,) = [line for line in printed() if "curl" in line]
    words = shlex.split(curl)
    assert words[-2] == f"Authorization: Bearer {'t' * 70}"
    assert words[-1].endswith("/v1/login-checks?workspace_id=acme&member_id=m2")


def test_the_code_is_one_of_a_member_who_is_bound() -> None:
    assert "  bin/twinlock demo code m2" in printed()
