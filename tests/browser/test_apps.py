"""Apps of the public fhirclient libraries, in a real browser, against the running server.

https://docs.smarthealthit.org/client-js/ and https://github.com/smart-on-fhir/client-py
"""

from __future__ import annotations

import urllib.parse

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.conftest import Server

pytestmark = pytest.mark.browser

SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"


def wait_for_title(browser: Chrome, *titles: str) -> str:
    """The title of the page, once it begins with one of these."""
    WebDriverWait(browser, 20).until(lambda b: b.title.startswith((*titles, "Failed", "Error")), browser.page_source)
    return browser.title


def sign_in(browser: Chrome, server: Server, username: str) -> None:
    """Fill in the sign-in page."""
    assert wait_for_title(browser, "Sign in").startswith("Sign in"), browser.page_source
    browser.find_element(By.ID, "username").send_keys(username)
    browser.find_element(By.ID, "password").send_keys(server.password)
    browser.find_element(By.CSS_SELECTOR, "main form button").click()


def press(browser: Chrome, name: str, value: str) -> None:
    """Press a button of a form."""
    browser.find_element(By.CSS_SELECTOR, f'button[name="{name}"][value="{value}"]').click()


def shown(browser: Chrome) -> dict[str, str]:
    """What the app has written."""
    assert wait_for_title(browser, "Ready") == "Ready", browser.find_element(By.TAG_NAME, "body").text
    return {line.get_attribute("id") or "": line.text for line in browser.find_elements(By.CSS_SELECTOR, "p[id]")}


def refused_by_the_browser(browser: Chrome) -> list[str]:
    """What the pages' own policy has kept from happening."""
    entries = browser.get_log("browser")
    return [entry["message"] for entry in entries if "Content Security Policy" in entry["message"]]


@pytest.fixture(scope="module")
def client_id(server: Server, app: str) -> str:
    """The app, let in by the clinic."""
    return server.command(
        "client", "create", "--tenant", "riverside", "--name", "Growth Chart", "--redirect-uri", f"{app}/index.html",
        "--launch-uri", f"{app}/launch.html",
    )  # fmt: skip


def standalone(app: str, server: Server, client_id: str, scope: str = SCOPE) -> str:
    """Where the app starts by itself."""
    query = {"client": client_id, "scope": scope, "standalone": f"{server.clinic}/fhir"}
    return f"{app}/launch.html?{urllib.parse.urlencode(query)}"


def test_a_patient_opens_the_app(browser: Chrome, server: Server, app: str, client_id: str) -> None:
    browser.get(standalone(app, server, client_id))
    sign_in(browser, server, "patient")
    wait_for_title(browser, "Allow")
    press(browser, "do", "allow")
    told = shown(browser)
    assert told["patient"] == told["refreshed"] == "p001"
    assert told["user"] == "Patient/p001"
    assert int(told["observations"]) > 5
    assert refused_by_the_browser(browser) == []


def test_a_physician_chooses_a_patient_and_narrows_what_the_app_may_see(
    browser: Chrome, server: Server, app: str, client_id: str
) -> None:
    scope = "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs patient/Condition.rs"
    browser.get(standalone(app, server, client_id, scope))
    sign_in(browser, server, "physician")
    wait_for_title(browser, "Choose a patient")
    chosen = browser.find_element(By.CSS_SELECTOR, 'button[name="patient"]')
    patient = chosen.get_attribute("value")
    chosen.click()
    wait_for_title(browser, "Allow")
    some = next(
        field for field in browser.find_elements(By.CSS_SELECTOR, "fieldset.scope")
        if "Measurements" in field.find_element(By.TAG_NAME, "legend").text
    )  # fmt: skip
    some.find_element(By.CSS_SELECTOR, 'input[value="some"]').click()
    for kind in some.find_elements(By.CSS_SELECTOR, ".kinds input"):
        if "laboratory" not in (kind.get_attribute("value") or ""):
            kind.click()
    press(browser, "do", "allow")
    told = shown(browser)
    assert told["patient"] == patient
    assert told["user"] == "Practitioner/amara-okafor"
    categories = [text for text in told["scope"].split() if text.startswith("patient/Observation")]
    assert categories == [
        "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    ]
    assert refused_by_the_browser(browser) == []


def test_who_does_not_allow_it_comes_back_to_the_app(browser: Chrome, server: Server, app: str, client_id: str) -> None:
    browser.get(standalone(app, server, client_id))
    sign_in(browser, server, "patient")
    wait_for_title(browser, "Allow")
    press(browser, "do", "deny")
    assert wait_for_title(browser, "Failed") == "Failed"
    assert "did not allow" in browser.find_element(By.ID, "error").text


def test_the_launcher_opens_the_app(browser: Chrome, server: Server, app: str, client_id: str) -> None:
    browser.get(f"{app}/fhir-client.js")
    browser.execute_script(
        "localStorage.client = arguments[0]; localStorage.scope = arguments[1]",
        client_id, "launch openid fhirUser patient/*.rs",
    )  # fmt: skip
    browser.get(f"{server.clinic}/launcher")
    sign_in(browser, server, "physician")
    wait_for_title(browser, "Open an app")
    browser.find_element(By.CSS_SELECTOR, 'button[name="patient"]').click()
    heading = browser.find_element(By.ID, "start").text
    visits = browser.find_elements(By.CSS_SELECTOR, "#encounter option")
    visits[1].click()
    press(browser, "do", "launch")
    wait_for_title(browser, "Allow")
    press(browser, "do", "allow")
    told = shown(browser)
    assert told["name"] in heading
    assert told["encounter"] != "none"
    assert refused_by_the_browser(browser) == []


def test_launch_url_opens_the_app(browser: Chrome, server: Server, app: str, client_id: str) -> None:
    browser.get(f"{app}/fhir-client.js")
    browser.execute_script(
        "localStorage.client = arguments[0]; localStorage.scope = arguments[1]",
        client_id, "launch openid fhirUser patient/*.rs",
    )  # fmt: skip
    url = server.command(
        "launch-url", "--tenant", "riverside", "--app", f"{app}/launch.html", "--user", "physician", "--patient", "p001"
    )
    browser.get(url)
    sign_in(browser, server, "physician")
    wait_for_title(browser, "Allow")
    press(browser, "do", "allow")
    assert shown(browser)["patient"] == "p001"


def test_the_python_library(browser: Chrome, server: Server, app: str) -> None:
    client = pytest.importorskip("fhirclient.client", reason="make browser installs it")
    redirect = f"{app}/fhir-client.js"
    made = server.command(
        "client", "create", "--tenant", "riverside", "--name", "Python", "--redirect-uri", redirect,
        "--method", "client_secret_basic",
    )  # fmt: skip
    client_id, secret = made.split("\t")
    smart = client.FHIRClient(
        settings={
            "app_id": client_id, "app_secret": secret, "api_base": f"{server.clinic}/fhir", "redirect_uri": redirect,
            "scope": SCOPE,
        }
    )  # fmt: skip
    browser.get(smart.authorize_url)
    sign_in(browser, server, "patient")
    wait_for_title(browser, "Allow")
    press(browser, "do", "allow")
    WebDriverWait(browser, 20).until(lambda b: b.current_url.startswith(redirect))
    smart.handle_callback(browser.current_url)
    assert smart.ready
    assert smart.patient_id == "p001"
    assert smart.patient.id == "p001"
    assert smart.reauthorize()
    patient = pytest.importorskip("fhirclient.models.patient").Patient.read("p001", smart.server)
    assert patient.name[0].family == "López"
