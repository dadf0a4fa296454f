"""Pictures of report.html: the standing corpus, really run, on products some of which are broken on purpose.

Usage: report.py FOLDER. Needs chromium, dot and the products (`make products`).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.python.browser import chromium, open_page

REPOSITORY = Path(__file__).resolve().parents[2]
LIES = REPOSITORY / 'tests/corpora/lies'
BROKEN = ('git/merge-takes-ours', 'openssl/forgets-what-it-issued', 'redis/forgets-its-snapshot')
JOURNEY = '#journey-git-conflict-resolved'
WIDE = (1280, 800)


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix='df-', dir='/tmp') as place, chromium() as browser:
        page = run(Path(place)) / 'report.html'
        picture(browser, page, folder / 'report-light.png', 'light')
        picture(browser, page, folder / 'report-dark.png', 'dark')
        picture(browser, page, folder / 'journey-light.png', 'light', JOURNEY)
        picture(browser, page, folder / 'journey-dark.png', 'dark', JOURNEY)
        picture(browser, page, folder / 'chains-light.png', 'light', '#chains')
        picture(browser, page, folder / 'chains-dark.png', 'dark', '#chains')


def run(place: Path) -> Path:
    """The run's folder."""
    products = place / 'a/build'  # where the wrappers find what they stand on, two folders up
    products.mkdir(parents=True)
    shutil.copy(LIES / 'real.bash', place)
    for lie in BROKEN:
        shutil.copytree(LIES / lie, products, dirs_exist_ok=True)
    subprocess.run(
        [REPOSITORY / 'hack/dogfood/dogfood.sh', '--shards=4', '--run-dir=run', '--product-path=a/build', 'journeys'],
        cwd=checkout(place),
        env={**os.environ, 'TMPDIR': str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return place / 'run'


def checkout(place: Path) -> Path:
    """A folder that looks like a project's own."""
    shutil.copytree(REPOSITORY / 'journeys', place / 'journeys')
    return place


def picture(
    browser: Browser, page: Path, path: Path, scheme: str, fragment: str = '', size: tuple[int, int] = WIDE
) -> None:
    with open_page(browser, page, fragment, size=size, color_scheme=scheme) as opened:
        opened.page.wait_for_timeout(500)
        opened.page.evaluate('document.activeElement.blur()')
        opened.page.screenshot(path=path)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
