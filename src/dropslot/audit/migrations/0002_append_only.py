"""What was recorded is neither changed nor removed."""

from django.db import migrations

from dropslot.audit import triggers


class Migration(migrations.Migration):
    dependencies = [("dropslot_audit", "0001_initial")]

    operations = [migrations.RunPython(triggers.create, triggers.drop)]
