"""The page behind the mailed link: a button that cancels a ticket; looking changes nothing."""

import re
from contextlib import suppress
from urllib.parse import parse_qs

from flask import Blueprint, Response, g, request

from api import language
from api.backend import Backend
from api.fields import ID
from api.page_parts import page
from api.strict_json import current
from commands import dispatch
from commands.cancel_ticket import CancelTicket, require_link
from commands.ports import Context
from domain.facts import Actor
from domain.refusals import IllegalTransition, NotFound, Refusal, Unauthenticated, Unavailable
from domain.unbind_ticket import OPEN, UnbindTicket

TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}", re.ASCII)
TEXTS = {
    "en": {
        "ask": (
            "Cancel this request?",
            (
                "Somebody asked to remove the authenticator from your "
                "account. If it was not you, or you found your device again, cancel the request."
            ),
        ),
        "button": "Cancel the request",
        "done": ("The request is cancelled", "Your authenticator stays as it is."),
        "closed": ("The request is closed", "It was decided or cancelled before. Nothing changed."),
        "unknown": (
            "This link does not work",
            "It is incomplete or of another request. Copy it whole out of the newest mail.",
        ),
        "unavailable": (
            "Please try again",
            "It cannot be cancelled at the moment. Wait a little, then open the link again.",
        ),
        "request_id": "Request id",
    },
    "zh": {
        "ask": (
            "要取消此申请吗？",
            (
                "有人申请从您的账户中移除身份验证器。如果不是您本人操作，"
                "或您已找回设备，请取消此申请。"
            ),
        ),
        "button": "取消申请",
        "done": ("申请已取消", "您的身份验证器保持不变。"),
        "closed": ("申请已关闭", "该申请此前已处理或已取消，未作任何更改。"),
        "unknown": ("此链接无效", "链接不完整，或属于另一个申请。请从最新的邮件中完整复制链接。"),
        "unavailable": ("请重试", "暂时无法取消该申请。请稍候再次打开链接。"),
        "request_id": "请求 ID",
    },
}


def pages(backend: Backend) -> Blueprint:
    """The page for each ticket."""
    pages = Blueprint("cancel", __name__)

    @pages.get("/tickets/<ticket_id>/cancel")
    def ask(ticket_id: str) -> Response:
        token = request.args.get("token", "")
        try:
            ticket = _ticket(backend, ticket_id, token)
        except Refusal as refusal:
            return _refused(refusal)
        return _say("ask", token=token) if ticket.status in OPEN else _say("closed")

    @pages.post("/tickets/<ticket_id>/cancel")
    def cancel(ticket_id: str) -> Response:
        try:
            token = _given_token()
            ticket = _ticket(backend, ticket_id, token)
            command = CancelTicket(ticket_id=ticket.id, link_token=token)
            dispatch.run(command, _context(backend, ticket), backend.desk)
        except Refusal as refusal:
            return _refused(refusal)
        return _say("done")

    return pages


def _ticket(backend: Backend, ticket_id: str, token: str) -> UnbindTicket:
    """The ticket that the link is of; raises Unauthenticated or NotFound."""
    if not ID.fullmatch(ticket_id) or not TOKEN.fullmatch(token):
        raise NotFound
    require_link(backend.desk, ticket_id, token)
    ticket = backend.desk.store.load(UnbindTicket, ticket_id)
    if not ticket.status:
        raise NotFound
    return ticket


def _context(backend: Backend, ticket: UnbindTicket) -> Context:
    """The link came to the member's mailbox."""
    return Context(
        at=backend.clock(),
        actor=Actor("member", ticket.member_id),
        request_id=g.request_id,
        workspace_id=ticket.workspace_id,
    )


def _given_token() -> str:
    with suppress(ValueError):  # of too many fields
        form = parse_qs(current().body().decode("ascii", "replace"), max_num_fields=4)
        return form.get("token", [""])[0]
    return ""


def _refused(refusal: Refusal) -> Response:
    match refusal:
        case IllegalTransition():
            return _say("closed", 409)
        case Unavailable():
            return _say("unavailable", 503)
        case NotFound() | Unauthenticated():
            return _say("unknown", 404)
    return _say("unknown", 422)


def _say(what: str, status: int = 200, token: str | None = None) -> Response:
    chosen = language.chosen()
    words = TEXTS[chosen]
    heading, text = words[what]
    response = page(
        "cancel.html",
        status,
        language=language.TAGS[chosen],
        heading=heading,
        text=text,
        token=token,
        words=words,
        request_id=g.request_id if status != 200 else None,
    )
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response
