"""The declaration of what goes into a model or comes out of it."""

import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, cast, dataclass_transform

import msgspec

from assay.contract.fields import Field, Named, read_annotation
from assay.errors import BadInput, near_miss

#: Options of msgspec that make the body differ from the record.
_OTHER_SHAPES = {"rename", "tag", "tag_field", "array_like"}


def _annotations(name: str, namespace: dict[str, Any]) -> dict[str, Any]:
    annotate = namespace.get("__annotate_func__") or namespace.get("__annotate__")  # Python 3.14
    found: dict[str, Any] = dict(annotate(1) if annotate else namespace.get("__annotations__", {}))
    module = sys.modules.get(namespace.get("__module__", ""))
    own = {key: value for key, value in namespace.items() if key not in found}  # a default may hide a type's name
    scope = {**(vars(module) if module else {}), **own}
    return {field: _evaluated(annotation, scope, f"{name}.{field}") for field, annotation in found.items()}


def _evaluated(annotation: Any, scope: dict[str, Any], where: str) -> Any:
    while isinstance(annotation, str):  # a quoted one is a text within a text
        try:
            annotation = eval(annotation, scope)  # noqa: S307 - the user's own source, as Python itself would
        except (NameError, SyntaxError, AttributeError, TypeError) as error:
            raise BadInput(
                f"{where}: can't read {annotation!r}: {error}",
                do="Use only names that the module defines, or remove `from __future__ import annotations`.",
            ) from None
    return annotation


def _refuse_default(name: str, field: Field, default: object) -> None:
    kinds = (int, float) if field.type is float else field.type
    try:
        if default is not None and not isinstance(default, kinds):
            raise TypeError
        msgspec.convert(default, field.wire_type())
    except (msgspec.ValidationError, TypeError):
        raise BadInput(f"{name}.{field.name}: the default {default!r} breaks its own rule: {field.rule}") from None


def _refuse_two_event_times(record: str, declared: Sequence[Field]) -> None:
    named = [field.name for field in declared if field.is_event_time]
    if len(named) > 1:
        raise BadInput(f"{record} has {len(named)} fields as event time: {', '.join(named)}", do="Keep one.")


def _refuse_two_of_a_name(record: str, declared: Sequence[Field]) -> None:
    seen: dict[str, Field] = {}
    for field in declared:
        other = seen.setdefault(field.name, field)
        if other.attribute != field.attribute:
            what = f"{record}: {other.attribute} and {field.attribute} are both called {field.name!r}"
            raise BadInput(what, do="Give one of them another name.")


def _own_fields(record: str, annotations: dict[str, Any], namespace: dict[str, Any]) -> list[Field]:
    """The fields that a class declares itself."""
    found: list[Field] = []
    for name, annotation in annotations.items():
        if getattr(annotation, "__origin__", annotation) is ClassVar:
            continue
        if isinstance(namespace.get(name), Named):
            raise BadInput(
                f"{record}.{name}: field() stands in the annotation",
                do=f"Write {name}: Annotated[TYPE, assay.field(name=...)].",
            )
        field = read_annotation(record, name, annotation, optional=name in namespace)
        if field.optional:
            _refuse_default(record, field, namespace[name])
        found.append(field)
    return found


def _sent_as(declared: Sequence[Field], before: Sequence[Field], namespace: dict[str, Any]) -> dict[str, Any]:
    """The names by which msgspec reads and writes fields that have another one in Python, or had `before` in a base."""
    renamed = {field.attribute for field in (*before, *declared) if field.attribute != field.name}
    return {
        field.attribute: msgspec.field(name=field.name, default=namespace.get(field.attribute, msgspec.NODEFAULT))
        for field in declared
        if field.attribute in renamed
    }


@dataclass_transform(kw_only_default=True, frozen_default=True)
class RecordType(msgspec.StructMeta):
    """Reads the annotations of a record once, when its class is made, and turns them into wire types."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> "RecordType":
        """Make the class; raises `BadInput` for an annotation that can't be a column and an option that renames."""
        for option in _OTHER_SHAPES & options.keys():
            do = "Name single fields with assay.field(name=...)." if option == "rename" else "Leave it out."
            raise BadInput(f"{name}: {option}= is not for a contract", do=do)
        annotations = _annotations(name, namespace)
        own = _own_fields(name, annotations, namespace)
        before = [field for base in bases for field in getattr(base, "__assay_fields__", ())]
        declared = [*(field for field in before if field.attribute not in annotations), *own]
        _refuse_two_of_a_name(name, declared)
        _refuse_two_event_times(name, declared)
        wire = {field.attribute: field.wire_type() for field in own}
        namespace = {**namespace, **_sent_as(own, before, namespace), "__annotations__": {**annotations, **wire}}
        namespace.pop("__annotate_func__", None)
        namespace.pop("__annotate__", None)
        strict: dict[str, Any] = {"kw_only": True, "frozen": True, "forbid_unknown_fields": True}
        try:
            made = cast("RecordType", super().__new__(mcs, name, bases, namespace, **strict | options))
        except (TypeError, ValueError) as error:
            raise BadInput(f"{name} can't be a record: {error}") from None
        made.__assay_fields__ = tuple(declared)
        return made

    __assay_fields__: tuple[Field, ...]


class Record(msgspec.Struct, metaclass=RecordType):
    """Base of a contract: a class whose annotations say what each field may be.

    >>> from typing import Annotated, Literal
    >>> from assay.contract import Key, between
    >>> class Trip(Record):
    ...     trip: Key[str]
    ...     origin: Literal["EWR", "JFK"]
    ...     miles: Annotated[float | None, between(0, 6000, unit="mi")]
    >>> [field.rule for field in fields(Trip)]
    ['a text', 'one of EWR, JFK', 'a number, 0 to 6000 mi, or null']
    """


def fields(record: type[Record]) -> tuple[Field, ...]:
    """The fields of a record class in declared order."""
    return record.__assay_fields__


def field_named(record: type[Record], name: str) -> Field:
    """One field; raises `BadInput`, with the near miss, when there is none of that name."""
    for field in fields(record):
        if field.name == name:
            return field
    known = [field.name for field in fields(record)]
    raise BadInput(f"{record.__name__} has no field {name!r}", f"it has {', '.join(known)}", do=near_miss(name, known))


@lru_cache(maxsize=256)
def key_fields(record: type[Record]) -> tuple[Field, ...]:
    """The fields declared as `Key`, in declared order: together they tell rows apart."""
    return tuple(field for field in fields(record) if field.is_key)


@lru_cache(maxsize=256)
def event_time_field(record: type[Record]) -> Field | None:
    """The field declared as `EventTime`, if any."""
    return next((field for field in fields(record) if field.is_event_time), None)


def need_event_time(record: type[Record]) -> str:
    """The name of the event time field; raises `BadInput` when the record declares none."""
    field = event_time_field(record)
    if field is None:
        raise BadInput(f"{record.__name__} has no event time", do="Declare one field as assay.EventTime.")
    return field.name
