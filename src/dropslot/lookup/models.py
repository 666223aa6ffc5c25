"""Tables of folders, as they were loaded."""

from __future__ import annotations

from django.db import models

from dropslot.core.patterns import composed


def label_key(label: str) -> str:
    """A label in the form in which labels are compared: letter case and the form of accents make no difference."""
    return composed(composed(label).casefold())


class FolderTable(models.Model):
    """One file that config.yaml names. `seen` is the SHA-256 of that file when the table was loaded last: it is
    loaded again at start once it differs."""

    name = models.TextField(unique=True)  # relative to the folder of config.yaml where it is beneath it
    seen = models.CharField(max_length=64, blank=True)
    loaded_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "dropslot_folder_table"


class Folder(models.Model):
    """One line: results with this tag and label go into this folder."""

    table = models.ForeignKey(FolderTable, models.CASCADE, related_name="folders", db_index=False)
    base_path = models.TextField(blank=True)
    folder = models.TextField()
    folder_tag = models.TextField()
    label = models.TextField()
    label_key = models.TextField()

    class Meta:
        db_table = "dropslot_folder"
        constraints = (
            models.UniqueConstraint(
                fields=["table", "label_key", "folder_tag", "base_path"], name="dropslot_folder_once"
            ),
        )
