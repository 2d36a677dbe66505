"""A snapshot of an older shape would be read as if nothing had happened: the version forbids it."""

import hashlib
from dataclasses import fields
from typing import Any

import pytest

from domain.api_token import ApiToken
from domain.audit_export import AuditExport
from domain.member_mfa import Challenge, Enrolment, MemberMFA
from domain.unbind_ticket import UnbindTicket
from domain.workspace import Workspace

SHAPES = {
    (MemberMFA, Enrolment, Challenge): (3, "f69cf9964f4bf31d"),
    (Workspace,): (1, "372d21b39a71f67b"),
    (UnbindTicket,): (1, "7aaf2bd117a5779a"),
    (ApiToken,): (1, "feed14eeaf915c36"),
    (AuditExport,): (1, "8c2a418b3383a7b4"),
}
"""Whoever changes a shape, or how it is folded, raises its version."""


@pytest.mark.parametrize("kinds", SHAPES, ids=lambda kinds: kinds[0].__name__)
def test_a_shape_has_its_version(kinds: tuple[Any, ...]) -> None:
    said = [(field.name, str(field.type)) for kind in kinds for field in fields(kind)]
    shape = hashlib.sha256(repr(said).encode()).hexdigest()[:16]
    assert (kinds[0].snapshot_version, shape) == SHAPES[kinds]
