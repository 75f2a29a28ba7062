"""The WSGI application, for granian, gunicorn and any other server. https://peps.python.org/pep-3333/"""

from fhir_server.app import create_app
from fhir_server.settings import Settings

app = create_app(Settings.from_env())
