"""Builds the site of the documentation: ``make docs``. Broken links and anchors are errors.

The pages are those that one reads in the repository: ``docs/``, README, CHANGELOG, CONTRIBUTING and SECURITY,
copied to ``build/docs`` with their links turned to where the pages stand on the site. A link to a file of
source code becomes the name of the file, for the site has no address of the repository. Leaves out the site's
looks and its navigation (``zensical.toml``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"

# Pages that stand elsewhere in the repository than on the site.
MOVED = {
    "README.md": "index.md",
    "README.zh-CN.md": "zh/index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}

_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?!https?:|mailto:)(?P<file>[^)#]*)(?P<anchor>#[^)]*)?\)")
_NOT_RUN = re.compile(r"^(```\w+) no-run$", re.MULTILINE)
"""The opening of an example that the tests do not run; the generator would not take it for code."""
_ELSEWHERE = re.compile(r"""<(?:script|link|img|iframe)[^>]*\b(?:src|href)="?(https?:)?//""")


def place_on_site(file: str) -> str | None:
    """The path on the site of a file of the repository; None if the site does not have it."""
    if file in MOVED:
        return MOVED[file]
    return file.removeprefix("docs/") if file.startswith("docs/") else None


def page_for_site(text: str, file: str) -> str:
    """The text of the repository's page ``file`` with the links and openings of code it needs on the site."""
    here = PurePosixPath(place_on_site(file) or file).parent

    def link(found: re.Match[str]) -> str:
        if not found["file"]:
            return found.group()
        target = normpath(f"{PurePosixPath(file).parent}/{found['file']}")
        if not (ROOT / target).exists():
            raise SystemExit(f"{file} links to {found['file']}, which does not exist.")
        place = place_on_site(target)
        if place is None:
            return found["text"]
        return f"[{found['text']}]({relpath(place, here)}{found['anchor'] or ''})"

    return _LINK.sub(link, _NOT_RUN.sub(r"\1", text))


def copy_pages() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    for file in [*MOVED, *(str(page.relative_to(ROOT)) for page in sorted(ROOT.glob("docs/**/*.md")))]:
        target = PAGES / str(place_on_site(file))
        target.write_text(page_for_site((ROOT / file).read_text("utf-8"), file), "utf-8")


def check_site() -> None:
    """Every page is there, and none loads anything from elsewhere when it is read."""
    for page in sorted(PAGES.glob("**/*.md")):
        made = SITE / page.relative_to(PAGES).with_suffix(".html")
        if not made.exists():
            raise SystemExit(f"{made} was not made.")
        if found := _ELSEWHERE.search(made.read_text("utf-8")):
            raise SystemExit(f"{made} loads from elsewhere: {found.group()}")


def main() -> int:
    copy_pages()
    shutil.rmtree(SITE, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=ROOT, check=False
    )
    if done.returncode == 0:
        check_site()
        print(f"The site is in {SITE.relative_to(ROOT)}.")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
