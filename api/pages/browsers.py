"""The browser behind a request: its cookies, the sessions they stand for, and new ones."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Response, g, request

from api.backend import Backend, Session
from api.callers import NOBODY, Caller, of_pass
from commands.check_pass import judge
from commands.live_login import live_login
from commands.ports import Context, Credential, Desk, Pass
from domain.refusals import Unauthenticated

MEMBER, LOGIN = "__Host-twinlock", "__Host-twinlock-login"
"""The cookies: of whoever is signed in or follows a ticket, and of a login under way."""
ABSOLUTE: Final = timedelta(hours=12)
FAMILIES: Final = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
NAMES: Final = {"Edg": "Edge", "OPR": "Opera"}
SYSTEMS: Final = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux")


@dataclass(slots=True)
class Browser:
    """What this request's cookies stand for; `place` is the cookie that the page is about."""

    backend: Backend
    at: datetime
    place: str
    fresh: dict[str, str]

    def token(self, place: str | None = None) -> str:
        """The cookie's token; empty where there is none."""
        place = place or self.place
        return self.fresh[place] if place in self.fresh else request.cookies.get(place, "")

    def session(self, place: str | None = None) -> Session | None:
        """The live session behind the cookie."""
        place = place or self.place
        known: dict[str, Session | None] = g.setdefault("sessions", {})
        if place not in known:
            token = self.token(place)
            known[place] = self.backend.sessions.find(token, self.at) if token else None
        return known[place]

    def caller(self, context: Context) -> Caller:
        """Who that is, as the streams see it now; nobody where the session no longer holds."""
        session = self.session()
        if session is None or session.kind == "requester":
            return NOBODY
        try:
            return _caller(self.backend.desk, context, session)
        except Unauthenticated:
            self.leave()
            return NOBODY

    def csrf(self) -> str:
        """The token that forms carry: of this place's cookie, which is made where there is none."""
        token = self.token()
        if not token:
            token = self.fresh[self.place] = self.backend.desk.chance.token()
        return self._seal(token)

    def knows(self, given: str) -> bool:
        """Whether a form is of the cookie that came with it."""
        token = request.cookies.get(self.place, "")
        return bool(token) and hmac.compare_digest(self._seal(token).encode(), given.encode())

    def enter(self, session: Session, place: str | None = None) -> None:
        """Begin a session under a new token, in place of the cookie's old one."""
        place = place or self.place
        before = self.session(place)
        token = self.backend.desk.chance.token()
        self.backend.sessions.open(session, token, instead_of=before.id if before else None)
        self.fresh[place] = token
        g.setdefault("sessions", {})[place] = session

    def leave(self, place: str | None = None) -> None:
        """End the cookie's session."""
        place = place or self.place
        session = self.session(place)
        if session is not None:
            self.backend.sessions.end(session.id)
        self.fresh[place] = ""
        g.setdefault("sessions", {})[place] = None

    def note(self, **notes: Any) -> None:
        """Remember something with the session; None forgets it."""
        session = self.session()
        assert session is not None
        self.backend.sessions.note(session.id, notes)
        claims = {k: v for k, v in {**session.claims, **notes}.items() if v is not None}
        g.sessions[self.place] = replace(session, claims=claims)

    def noted(self, name: str) -> Any:
        """What was remembered."""
        session = self.session()
        return session.claims.get(name) if session else None

    def put_cookies(self, response: Response) -> None:
        """Tell the browser of new and ended sessions."""
        for place, token in self.fresh.items():
            if token:
                response.set_cookie(place, token, secure=True, httponly=True, samesite="Lax")
            else:
                response.delete_cookie(place, secure=True, httponly=True, samesite="Lax")

    def _seal(self, token: str) -> str:
        key = self.backend.desk.keys.derived("csrf")
        return hmac.new(key, f"{self.place}\x1f{token}".encode(), hashlib.sha256).hexdigest()


def member_session(claims: Pass, at: datetime) -> Session:
    """A session that holds what the pass says."""
    return _session(
        "member",
        claims.member_id,
        {
            "workspace_id": claims.workspace_id,
            "amr": list(claims.amr),
            "epoch": claims.epoch,
            "auth_time": claims.auth_time.isoformat(),
        },
        at,
        min(at + ABSOLUTE, claims.expires_at),
    )


def login_session(login: Credential, at: datetime, **claims: Any) -> Session:
    """A session in the middle of a login."""
    assert login.expires_at is not None
    known = {"login_id": login.subject, **claims}
    return _session("login", login.claims["member_id"], known, at, login.expires_at)


def requester_session(ticket_id: str, member_id: str, at: datetime) -> Session:
    """A session that follows a ticket, and can do nothing else."""
    return _session("requester", member_id, {"tickets": {ticket_id: member_id}}, at, at + ABSOLUTE)


def login_of(desk: Desk, session: Session) -> Credential:
    """The login that the session is in the middle of; raises Unauthenticated once it expired."""
    login = desk.credentials.by_subject("login", session.claims["login_id"])
    if login is None:
        raise Unauthenticated("The login has ended.")
    return login


def _session(
    kind: str, member_id: str, claims: Mapping[str, Any], at: datetime, expires_at: datetime
) -> Session:
    return Session(
        id=secrets.token_hex(12),
        kind=kind,
        member_id=member_id,
        claims=claims,
        label=_label(request.headers.get("User-Agent", "")),
        created_at=at,
        seen_at=at,
        expires_at=expires_at,
    )


def _caller(desk: Desk, context: Context, session: Session) -> Caller:
    if session.kind == "login":
        login = login_of(desk, session)
        live = live_login(desk, context, login)
        return Caller(role="member", member_id=live.member.id, login=live, credential=login)
    assert session.member_id is not None
    claims = Pass(
        member_id=session.member_id,
        workspace_id=session.claims["workspace_id"],
        amr=tuple(session.claims["amr"]),
        epoch=session.claims["epoch"],
        auth_time=datetime.fromisoformat(session.claims["auth_time"]),
        issued_at=session.created_at,
        expires_at=session.expires_at,
        id=session.id,
    )
    return of_pass(desk, judge(claims, context, desk))


def _label(agent: str) -> str:
    """The browser in two words: enough to know it again, and no more."""
    family = next((name for name in FAMILIES if name in agent), "")
    system = next((name for name in SYSTEMS if name in agent), "")
    return " · ".join(filter(None, (NAMES.get(family, family), system)))
