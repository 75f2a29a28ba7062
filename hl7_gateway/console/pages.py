"""The gateway's pages on one screen, which the web server finds by an entry point. docs/pages.md"""

from __future__ import annotations

from fhir_server.console.extensions import Extension, MenuEntry
from fhir_server.console.page import Page
from hl7_gateway.console import bulk_page, feeds_page, message_page, messages_page
from hl7_gateway.console.office import FEEDS, MESSAGES

PAGES = (
    Page("messages", "/messages", MESSAGES, messages_page.view, posts=True),
    Page("messages-replay", "/messages/replay", MESSAGES, bulk_page.view, posts=True),
    Page("message", "/messages/<message>", MESSAGES, message_page.view, posts=True),
    Page("feeds", "/feeds", FEEDS, feeds_page.view, posts=True),
    Page("feed", "/feeds/<feed>", FEEDS, feeds_page.view_one),
)

EXTENSION = Extension(
    "hl7_gateway.console",
    PAGES,
    (
        MenuEntry("messages", "Messages", "HL7 v2 messages that have come in: find one, repair it, convert it again."),
        MenuEntry("feeds", "Feeds", "Who sends messages, how many wait or have failed, and what is not taken over."),
    ),
)
