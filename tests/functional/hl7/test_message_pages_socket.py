"""A message that comes over MLLP, and somebody who repairs it with a browser: both over real sockets. docs/hl7.md"""

from __future__ import annotations

import asyncio
import http.cookiejar
import re
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape

import pytest
from werkzeug.serving import make_server

from fhir_server.app import FhirServer
from fhir_server.store import hl7_feeds
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.functional.hl7.gateway import Gateway, message
from tests.functional.hl7.ward import Ward
from tests.functional.smart_flow import PASSWORD, Clinic


class Browser:
    """Speaks HTTP and keeps cookies, and nothing else."""

    def __init__(self, base: str) -> None:
        self._base = base
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)
        self.page = ""
        self.url = ""

    def open(self, path: str, **form: str) -> None:
        """GET a page, or send the form of the present one."""
        data = None
        if form:
            token = re.search(r'name="form_token" value="([^"]+)"', self.page)
            assert token is not None
            data = urllib.parse.urlencode(form | {"form_token": token[1]}).encode()
        with self._opener.open(self._base + path, data, timeout=30) as answer:
            self.page, self.url = answer.read().decode(), answer.url
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"


@contextmanager
def listening(app: FhirServer) -> Iterator[str]:
    """The application behind a port; its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_message_without_a_number_is_repaired_from_the_browser(
    app: FhirServer, app_database: Database, tenant: Tenant, capfd: pytest.CaptureFixture[str]
) -> None:
    clinic = Clinic(app, tenant)
    clinic.settings(second_factor=False)
    admin = clinic.person("clinic_admin")
    ward, gateway = Ward(app_database, tenant, port=1), Gateway(app_database, tenant)

    async def send() -> str:
        async with gateway.serving(name="wire"):
            sender = await gateway.connect()
            bad = message("17", "A01", "4711").replace(b"4711^^^HOSP^MR", b"")
            answer = await sender.send(bad)
            return answer.code

    assert asyncio.run(send()) == "AE"
    (dead,) = gateway.found()
    with listening(app) as base:
        browser = Browser(base)
        browser.open(clinic.url("messages"))
        browser.open(clinic.url("sign-in") + "?then=messages", username=admin.username, password=PASSWORD)
        assert f'href="{clinic.url(f"messages/{dead.id}")}"' in browser.page
        browser.open(clinic.url(f"messages/{dead.id}"))
        found = re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', browser.page, re.S)
        assert found is not None
        better = unescape(found[1]).replace("PID|1||", "PID|1||4711^^^HOSP^MR").replace("\n", "\r\n")
        browser.open(clinic.url(f"messages/{dead.id}"), do="preview", text=better)
        assert "name[0].family = &#34;SMITH&#34;" in browser.page
        assert gateway.found()[0].state == "dead"
        browser.open(clinic.url(f"messages/{dead.id}"), do="replay", text=better)
        assert "done=corrected" in browser.url
    # Feeds of a gateway that has ended are paused.
    app_database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "wire", 10, paused=False))
    ward.feeds.refresh(now=True)
    ward.work()
    old, new = gateway.found()
    assert (old.state, new.state) == ("dropped", "stored")
    assert b"4711^^^HOSP^MR" in gateway.whole(new.id).raw
    logged = capfd.readouterr()
    assert "SMITH" not in logged.out + logged.err
    assert "4711^^^HOSP" not in logged.out + logged.err
