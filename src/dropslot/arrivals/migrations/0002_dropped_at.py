from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone


def dropped_when_received(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Of earlier arrivals the nearest that is known."""
    arrivals = apps.get_model("dropslot_arrivals", "Arrival").objects.using(schema_editor.connection.alias)
    arrivals.update(dropped_at=models.F("received_at"))


class Migration(migrations.Migration):
    dependencies = [("dropslot_arrivals", "0001_initial")]

    operations = [
        migrations.AddField("arrival", "dropped_at", models.DateTimeField(default=timezone.now)),
        migrations.RunPython(dropped_when_received, migrations.RunPython.noop),
        migrations.RemoveIndex("arrival", "dropslot_arrival_state"),
        migrations.AddIndex(
            "arrival", models.Index(fields=["state", "dropped_at"], name="dropslot_arrival_queue")
        ),
    ]
