"""The pages for messages, asked by those who may not see them. docs/hl7.md, "On a page" """

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_server.app import FhirServer
from fhir_server.console.role_words import GIVEN_BY_CLINICS
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.console.office import number_of
from hl7_gateway.console.pages import PAGES
from tests.functional.hl7.gateway import message
from tests.functional.hl7.message_pages import Screen
from tests.functional.hl7.ward import Ward
from tests.functional.smart_flow import Clinic

SECRET = "Hiddenplace"
LOOKED, COUNTED = {"messages", "messages-replay", "message"}, {"feeds", "feed"}
ALLOWED = {"clinic_admin": LOOKED | COUNTED}
"""Who may see what, said once more apart from the map of roles."""


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    ward = Ward(app_database, tenant, port=1, facility="HOSP")
    ward.keep(message("1", rest=f"NK1|1|{SECRET}^X\r"), message("2", patient="", rest=f"NK1|1|{SECRET}^X\r"))
    ward.work()
    return ward


@pytest.fixture
def clinic(app: FhirServer, tenant: Tenant) -> Clinic:
    clinic = Clinic(app, tenant)
    clinic.settings(second_factor=False)
    return clinic


def paths(ward: Ward) -> dict[str, str]:
    """The paths of the pages, filled in with what is there."""
    (dead,) = ward.found(state="dead")
    return {
        page.name: page.path.lstrip("/").replace("<message>", str(dead.id)).replace("<feed>", str(dead.feed_id))
        for page in PAGES
    }


@pytest.mark.parametrize("role", sorted(GIVEN_BY_CLINICS))
def test_each_page_is_for_those_it_is_for(ward: Ward, clinic: Clinic, role: str) -> None:
    screen = Screen.of(clinic, role)
    allowed = ALLOWED.get(role, set())
    for name, path in paths(ward).items():
        screen.open(path)
        assert screen.status == (200 if name in allowed else 403), name
        if name not in LOOKED & allowed:
            assert SECRET not in screen.html
            assert "EPIC" not in screen.html
    screen.open("home")
    menu = {name for name in ("messages", "feeds") if f'href="{clinic.url(name)}"' in screen.html}
    assert menu == {"messages", "feeds"} & allowed
    refused = {event.reason for event in screen.trail("refused")}
    assert refused == {f"the page {page.name} of the clinic" for page in PAGES if page.name not in allowed}


def test_a_clinic_can_take_messages_from_its_administrators(ward: Ward, clinic: Clinic) -> None:
    screen = Screen.of(clinic, "clinic_admin")
    screen.open("feeds")
    assert "/messages?feed=lab" in screen.html
    clinic.settings(narrowed={"clinic_admin": ["clinic:*:messages"]})
    screen.open("feeds")
    assert "/messages?feed=lab" not in screen.html
    for name, path in paths(ward).items():
        screen.open(path)
        assert screen.status == (200 if name in COUNTED else 403), name
    screen.open("home")
    assert f'href="{clinic.url("messages")}"' not in screen.html
    assert f'href="{clinic.url("feeds")}"' in screen.html


def test_nobody_is_sent_to_sign_in(ward: Ward, clinic: Clinic) -> None:
    for path in paths(ward).values():
        answer = clinic.app.test_client().get(clinic.url(path))
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith(clinic.url("sign-in"))
        assert clinic.app.test_client().post(clinic.url(path), data={"do": "drop"}).status_code in (403, 405)


def test_a_message_of_another_clinic_is_none(
    ward: Ward, clinic: Clinic, app: FhirServer, new_tenant: Callable[[], Tenant]
) -> None:
    elsewhere = Clinic(app, new_tenant())
    elsewhere.settings(second_factor=False)
    screen = Screen.of(elsewhere, "clinic_admin")
    (dead,) = ward.found(state="dead")
    told = []
    for number in (dead.id, 10**15):
        screen.open(f"messages/{number}")
        assert screen.status == 404
        told.append(screen.text)
    assert told[0] == told[1]
    screen.open(f"feeds/{dead.feed_id}")
    assert screen.status == 404
    for do in ("replay", "drop", "preview"):
        screen.post(f"messages/{dead.id}", do=do, reason="mine", text="MSH|^~\\&|X")
        assert screen.status == 404
        screen.post("messages/replay", do=do, reason="mine", message=str(dead.id))
        assert SECRET not in screen.html
        assert "No dead letters were chosen" in screen.text
    screen.open("messages")
    assert screen.numbers == []
    assert [one.state for one in ward.found()] == ["stored", "dead"]
    refused = [event for event in screen.trail("hl7-read") if event.outcome == "4"]
    assert (dead.id,) in {event.messages for event in refused}


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_of_another_site_changes_nothing(ward: Ward, clinic: Clinic, headers: dict[str, str]) -> None:
    """https://owasp.org/www-community/attacks/csrf"""
    screen = Screen.of(clinic, "clinic_admin")
    (dead,) = ward.found(state="dead")
    for path in (f"messages/{dead.id}", "messages/replay", "messages"):
        for do in ("replay", "drop", "preview", "find"):
            form = {"do": do, "reason": "mine", "message": str(dead.id), "form_token": "0" * 64 if headers else ""}
            answer = screen.walk.browser.post(clinic.url(path), data=form, headers=headers)
            assert answer.status_code == 403
            assert SECRET not in answer.text
    assert [one.state for one in ward.found()] == ["stored", "dead"]


def test_what_a_message_says_is_no_markup(ward: Ward, clinic: Clinic) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'{{ 7777*7777 }}</textarea></pre><script>alert(1)</script>"
    ward.keep(
        message("3<b>", patient="", rest=f"NK1|1|{hostile}^X\r{hostile[:3]}|{hostile}\r").replace(
            b"ADT^A01", b"ADT^<i>"
        )
    )
    dead = ward.found()[-1]
    screen = Screen.of(clinic, "clinic_admin")
    for path in (f"messages/{dead.id}", "messages"):
        screen.open(path)
        assert screen.status == 200
        for tag in ("<img", "<script", "<b>", "<i>", "60481729"):
            assert tag not in screen.html.replace(str(dead.id), ""), tag
    assert hostile in screen.field("text") if 'id="text"' in screen.html else True
    screen.press("find", control_id='"><script>')
    assert "<script" not in screen.html


@pytest.mark.parametrize("text", ["", "-1", "1.5", "0x1", "\u0661", "9" * 19, " 1", "1e3"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert number_of(text) is None


def test_what_is_no_number_in_a_path_is_not_found(ward: Ward, clinic: Clinic) -> None:
    screen = Screen.of(clinic, "clinic_admin")
    for path in ("messages/0", "messages/abc", "messages/-1", "messages/99999999999999999999", "feeds/x", "feeds/0"):
        screen.open(path)
        assert screen.status == 404, path
