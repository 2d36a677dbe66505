"""What a call's handler is given of a request: path, query and body, each as its model says."""

from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.datastructures import MultiDict

from api.calls import CHANGES, Call
from api.strict_json import StrictRequest
from domain.refusals import Malformed


def arguments_of(call: Call, here: StrictRequest) -> dict[str, Any]:
    """The arguments by name; raises Malformed, which tells nothing of what was sent."""
    found = dict[str, Any]()
    try:
        if call.path is not None:
            found["path"] = call.path.model_validate(here.view_args)
        if call.judged is None:
            _refuse_odd_query(call, here.args)
        if call.query is not None:
            found["query"] = call.query.model_validate(here.args.to_dict())
        if call.body is not None:
            found["body"] = call.body.model_validate(here.get_json())
        elif call.method in CHANGES and here.get_json():
            raise _unknown_field()
    except ValidationError as error:
        _refuse(error)
    return found


def _refuse_odd_query(call: Call, args: MultiDict[str, str]) -> None:
    """A parameter that is not known, or stands twice, is a mistake or worse."""
    if not args:
        return
    fields = call.query.model_fields if call.query else {}
    known = {field.alias or name for name, field in fields.items()}
    for name, values in args.lists():
        if name not in known:
            raise Malformed("The query holds an unknown parameter.")
        if len(values) > 1:
            raise Malformed("The query holds a parameter twice.")


def _refuse(error: ValidationError) -> NoReturn:
    """Name the field that is wrong and say why, and never what it held."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "extra_forbidden":
        raise _unknown_field()
    where = ".".join(map(str, first["loc"])) or "The body"
    raise Malformed(f"{where}: {_what(first)}.") from None


def _what(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "value_error":  # our own words, which hold nothing of the input
            return error["msg"].removeprefix("Value error, ")
    return "has the wrong form"


def _unknown_field() -> Malformed:
    return Malformed("There is a field that is not known.")
