"""Django's admin: accounts, roles, tokens and the folder tables; the audit tables can be read there, and no more.

Only administrators of all routes come in, by their role and not by Django's `is_staff`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.http import urlencode

from dropslot.access import accounts, tokens, withdrawing
from dropslot.access.models import Grant, Token
from dropslot.access.visit_trail import record_rights, visit
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit.models import Event, Receipt
from dropslot.config import current
from dropslot.lookup.models import Folder, FolderTable, label_key

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Model]
else:
    _ModelAdmin = admin.ModelAdmin
_COUNTED = 10_000


class Site(admin.AdminSite):
    """Signs in and out with the portal's own pages."""

    site_header = site_title = "dropslot"
    index_title = "Administration"

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.access.manages_accounts)  # type: ignore[attr-defined]

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        if request.user.is_authenticated:
            raise PermissionDenied
        following = request.GET.get("next", reverse("admin:index"))
        return HttpResponseRedirect(f"{reverse('account_login')}?{urlencode({'next': following})}")

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:  # noqa: ARG002
        return redirect("account_logout")

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:  # noqa: ARG002
        return redirect("account_change_password")


site = Site()
Delivery._meta.verbose_name_plural = "deliveries"  # where Django would write Deliverys


class _UpTo(Paginator):  # type: ignore[type-arg]
    """Counts no further than _COUNTED rows: there may be millions."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.values_list("pk")[:_COUNTED])


class _Managed(_ModelAdmin):
    """Who comes in may do what the class allows; `is_staff` and Django's permissions do not matter."""

    paginator = _UpTo
    show_full_result_count = False
    actions: Any = None
    can_add = can_change = can_delete = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return site.has_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.can_add and site.has_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return self.can_change and site.has_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return self.can_delete and site.has_permission(request)


@admin.register(get_user_model(), site=site)
class Accounts(_Managed):
    """Names stay: the trail and the arrivals have them. Passwords and deactivation are on the page Users."""

    can_add = can_change = True
    list_display = ("username", "email", "is_active", "last_login")
    search_fields = ("username__icontains", "email__icontains")
    ordering = ("username",)
    fields = ("username", "email", "first_name", "last_name", "is_active", "last_login")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002
        return ("is_active", "last_login", *(("username",) if obj else ()))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        what = f"account changed: {', '.join(form.changed_data)}" if change else "account made"
        record_rights(visit(request), obj.get_username(), what)


class _GrantForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Grant
        fields = ("user", "role", "route", "folder", "field", "value")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        study = f"{given['field']}={given['value']}" if given["field"] else given["value"]
        few = [(text,) if text else () for text in (given["route"], given["folder"], study)]
        wanted = accounts.Wanted("", (given["role"],), few[0], few[1], few[2])
        try:
            meant = accounts.grants_of(current(), wanted)
        except accounts.BadAccount as error:
            raise ValidationError(str(error)) from error
        return {**given, "folder": "", "field": "", "value": "", **meant[0]}


@admin.register(Grant, site=site)
class Grants(_Managed):
    """Roles are given and taken away, never changed."""

    can_add = can_delete = True
    form = _GrantForm
    list_display = ("user", "role", "route", "folder", "field", "value", "made_at")
    list_filter = ("role",)
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("user__username__icontains",)
    ordering = ("id",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        only = [grant.pk for grant in withdrawing.administrators()]
        return super().has_delete_permission(request, obj) and (obj is None or only != [obj.pk])

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        record_rights(visit(request), obj.user.get_username(), f"role added: {obj}")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        withdrawing.take_away([obj], visit(request))


@admin.register(Token, site=site)
class Tokens(_Managed):
    """Without the digest; each account makes its own."""

    list_display = ("id", "user", "name", "scopes", "made_at", "expires_at", "revoked_at", "used_on")
    list_select_related = ("user",)
    search_fields = ("user__username__icontains", "id__exact")
    exclude = ("digest",)
    actions = ("revoke",)

    @admin.action(description="Revoke the selected tokens", permissions=["view"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Token]) -> None:
        """End the chosen tokens at once."""
        count = sum(tokens.revoke(token, visit(request)) for token in chosen)
        self.message_user(request, f"Revoked: {count}")


class _Table(_Managed):
    """A table of folders decides who gets what, so its changes are changes of rights."""

    can_add = can_change = can_delete = True

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        record_rights(visit(request), str(self.table_of(obj)), f"{'changed' if change else 'added'}: {obj}")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        record_rights(visit(request), str(self.table_of(obj)), f"removed: {obj}")
        super().delete_model(request, obj)

    def table_of(self, obj: Any) -> str:
        """The table's name."""
        return str(obj.name)


@admin.register(FolderTable, site=site)
class FolderTables(_Table):
    can_add = can_delete = False
    list_display = ("name", "loaded_at")
    readonly_fields = ("name", "seen", "loaded_at")


@admin.register(Folder, site=site)
class Folders(_Table):
    list_display = ("table", "label", "folder_tag", "folder", "base_path")
    list_select_related = ("table",)
    exclude = ("label_key",)
    search_fields = ("label__icontains", "folder__icontains", "folder_tag__icontains")
    ordering = ("table", "label_key", "folder_tag")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.label_key = label_key(obj.label)
        super().save_model(request, obj, form, change)

    def table_of(self, obj: Any) -> str:
        return str(obj.table.name)


# The audit tables: to look at, by what is indexed.


@admin.register(Event, site=site)
class Events(_Managed):
    list_display = ("seq", "at", "kind", "arrival")
    search_fields = ("arrival__exact",)
    ordering = ("-seq",)


@admin.register(Receipt, site=site)
class Receipts(_Managed):
    list_display = ("arrival",)
    search_fields = ("arrival__exact",)
    ordering = ("-arrival",)


@admin.register(Arrival, site=site)
class Arrivals(_Managed):
    list_display = ("id", "route", "name", "state", "sender", "received_at")
    exclude = ("name_bytes",)
    search_fields = ("id__exact",)
    ordering = ("-id",)


@admin.register(Delivery, site=site)
class Deliveries(_Managed):
    list_display = ("id", "arrival_id", "stored_as", "version", "outcome")
    raw_id_fields = ("arrival", "place")
    search_fields = ("arrival__id__exact",)
    ordering = ("-id",)


@admin.register(Acknowledgment, site=site)
class Acknowledgments(_Managed):
    list_display = ("id", "delivery_id", "user", "at", "undone_at")
    exclude = ("line",)
    raw_id_fields = ("delivery",)
    search_fields = ("id__exact",)
    ordering = ("-id",)
