"""The portal as a WSGI application, for any server: `DROPSLOT_CONFIG=… gunicorn dropslot.portal.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.portal_settings")
_pages = get_wsgi_application()

from dropslot.portal.indexing import with_index  # noqa: E402 - models can be imported only now

application = with_index(_pages)
