from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from dropslot.arrivals.listings.search.index_tables import ALL


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for table in ALL:
        table.create(schema_editor)


def drop(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for table in ALL:
        table.drop(schema_editor)


class Migration(migrations.Migration):
    """The tables of the search index; nothing is in them before the portal runs."""

    dependencies = [("dropslot_arrivals", "0005_uploads")]

    operations = [migrations.RunPython(create, drop)]
