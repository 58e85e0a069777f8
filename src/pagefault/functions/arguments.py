"""The arguments of a call: read, repaired, validated.

Models write them as JSON, more or less. What can only mean one thing is accepted, with a note to the model;
for the rest the error says what is wrong and what the function takes. Left out: what the function does.
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from pagefault.errors import FunctionError
from pagefault.models.json_text import read_json, repair_json

HEARTBEAT = "request_heartbeat"
FIELD = "of_"  # before a parameter's name: ``json``, ``copy`` or ``_x`` mean something else to pydantic
_WRAPPERS = ("arguments", "parameters", "args", "input")
_THOUGHTS = ("inner_thoughts", "thoughts", "thinking", "reasoning")  # models were trained to put them here


def read(name: str, raw: str, takes: type[BaseModel]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a call's raw arguments as an object, and notes of what was repaired; or ``FunctionError``."""
    required = {str(info.alias): info.is_required() for info in takes.model_fields.values()}
    needed = [parameter for parameter, is_required in required.items() if is_required]
    only = needed[0] if len(needed) == 1 else None
    try:
        whole = read_json(raw or "{}")
    except ValueError:
        return _repaired(name, raw, only)
    if only and isinstance(whole, str | int | float) and not str(whole).strip().startswith("{"):
        return _as_only(only, whole)
    return _unwrapped(parse_arguments(name, raw), required)


def _as_only(parameter: str, value: object) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A bare value as the only parameter that is needed."""
    return {parameter: value}, (f"(The arguments were read as {parameter}.)",)


def _repaired(name: str, raw: str, only: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Arguments that are no JSON: repaired, or the text as the ``only`` parameter that is needed."""
    try:
        values = parse_arguments(name, raw)
    except FunctionError:
        if only is None or raw.strip()[:1] in ("{", "["):
            raise
        return _as_only(only, raw.strip())
    shown = json.dumps(values, ensure_ascii=False)
    return values, (f"(The arguments were no JSON and were read as {shown}.)",)


def _unwrapped(values: dict[str, Any], known: Container[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments themselves, without an object around them and without thoughts among them."""
    for wrapper in _WRAPPERS:
        inner = values.get(wrapper)
        if isinstance(inner, dict) and wrapper not in known:
            return cast("dict[str, Any]", inner), (f"(The arguments stood under {wrapper}.)",)
    return {key: value for key, value in values.items() if key in known or key not in _THOUGHTS}, ()


def validate(
    name: str, values: dict[str, Any], takes: type[BaseModel]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments as the function takes them, by parameter, and notes of what was changed for that;
    ``FunctionError`` says what is wrong."""
    optional = {str(info.alias) for info in takes.model_fields.values() if not info.is_required()}
    given = {key: value for key, value in values.items() if value is not None or key not in optional}
    notes: list[str] = []
    try:
        valid = takes.model_validate(given)
    except ValidationError as error:
        listed = _listed(given, error)
        if not listed:
            raise FunctionError(_explain(name, takes, error)) from None
        notes.append(f"({', '.join(listed)} should be a list.)")
        try:
            valid = takes.model_validate(given | listed)
        except ValidationError as still:
            raise FunctionError(_explain(name, takes, still)) from None
    named = {field.removeprefix(FIELD): getattr(valid, field) for field in takes.model_fields}
    return {**named, **(valid.model_extra or {})}, tuple(notes)


def _listed(given: dict[str, Any], error: ValidationError) -> dict[str, list[Any]]:
    """Values that should be lists and are texts, as lists."""
    listed: dict[str, list[Any]] = {}
    for fault in error.errors():
        key = str(fault["loc"][0]) if fault["loc"] else ""
        if fault["type"] == "list_type" and isinstance(given.get(key), str):
            try:
                value = read_json(given[key])
            except ValueError:
                value = [part.strip() for part in given[key].split(",") if part.strip()]
            listed[key] = cast("list[Any]", value) if isinstance(value, list) else [value]
    return listed


def parse_arguments(name: str, raw: str) -> dict[str, Any]:
    """A call's raw arguments as an object; broken JSON is repaired if that gives one."""
    if not raw.strip():
        return {}
    try:
        value = read_json(raw)
    except ValueError:
        value = repair_json(raw)
    if isinstance(value, str):  # arguments encoded twice
        try:
            value = read_json(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise FunctionError(f"The arguments of {name} are not a JSON object; call it again with one.")
    return cast("dict[str, Any]", value)


def wants_heartbeat(raw: str) -> bool:
    """Return whether a call asks for control back at once."""
    try:
        values = parse_arguments("", raw)
    except FunctionError:
        return False
    inner = values.get("arguments")  # of call_function, or wrapped once more
    nested = cast("dict[str, Any]", inner).get(HEARTBEAT) if isinstance(inner, dict) else None
    value = values.get(HEARTBEAT, nested)
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _explain(name: str, takes: type[BaseModel], error: ValidationError) -> str:
    faults: list[str] = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "missing":
            faults.append(f"{where} is missing")
        elif fault["type"] == "extra_forbidden":
            faults.append(f"there is no parameter {where}")
        else:
            faults.append(f"{where}: {fault['msg'][:1].lower()}{fault['msg'][1:]}")
    signature = ", ".join(
        str(info.alias) if info.is_required() else f"{info.alias}={info.default!r}"
        for info in takes.model_fields.values()
    )
    return f"{'; '.join(faults)}. {name} takes ({signature}); call it again."
