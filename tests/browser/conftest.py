"""A running server, an app of others' making, and Chromium. https://www.selenium.dev/documentation/"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver

from tests.functional.running import data_directory, free_port, run, running

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
DRIVER = shutil.which("chromedriver") or ""

LAUNCH = """<!doctype html><meta charset="utf-8"><title>Launching</title><script src="fhir-client.js"></script><script>
const asked = new URLSearchParams(location.search);
FHIR.oauth2.authorize({
  clientId: asked.get("client") || localStorage.client,
  scope: asked.get("scope") || localStorage.scope,
  redirectUri: "index.html",
  iss: asked.get("iss") || asked.get("standalone"),
  pkceMode: "required",
}).catch((error) => { document.title = "Failed"; document.body.append(String(error)); });
</script>"""

INDEX = """<!doctype html><meta charset="utf-8"><title>Waiting</title><script src="fhir-client.js"></script><body>
<script>
const show = (id, text) => {
  const line = document.createElement("p");
  line.id = id;
  line.textContent = text;
  document.body.append(line);
};
FHIR.oauth2.ready().then(async (client) => {
  const patient = await client.patient.read();
  show("patient", patient.id);
  show("name", patient.name[0].family);
  show("user", client.user.fhirUser);
  show("encounter", client.encounter.id || "none");
  show("scope", client.state.tokenResponse.scope);
  const found = await client.patient.request("Observation?_count=5", { pageLimit: 3, flat: true });
  show("observations", found.length);
  if (client.state.tokenResponse.refresh_token) {
    await client.refresh();
    show("refreshed", (await client.patient.read()).id);
  }
  document.title = "Ready";
}).catch((error) => { show("error", String(error)); document.title = "Failed"; });
</script></body>"""


@dataclass(frozen=True)
class Server:
    """The demo clinics, as `make run` starts them."""

    port: int
    password: str
    settings: dict[str, str]

    @property
    def clinic(self) -> str:
        """Where riverside's pages begin."""
        return f"http://localhost:{self.port}/t/riverside"

    def command(self, *words: str) -> str:
        """What a command of the operator's prints."""
        done = run(*words, **self.settings)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with data_directory() as directory:
        port = free_port()
        settings = {"DATA_DIR": str(directory), "PORT": str(port), "MLLP_PORT": str(free_port())}
        with running("up", **settings) as up:
            up.wait_for(lambda: "Bearer" in up.output)
            found = re.search(r"the password of all is (\S+)", up.output)
            assert found
            yield Server(port, found[1], settings)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app made with the fhirclient library, served from another origin than the server."""
    directory = tmp_path_factory.mktemp("app")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / name, directory)
    subprocess.run(["npm", "ci", "--silent", "--ignore-scripts"], cwd=directory, check=True, timeout=180)
    site = directory / "site"
    site.mkdir()
    shutil.copy(directory / "node_modules/fhirclient/build/fhir-client.js", site)
    (site / "launch.html").write_text(LAUNCH)
    (site / "index.html").write_text(INDEX)
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing of it is of interest."""


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium without a window, and without anything that an earlier test has left."""
    if not CHROMIUM or not DRIVER:
        pytest.fail("chromium and chromedriver are needed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,1200"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()
