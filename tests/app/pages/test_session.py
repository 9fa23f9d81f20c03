"""Logging out, and the page of documentation, in a real browser."""

import pytest

from tests.app.conftest import Command
from tests.app.pages.test_search_page import browsing
from tests.app.serving import served

pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.encoder]


async def test_people_log_out_and_read_the_documentation(command: Command) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    with served(command.environment) as server:
        async with browsing() as page:
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(f"{server.url}/redoc")
            assert page.url == f"{server.url}/docs"
            await page.locator("#operations-health-healthz_healthz_get, [id*=healthz]").first.click()
            await page.get_by_role("button", name="Try it out").click()
            await page.get_by_role("button", name="Execute", exact=True).click()
            await page.get_by_text('"status": "ok"').first.wait_for()
            assert await page.locator(".opblock").count() > 30
            assert complaints == []

            await page.goto(server.login)
            (cookie,) = await page.context.cookies()
            await page.get_by_role("button", name="Log out").click()
            assert await page.get_by_role("heading").inner_text() == "Please log in"
            assert await page.get_by_role("button", name="Log out").count() == 0
            assert await page.context.cookies() == []
            await page.context.add_cookies([cookie])
            await page.goto(server.url)
            assert "session is over" in (await page.get_by_role("alert").inner_text()).lower()
    assert {one.split("/")[2] for one in asked if one.startswith("http")} == {server.url.split("/")[2]}
