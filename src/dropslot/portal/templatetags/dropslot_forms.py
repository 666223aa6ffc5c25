"""`{% fields form %}`: a form's fields in the portal's look, each with its label, hint and errors."""

from __future__ import annotations

from typing import Any

from django import forms, template
from django.forms import BoundField

register = template.Library()


@register.inclusion_tag("dropslot/fields.html")
def fields(form: forms.BaseForm, focus: str = "") -> dict[str, Any]:
    """All fields of a form, and what is wrong with it as a whole. `focus` is the field where people begin."""
    if focus in form.fields:
        form.fields[focus].widget.attrs["autofocus"] = True
    speaking = getattr(form, "speaking", ())  # fields that say themselves when they are needed
    shown = [
        (field, _is_check(field), not field.field.required and field.name not in speaking)
        for field in form.visible_fields()
    ]
    return {"form": form, "shown": shown}


@register.simple_tag
def options(field: BoundField) -> list[Any]:
    """The single controls of a field that is a group of them."""
    field.field.widget.attrs["class"] = "form-check-input"
    return list(field)


@register.simple_tag
def control(field: BoundField) -> str:
    """One field's control; its hint and errors are tied to it."""
    described = [f"{field.auto_id}_error"] if field.errors else []
    described += [f"{field.auto_id}_help"] if field.help_text else []
    attributes: dict[str, str | bool] = {"class": _class(field) + (" is-invalid" if field.errors else "")}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if field.errors:
        attributes["aria-invalid"] = "true"
    return field.as_widget(attrs=attributes)


def _class(field: BoundField) -> str:
    if _is_check(field):
        return "form-check-input"
    return "form-select" if isinstance(field.field.widget, forms.Select) else "form-control"


def _is_check(field: BoundField) -> bool:
    return isinstance(field.field.widget, forms.CheckboxInput)
