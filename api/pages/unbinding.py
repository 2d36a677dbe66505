"""Taking the authenticator off and making new recovery codes, each with a fresh code."""

from flask import Response, g, request, url_for
from flask_babel import gettext as _

from api.pages import login, typed
from api.pages.binding import recovery_codes_page
from api.pages.page import Page
from api.pages.settings import signed_in
from api.pages.site import Site
from api.pages.words import APP, RECOVERY, refused
from api.visits import Visit
from commands.renew_recovery_codes import RenewRecoveryCodes
from commands.secrets import Proof
from commands.unbind_mfa import UnbindMFA
from domain.lockout import capped_until
from domain.member_mfa import MemberMFA
from domain.refusals import CodeRejected, Locked, NotBound, Refusal


def add_to(site: Site) -> None:
    """Add the pages."""
    site.get("/settings/mfa/unbind", "unbinding.ask", signed_in, ask)
    site.post("/settings/mfa/unbind", "unbinding.unbind", signed_in, unbind)
    site.get("/settings/mfa/recovery-codes", "recovery_codes.ask", signed_in, ask_to_renew)
    site.post("/settings/mfa/recovery-codes", "recovery_codes.renew", signed_in, renew)


def ask(visit: Visit) -> Page | Response:
    """Name the consequences, and ask for a code and for the will."""
    assert visit.member is not None
    return _form(visit) if visit.member.bound else _nothing_bound()


def unbind(visit: Visit) -> Page | Response:
    """Take it off; what was signed in before is no more."""
    assert visit.member is not None
    assert visit.workspace_id is not None
    proof, wrong = _proof()
    problems = {"code": wrong} if wrong else {}
    if request.form.get("understood") != "yes":
        problems["understood"] = _("Tick that you understand what follows.")
    if proof is None or problems:
        return _form(visit, wrong=problems)
    command = UnbindMFA(member_id=visit.member.id, workspace_id=visit.workspace_id, proof=proof)
    try:
        done = visit.run(command)
    except NotBound:
        return _nothing_bound()
    except (CodeRejected, Locked) as refusal:
        return _form(visit, refusal=refusal)
    if done.token is not None:
        login.enter_with(visit, done.token)
        return Page.elsewhere(url_for("settings.show"), _("MFA is unbound."))
    g.browser.leave()
    return Page.elsewhere(
        url_for("front.page"),
        _("MFA is unbound. The workspace asks for it: log in again to set it up anew."),
    )


def ask_to_renew(visit: Visit) -> Page | Response:
    """Ask for a code."""
    assert visit.member is not None
    return _renewal(visit) if visit.member.bound else _nothing_bound()


def renew(visit: Visit) -> Page | Response:
    """Ten new codes, shown once."""
    assert visit.member is not None
    if _renewed(visit):
        return _renewed_already()
    code, wrong = typed.digits(request.form.get("code", ""))
    if code is None:
        return _renewal(visit, wrong=wrong)
    try:
        done = visit.run(RenewRecoveryCodes(member_id=visit.member.id, proof=Proof(code=code)))
    except NotBound:
        return _nothing_bound()
    except (CodeRejected, Locked) as refusal:
        return _renewed_already() if _renewed(visit) else _renewal(visit, refusal=refusal)
    return recovery_codes_page(visit, done.recovery_codes, fresh=False)


def _proof() -> tuple[Proof | None, str]:
    """A code, or a recovery code where that was asked for."""
    given = request.form.get("code", "")
    if _by_recovery_code():
        code, wrong = typed.recovery_code(given)
        return (Proof(recovery_code=code) if code else None), wrong
    code, wrong = typed.digits(given)
    return (Proof(code=code) if code else None), wrong


def _by_recovery_code() -> bool:
    return request.values.get("with") == "recovery"


def _form(
    visit: Visit, *, wrong: dict[str, str] | None = None, refusal: Refusal | None = None
) -> Page:
    assert visit.member is not None
    recovery = _by_recovery_code()
    return Page(
        "settings/unbind.html",
        rejected=refusal,
        wrong=refused(refusal, RECOVERY if recovery else APP) if refusal else wrong,
        by_recovery_code=recovery,
        understood=request.form.get("understood") == "yes",
        capped_until=capped_until(visit.member.failed_at, visit.at),
    )


def _renewed(visit: Visit) -> bool:
    """Whether the codes are others by now than when the form was shown."""
    assert visit.member is not None
    now = visit.desk.store.load(MemberMFA, visit.member.id)
    return now.bound and now.recovery_set != (request.form.get("replaces") or None)


def _renewed_already() -> Response:
    return Page.elsewhere(
        url_for("recovery_codes.ask"),
        _(
            "New recovery codes were made already. They were shown once, and the older ones are"
            " void: if you did not save them, make new ones."
        ),
    )


def _renewal(visit: Visit, *, wrong: str = "", refusal: Refusal | None = None) -> Page:
    assert visit.member is not None
    return Page(
        "settings/renew.html",
        replaces=visit.member.recovery_set,
        rejected=refusal,
        wrong=refused(refusal) if refusal else wrong,
    )


def _nothing_bound() -> Response:
    return Page.elsewhere(url_for("settings.show"), _("No authenticator is bound."))
