"""The search page in a real browser."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, ViewportSize, async_playwright

from app.http.security import Secret
from tests.app.conftest import Command
from tests.app.serving import served

pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.encoder]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: ViewportSize = {"width": 390, "height": 844}


@asynccontextmanager
async def browsing(size: ViewportSize | None = None) -> AsyncIterator[Page]:
    """A page of a browser of its own, as large as a desktop's where no size is given."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield await (browser.new_page() if size is None else browser.new_page(viewport=size))
        await browser.close()


async def test_log_in_by_the_link_search_and_look(animals: Command, tmp_path: Path) -> None:
    complaints: list[str] = []
    with served(animals.environment) as server:
        async with browsing() as page:
            page.on("console", lambda message: complaints.append(message.text))
            await page.goto(server.url)
            assert await page.get_by_role("heading").inner_text() == "Please log in"
            complaints.clear()
            await page.goto(server.login)
            await page.goto(server.url)
            await page.keyboard.type("a cat on a sofa")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".card")
            assert "ginger cat" in await page.locator(".card").first.inner_text()
            assert {text.lower() for text in await page.locator("mark").all_inner_texts()} >= {"cat", "sofa"}
            assert "cat" not in page.url
            assert await page.locator(".nothing").count() == 0
            shot = await page.screenshot(path=tmp_path / "page.png")
            assert len(shot) > 10_000
            await page.locator(".card h2 a").first.click()
            assert "imported" in await page.locator("dl").inner_text()
            await page.goto(server.url)
            await page.keyboard.type("the wiring diagram of a nuclear reactor")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".card")
            assert "Nothing like that" in await page.locator(".nothing").inner_text()
            await page.goto(server.login)
            assert "used already" in await page.content()
    assert not [text for text in complaints if "401" not in text], complaints


async def test_a_page_of_results_leads_to_the_next(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "cats.jsonl"
    file.write_text("\n".join(json.dumps({"id": str(n), "text": f"cat number {n}"}) for n in range(30)))
    command.json("import", str(file), "--collection", "cats")
    with served(command.environment) as server:
        async with browsing() as page:
            await page.goto(server.login)
            await page.goto(server.url)
            await page.keyboard.type("a cat")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".card")
            seen = await page.locator(".card h2").all_inner_texts()
            await page.get_by_role("button", name="Show more").click()
            await page.get_by_text("6 more images").wait_for()
            seen += await page.locator(".card h2").all_inner_texts()
            assert sorted(seen) == sorted(f"cat number {n}" for n in range(30))
            assert await page.get_by_role("button", name="Show more").count() == 0


async def test_people_choose_where_to_look(command: Command, tmp_path: Path) -> None:
    sign = {"summary": "A quiet street at dusk.", "visible_text": ["STOP", "Main Street"], "objects": [{"name": "car"}]}
    street = {"summary": "A stop sign stands in a street.", "objects": [{"name": "stop sign", "colour": "red"}]}
    file = tmp_path / "signs.jsonl"
    file.write_text("\n".join(json.dumps({"id": str(n), "description": one}) for n, one in enumerate((sign, street))))
    command.json("import", str(file), "--collection", "signs")
    with served(command.environment) as server:
        async with browsing() as page:
            await page.goto(server.login)
            await page.goto(server.url)
            await page.get_by_label("What the image shows").fill("a stop sign")
            await page.get_by_label("Where to look").select_option("in visible text")
            await page.keyboard.press("Enter")
            await page.get_by_text("1 image, the best first in visible text").wait_for()
            assert "quiet street" in await page.locator(".card h2").inner_text()
            assert await page.locator(".told").inner_text() == "STOP"
            assert await page.get_by_label("Where to look").input_value() == "text"
            await page.screenshot(path=tmp_path / "fields.png")
            await page.get_by_label("Where to look").select_option("everywhere")
            await page.get_by_role("button", name="Search").click()
            await page.get_by_text("2 images, the best first").wait_for()
            assert await page.locator(".told").count() == 0
            await page.set_viewport_size(PHONE)
            await page.screenshot(path=tmp_path / "narrow.png")
            assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_a_newcomer_is_told_what_to_do(command: Command) -> None:
    with served(command.environment) as server:
        async with browsing(PHONE) as page:
            await page.goto(server.url)
            assert await page.get_by_role("alert").count() == 0
            answer = await page.goto(f"{server.url}/login?token=guessed")
            assert answer is not None
            assert answer.status == 401
            assert "used already or is too old" in await page.get_by_role("alert").inner_text()
            await page.goto(server.login)
            assert await page.get_by_role("heading").inner_text() == "Nothing here yet"
            assert "wordsight ingest FOLDER" in await page.locator("pre").inner_text()
            assert await page.locator("form.search").count() == 0
            answer = await page.goto(f"{server.url}/images/none/{'0' * 64}")
            assert answer is not None
            assert answer.status == 404
            assert await page.evaluate("document.documentElement.scrollWidth") == 390
            expired = Secret.load(command.home, None).sign_session("person", time.time() - 1)
            (cookie,) = await page.context.cookies()
            await page.context.add_cookies([cookie | {"value": expired}])
            await page.goto(server.url)
            assert await page.get_by_role("heading").inner_text() == "Please log in"
            assert "session is over" in (await page.get_by_role("alert").inner_text()).lower()
