"""A message that could not be converted, repaired in a real browser. docs/hl7.md, "On a page" """

from __future__ import annotations

import asyncio

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from hl7_gateway.problems import Hl7Error
from hl7_gateway.wire.client import Sender
from tests.browser.conftest import Server
from tests.browser.test_apps import press, refused_by_the_browser, sign_in, wait_for_title
from tests.functional.hl7.gateway import message

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def dead(server: Server) -> str:
    """The control id of a message without a number of the patient."""

    async def send() -> str:
        async with asyncio.timeout(90):
            while True:
                async with Sender("127.0.0.1", int(server.settings["MLLP_PORT"])) as sender:
                    try:
                        return (await sender.send(message("LOST", patient="").replace(b"PV1", PID + b"\rPV1"))).code
                    except (OSError, Hl7Error):
                        await asyncio.sleep(0.2)

    assert asyncio.run(send()) == "AE"
    return "LOST"


PID = "PID|1||||GARÇON^ANNE||19610203|F".encode()


def main(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "main").text


def wait_for(browser: Chrome, words: str) -> None:
    """Wait until a page says something; the one before it may go away while it is being read."""
    gone = [StaleElementReferenceException]
    WebDriverWait(browser, 20, ignored_exceptions=gone).until(lambda b: words in main(b))


def opened(browser: Chrome, server: Server, control_id: str) -> None:
    """The page of a message, as somebody finds it."""
    browser.get(f"{server.clinic}/messages")
    sign_in(browser, server, "clinic-admin")
    wait_for_title(browser, "Messages")
    browser.find_element(By.ID, "control_id").send_keys(control_id)
    press(browser, "do", "find")
    wait_for(browser, "Found, the newest first")
    browser.find_element(By.CSS_SELECTOR, "tbody tr:last-child th a").click()
    wait_for_title(browser, "Message ")


def test_nothing_of_a_message_runs_out_of_a_phone(browser: Chrome, server: Server, dead: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    opened(browser, server, dead)
    for page in ("", "messages", "feeds"):
        if page:
            browser.get(f"{server.clinic}/{page}")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360, page


def test_a_message_is_repaired(browser: Chrome, server: Server, dead: str) -> None:
    opened(browser, server, dead)
    wrong = browser.find_element(By.ID, "wrong")
    assert "PID-3" in wrong.text
    assert "an identifier of the patient is required" in wrong.text
    number = browser.current_url.rpartition("/")[2]
    text = browser.find_element(By.ID, "text")
    better = (text.get_attribute("value") or "").replace("PID|1||||", "PID|1||77^^^HOSP^MR||")
    text.clear()
    text.send_keys(better)
    press(browser, "do", "preview")
    wait_for(browser, "What the edited message would change now")
    assert 'name[0].family = "GARÇON"' in main(browser)
    assert browser.current_url.endswith("#preview")
    press(browser, "do", "replay")
    wait_for(browser, f"It corrects message {number}")

    def stored(browser: Chrome) -> bool:
        browser.get(browser.current_url.partition("?")[0])
        return "stored" in browser.find_element(By.TAG_NAME, "h1").text

    WebDriverWait(browser, 30).until(stored)
    assert "Patient/" in browser.find_element(By.CSS_SELECTOR, "[aria-labelledby=made]").text
    browser.back()
    assert refused_by_the_browser(browser) == []
