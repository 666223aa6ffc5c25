"""The portal as a WSGI application, for any server: `DROPSLOT_CONFIG=… gunicorn dropslot.portal.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.portal_settings")
application = get_wsgi_application()
