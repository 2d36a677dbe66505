"""The words of every mail, English and Chinese side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Words:
    """A letter's words in one language; `{...}` are filled in, an empty paragraph falls away.

    A paragraph that is nothing but `{code}` or `{link}` stands alone on its line.
    """

    subject: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: a one-line subject, and the same in text and HTML."""

    subject: str
    text: str
    html: str


GREETING = {"en": "Hello {name},", "zh": "{name}，您好："}
NOT_YOU = {
    "en": "If this wasn't you, tell your administrator at once.",
    "zh": "如果这不是您本人的操作，请立即告知管理员。",
}
FAREWELL = {"en": "{issuer}", "zh": "{issuer}"}
METHODS = {
    "self": {"en": "with a code from the authenticator", "zh": "使用身份验证器的验证码"},
    "recovery_code": {"en": "with a recovery code", "zh": "使用恢复码"},
    "ticket": {"en": "by a support request", "zh": "通过客服工单"},
}
LETTERS: Mapping[str, Mapping[str, Words]] = {
    "code.bind": {
        "en": Words(
            "Your code to set up MFA",
            (
                "Enter this code to set up your authenticator:",
                "{code}",
                "It is valid for 10 minutes, once. Nobody will ever ask you for it.",
                "If you didn't ask for it, you need do nothing.",
            ),
        ),
        "zh": Words(
            "设置 MFA 的验证码",
            (
                "请输入以下验证码来设置身份验证器：",
                "{code}",
                "验证码 10 分钟内有效，仅可使用一次。任何人都不会向您索要它。",
                "如果您没有申请，请忽略本邮件。",
            ),
        ),
    },
    "code.ticket": {
        "en": Words(
            "Your code to ask support to unbind MFA",
            (
                "Enter this code to ask support to unbind MFA:",
                "{code}",
                "It is valid for 10 minutes, once. Nobody will ever ask you for it.",
                "If you didn't ask for it, somebody else may have: tell your administrator.",
            ),
        ),
        "zh": Words(
            "申请解绑 MFA 的验证码",
            (
                "请输入以下验证码，向客服申请解绑 MFA：",
                "{code}",
                "验证码 10 分钟内有效，仅可使用一次。任何人都不会向您索要它。",
                "如果您没有申请，可能是他人所为，请告知管理员。",
            ),
        ),
    },
    "mfa.bound": {
        "en": Words(
            "MFA is bound",
            (
                "An authenticator was set up for your account, and ten recovery codes were made.",
                "Keep the recovery codes in a safe place.",
                NOT_YOU["en"],
            ),
        ),
        "zh": Words(
            "MFA 已绑定",
            (
                "您的账户已绑定身份验证器，并生成了十个恢复码。",
                "请妥善保管恢复码。",
                NOT_YOU["zh"],
            ),
        ),
    },
    "mfa.unbound": {
        "en": Words(
            "MFA was unbound",
            (
                "MFA was unbound for your account {method}.",
                NOT_YOU["en"],
            ),
        ),
        "zh": Words(
            "MFA 已解绑",
            ("您账户的 MFA 已解绑（{method}）。", NOT_YOU["zh"]),
        ),
    },
    "mfa.recovery_code_spent": {
        "en": Words(
            "A recovery code was used",
            (
                "One of your recovery codes was used in place of a code. It cannot be used again.",
                NOT_YOU["en"],
            ),
        ),
        "zh": Words(
            "恢复码已被使用",
            ("您的一个恢复码已代替验证码使用，不能再次使用。", NOT_YOU["zh"]),
        ),
    },
    "mfa.recovery_codes_issued": {
        "en": Words(
            "New recovery codes were made",
            ("Ten new recovery codes were made. The older ones are void.", NOT_YOU["en"]),
        ),
        "zh": Words(
            "已生成新的恢复码",
            ("已生成十个新的恢复码，旧恢复码全部作废。", NOT_YOU["zh"]),
        ),
    },
    "mfa.locked": {
        "en": Words(
            "Codes are refused for a while",
            (
                "Too many wrong codes were entered: none is accepted until {until} (UTC).",
                "Wait. If MFA is bound, use a recovery code, or ask support on the login page.",
                "If it wasn't you, somebody knows your password: change it now.",
            ),
        ),
        "zh": Words(
            "验证码暂时被锁定",
            (
                "您的账户输入错误验证码的次数过多，{until}（UTC）之前不再接受验证码。",
                "请等待。如果 MFA 已绑定，也可使用恢复码登录，或在登录页申请客服解绑。",
                "如果不是您本人操作，说明有人知道您的密码，请立即修改密码。",
            ),
        ),
    },
    "mfa.contact_changed": {
        "en": Words(
            "Your address was changed",
            (
                "Mails about your account now go to another address than this one.",
                NOT_YOU["en"],
            ),
        ),
        "zh": Words(
            "您的邮箱地址已更改",
            ("有关您账户的邮件今后将发送到另一个邮箱地址。", NOT_YOU["zh"]),
        ),
    },
    "ticket.submitted": {
        "en": Words(
            "Your request to unbind MFA",
            (
                "We have your request to unbind MFA: ticket {ticket}.",
                "It waits for an agent of support. What is decided comes by mail to this address.",
                "This wasn't me: cancel",
                "{link}",
            ),
        ),
        "zh": Words(
            "您的 MFA 解绑申请",
            (
                "我们已收到您的 MFA 解绑申请：工单 {ticket}。",
                "工单正等待客服处理，处理结果将发送到此邮箱。",
                "不是我本人：取消申请",
                "{link}",
            ),
        ),
    },
    "ticket.approved": {
        "en": Words(
            "Your request was approved",
            (
                "Your request was approved: MFA is unbound. You can set it up again.",
                "{because}",
                "{reason}",
                NOT_YOU["en"],
            ),
        ),
        "zh": Words(
            "您的申请已批准",
            (
                "您的申请已批准：MFA 已解绑，您可以随时重新设置。",
                "{because}",
                "{reason}",
                NOT_YOU["zh"],
            ),
        ),
    },
    "ticket.rejected": {
        "en": Words(
            "Your request was declined",
            (
                "Your request to unbind MFA was declined. Your authenticator stays as it is.",
                "{because}",
                "{reason}",
            ),
        ),
        "zh": Words(
            "您的申请未获批准",
            ("您的 MFA 解绑申请未获批准，身份验证器保持不变。", "{because}", "{reason}"),
        ),
    },
    "ticket.cancelled": {
        "en": Words(
            "Your request was cancelled",
            ("The request to unbind MFA for your account was cancelled.",),
        ),
        "zh": Words("您的申请已取消", ("您账户的 MFA 解绑申请已取消。",)),
    },
    "workspace.policy_enforced": {
        "en": Words(
            "MFA is now enforced in {workspace}",
            (
                "Members of {workspace} now need MFA.",
                "{grace}",
                "You get this mail because you are an owner.",
            ),
        ),
        "zh": Words(
            "{workspace} 已强制 MFA",
            ("{workspace} 的成员现在必须使用 MFA。", "{grace}", "您是所有者，因此收到本邮件。"),
        ),
    },
    "workspace.policy_lifted": {
        "en": Words(
            "MFA is no longer enforced in {workspace}",
            (
                "Members of {workspace} no longer need MFA.",
                "You get this mail because you are an owner.",
            ),
        ),
        "zh": Words(
            "{workspace} 不再强制 MFA",
            ("{workspace} 的成员不再需要 MFA。", "您是所有者，因此收到本邮件。"),
        ),
    },
}
BECAUSE = {"en": "Support gives this reason:", "zh": "客服给出的理由："}
GRACE = {
    "en": "Those who have none yet may still enter until {until} (UTC).",
    "zh": "尚未设置的成员在 {until}（UTC）之前仍可进入。",
}


def written(name: str, locale: str, values: Mapping[str, str]) -> Letter:
    """Write a letter; values are taken as they are, and escaped in HTML."""
    language = language_of(locale)
    words = LETTERS[name][language]
    whole = (GREETING[language], *words.paragraphs, FAREWELL[language])
    paragraphs = [text for text in (_filled(p, values) for p in whole) if text]
    return Letter(
        subject=" ".join(_filled(words.subject, values).split()),
        text="\n\n".join(paragraphs) + "\n",
        html=_html(paragraphs, values, language),
    )


def language_of(locale: str) -> str:
    """The language of letters to somebody with this locale."""
    return locale if locale in LANGUAGES else "en"


def _filled(text: str, values: Mapping[str, str]) -> str:
    return text.format_map({**dict.fromkeys(("because", "reason", "grace"), ""), **values})


def _html(paragraphs: list[str], values: Mapping[str, str], language: str) -> str:
    body = "\n".join(f"<p>{_marked(p, values)}</p>" for p in paragraphs)
    style = "font:16px/1.6 system-ui,sans-serif;max-width:36em;margin:2em auto;padding:0 1em"
    return (
        f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n'
        f'<body style="{style}">\n{body}\n</body>\n</html>\n'
    )


def _marked(paragraph: str, values: Mapping[str, str]) -> str:
    text = escape(paragraph)
    if paragraph == values.get("code"):
        return f'<strong style="font:600 1.6em/1 monospace;letter-spacing:.15em">{text}</strong>'
    if paragraph == values.get("link"):
        return f'<a href="{text}" rel="noreferrer">{text}</a>'
    return text.replace("\n", "<br>\n")
