"""The pages in a real browser: a passkey, a keyboard, and a phone's width. docs/pages.md"""

from __future__ import annotations

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.conftest import Server
from tests.browser.test_apps import press, refused_by_the_browser, sign_in, wait_for_title

pytestmark = pytest.mark.browser


def test_a_passkey_is_set_up_and_asked_for(browser: Chrome, server: Server) -> None:
    options = VirtualAuthenticatorOptions(protocol="ctap2", transport="internal")
    options.has_user_verification = options.is_user_verified = True
    browser.add_virtual_authenticator(options)
    browser.get(f"{server.clinic}/account/second-factor")
    sign_in(browser, server, "staff")
    WebDriverWait(browser, 20).until(lambda b: not b.title.startswith("Sign in"))
    browser.get(f"{server.clinic}/account/second-factor")
    wait_for_title(browser, "Set up")
    browser.find_element(By.CSS_SELECTOR, "[data-passkey] button").click()
    wait_for_title(browser, "Your recovery codes")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".codes li")) == 10
    browser.get(f"{server.clinic}/sign-out")
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    # What is asked for while the form is on its way would be passed over for its answer.
    WebDriverWait(browser, 20).until(lambda b: "You are signed out" in b.find_element(By.TAG_NAME, "main").text)
    browser.get(f"{server.clinic}/account")
    sign_in(browser, server, "staff")
    wait_for_title(browser, "Confirm")
    browser.find_element(By.CSS_SELECTOR, "[data-passkey] button").click()
    wait_for_title(browser, "My account")
    assert "Passkey" in browser.find_element(By.TAG_NAME, "main").text
    assert refused_by_the_browser(browser) == []


def test_everything_by_keyboard(browser: Chrome, server: Server) -> None:
    browser.get(f"{server.clinic}/account")
    wait_for_title(browser, "Sign in")

    def focused() -> str:
        element = browser.switch_to.active_element
        return element.get_attribute("id") or element.text

    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert focused() == "Skip to the content"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    reached = []
    for _ in range(8):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(focused())
    assert reached.index("username") < reached.index("password") < reached.index("Sign in")
    browser.find_element(By.ID, "username").send_keys("billing", Keys.TAB, server.password, Keys.ENTER)
    wait_for_title(browser, "My account")


def test_a_mistake_is_told_where_it_is(browser: Chrome, server: Server) -> None:
    browser.get(f"{server.clinic}/sign-in")
    browser.find_element(By.ID, "username").send_keys("billing", Keys.TAB, "wrong", Keys.ENTER)
    wait_for_title(browser, "Error: Sign in")
    field = browser.find_element(By.ID, "username")
    described = field.get_attribute("aria-describedby") or ""
    assert field.get_attribute("aria-invalid") == "true"
    assert browser.find_element(By.ID, described.split()[-1]).is_displayed()
    assert browser.find_element(By.CSS_SELECTOR, "[role=alert]").is_displayed()


@pytest.mark.parametrize("page", ["sign-in", "account", "launcher", "people", "clients"])
def test_nothing_runs_out_of_a_phone(browser: Chrome, server: Server, page: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    browser.get(f"{server.clinic}/{page}")
    if page != "sign-in":
        sign_in(browser, server, "clinic-admin")
        WebDriverWait(browser, 20).until(lambda b: not b.title.startswith("Sign in"))
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= 360


def test_the_administrator_adds_a_person(browser: Chrome, server: Server) -> None:
    browser.get(f"{server.clinic}/people")
    sign_in(browser, server, "clinic-admin")
    wait_for_title(browser, "People")
    browser.find_element(By.ID, "username").send_keys("new.doctor")
    browser.find_element(By.CSS_SELECTOR, 'input[name="role"][value="physician"]').click()
    press(browser, "do", "create")
    wait_for_title(browser, "People")
    assert "The password of new.doctor, once" in browser.find_element(By.TAG_NAME, "main").text
