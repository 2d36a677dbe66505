"""A member's second factor: reading it, binding, unbinding and recovery codes."""

from api import answers, guards, past, qr, reading, shown
from api.calls import Answer, Calls
from api.shapes import (
    AsOfQuery,
    BindEmailCodeBody,
    BindingBody,
    CodeBody,
    EnrolmentBody,
    MemberPath,
    ProofBody,
)
from api.visits import Visit
from commands.bind_mfa import BindMFA
from commands.renew_recovery_codes import RenewRecoveryCodes
from commands.revoke_sessions import RevokeSessions
from commands.secrets import Proof
from commands.send_bind_code import SendBindCode
from commands.start_enrolment import StartEnrolment
from commands.unbind_mfa import UnbindMFA
from projections import standing

calls = Calls("Members' MFA")


@calls.get(
    "/v1/members/<member_id>/mfa",
    guard=guards.reads_mfa,
    answers={200: past.AnyMfa},
    reads=standing.KEY,
)
def get_mfa(visit: Visit, path: MemberPath, query: AsOfQuery) -> Answer:
    """Where the member stands, or stood: `as_of` replays the stream up to there."""
    assert visit.member is not None
    if query.as_of is not None:
        return Answer(body=past.mfa(visit, path.member_id, query.as_of))
    member = reading.member_now(visit.backend, visit.member)
    return Answer(body=answers.Mfa.model_validate(shown.mfa_fields(member, visit.at)))


@calls.post(
    "/v1/members/<member_id>/mfa/email-codes",
    guard=guards.in_person("email_code"),
    answers={202: answers.MailedCode},
    refuses=("already-bound", "too-many-requests"),
    expects="login",
)
def send_bind_code(visit: Visit, path: MemberPath, body: BindEmailCodeBody) -> Answer:
    """Mail the code that opens an enrolment to the registered address."""
    sent = visit.run(SendBindCode(member_id=path.member_id))
    shown = answers.MailedCode(
        sent_to=sent.sent_to, expires_at=sent.expires_at, resend_at=sent.resend_at
    )
    return Answer(status=202, body=shown, position=sent.position)


@calls.post(
    "/v1/members/<member_id>/mfa/enrolment",
    guard=guards.in_person("enrolment"),
    answers={201: answers.Enrolment},
    refuses=("already-bound", "code-rejected"),
    expects="login",
)
def start_enrolment(visit: Visit, path: MemberPath, body: EnrolmentBody) -> Answer:
    """Exchange the mailed code for a secret to scan; it is shown this once."""
    opened = visit.run(StartEnrolment(member_id=path.member_id, email_code=body.email_code))
    shown = answers.Enrolment(
        enrolment_id=opened.enrolment_id,
        secret=opened.secret,
        otpauth_uri=opened.otpauth_uri,
        qr_svg=qr.svg(opened.otpauth_uri),
        qr_png=qr.png(opened.otpauth_uri),
        expires_at=opened.expires_at,
    )
    return Answer(status=201, body=shown, position=opened.position)


@calls.post(
    "/v1/members/<member_id>/mfa/binding",
    guard=guards.in_person("binding"),
    answers={201: answers.Bound},
    refuses=("already-bound", "illegal-transition", "locked", "code-rejected"),
    expects="login",
)
def bind_mfa(visit: Visit, path: MemberPath, body: BindingBody) -> Answer:
    """Bind with the first right code; with a login token this grants the login too."""
    assert visit.workspace_id is not None
    login = visit.caller.login
    bound = visit.run(
        BindMFA(
            member_id=path.member_id,
            workspace_id=visit.workspace_id,
            code=body.code,
            enrolment_id=body.enrolment_id,
            login_id=login.id if login else None,
        )
    )
    shown = answers.Bound(
        recovery_codes=list(bound.recovery_codes), pass_=bound.token, expires_in=bound.expires_in
    )
    return Answer(status=201, body=shown, position=bound.position)


@calls.post(
    "/v1/members/<member_id>/mfa/unbinding",
    guard=guards.in_person(None),
    answers={200: answers.Unbound},
    refuses=("not-bound", "locked", "code-rejected"),
)
def unbind_mfa(visit: Visit, path: MemberPath, body: ProofBody) -> Answer:
    """Take the authenticator off with a fresh code or a recovery code."""
    assert visit.workspace_id is not None
    done = visit.run(
        UnbindMFA(member_id=path.member_id, workspace_id=visit.workspace_id, proof=body.proof)
    )
    shown = answers.Unbound(pass_=done.token, expires_in=done.expires_in)
    return Answer(body=shown, position=done.position)


@calls.post(
    "/v1/members/<member_id>/mfa/recovery-codes",
    guard=guards.in_person(None),
    answers={201: answers.RecoveryCodes},
    refuses=("not-bound", "locked", "code-rejected"),
)
def renew_recovery_codes(visit: Visit, path: MemberPath, body: CodeBody) -> Answer:
    """Replace the recovery codes by ten new ones."""
    done = visit.run(RenewRecoveryCodes(member_id=path.member_id, proof=Proof(code=body.code)))
    shown = answers.RecoveryCodes(recovery_codes=list(done.recovery_codes))
    return Answer(status=201, body=shown, position=done.position)


@calls.post(
    "/v1/members/<member_id>/sessions/revocation",
    guard=guards.revokes,
    answers={200: answers.Epoch},
)
def revoke_sessions(visit: Visit, path: MemberPath) -> Answer:
    """End every pass and pending login of the member."""
    done = visit.run(RevokeSessions(member_id=path.member_id))
    return Answer(body=answers.Epoch(epoch=done.epoch), position=done.position)
