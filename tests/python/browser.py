"""Pages in a real browser: Debian's Chromium, driven by Playwright, with nothing of its own going to any network.

    with chromium() as browser, open_page(browser, path) as page: …

`page.asked` of what `open_page` gives lists every address that was asked for, `page.errors` what went wrong in it.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, sync_playwright

from tests.python.runs import need_commands

OPTIONS = (
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
DESKTOP, PHONE = (1280, 900), (390, 844)


class Opened(NamedTuple):
    page: Page
    asked: list[str]  # addresses
    errors: list[str]  # of scripts, and what the console complains of


@contextmanager
def chromium() -> Iterator[Browser]:
    need_commands('chromium')
    # Its own home: the tests' one is nowhere.
    with tempfile.TemporaryDirectory(prefix='df-') as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which('chromium'), args=[*OPTIONS], env={'HOME': home, 'PATH': '/usr/bin:/bin'}
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Browser, path: Path, fragment: str = '', *, size: tuple[int, int] = DESKTOP, **context: Any
) -> Iterator[Opened]:
    """The page of a file, as `context` (of Playwright's `new_page`) has it."""
    page = browser.new_page(viewport={'width': size[0], 'height': size[1]}, **context)
    opened = Opened(page, [], [])

    def refuse(dialog: Dialog) -> None:
        opened.errors.append(f'dialog: {dialog.message}')
        dialog.dismiss()

    def listen(said: ConsoleMessage) -> None:
        if said.type in ('error', 'warning'):
            opened.errors.append(said.text)

    page.on('request', lambda request: opened.asked.append(request.url))
    page.on('pageerror', lambda error: opened.errors.append(str(error)))
    page.on('console', listen)
    page.on('dialog', refuse)
    try:
        page.goto(f'{path.absolute().as_uri()}{fragment}')
        yield opened
    finally:
        page.close()


def until(page: Page, condition: str, seconds: float = 20.0) -> None:
    """Until the script's condition holds. (Playwright's own way to wait needs `eval`, which our pages forbid.)"""
    last = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < last, f'never came true: {condition}'
        page.wait_for_timeout(10)
