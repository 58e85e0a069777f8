"""What pagefault weighs: CPU seconds to import it and to print ``--help``, and the size of a fresh install.

Times are CPU of a whole process, the interpreter's own start included, medians of several runs after one
that is not counted. The install is what ``make chat`` makes: ``requirements.lock`` and pagefault, not
editable, into a fresh environment; what is counted is pagefault and what it needs to run, not the
installer and the build tools. With ``--install`` only, for it fetches packages.

    python benchmarks/footprint.py [--runs 9] [--install]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import Distribution, distributions
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    ("python -c pass", ["-c", "pass"], None),
    ("import pagefault", ["-c", "import pagefault"], 0.15),
    ("import pagefault; pagefault.Agent", ["-c", "import pagefault; pagefault.Agent"], None),
    ("pagefault --help", ["-c", "from pagefault.cli import main; main()", "--help"], 0.40),
)
MOST_PACKAGES = 45
MOST_MEGABYTES = 260


def cpu_seconds(arguments: list[str], runs: int) -> float:
    """The median CPU time, user and system, of this interpreter run with ``arguments``."""
    taken: list[float] = []
    for _ in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(taken[1:])


def install(environment: Path) -> Path:
    """Install the core into a fresh environment with uv if it is there, else pip; its site-packages."""
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
        pip = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", str(ROOT)], check=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.check_output([str(python), "-c", where], text=True).strip())


def needed(site: Path) -> list[Distribution]:
    """pagefault and what it needs to run: without the build tools and the installer that stand beside."""
    found = {canonicalize_name(each.name): each for each in distributions(path=[str(site)])}
    names = [canonicalize_name("pagefault")]
    for name in names:  # grows while it is walked
        wanted = map(Requirement, found[name].requires or [])
        here = (r.name for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""}))
        names += [n for n in map(canonicalize_name, here) if n in found and n not in names]
    return [found[name] for name in names]


def megabytes(distribution: Distribution) -> float:
    """Size of the files as installed, byte code not counted."""
    paths = (Path(str(distribution.locate_file(file))) for file in distribution.files or [])
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file()) / 1e6


def byte_code(site: Path, packages: Sequence[Distribution]) -> float:
    """MB of the .pyc of all modules, once each has been imported or compiled."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-j0", str(site)], check=False)
    sources = (Path(str(p.locate_file(f))) for p in packages for f in p.files or [] if f.suffix == ".py")
    made = (Path(cache_from_source(str(source))) for source in sources)
    return sum(path.stat().st_size for path in made if path.is_file()) / 1e6


def weigh() -> bool:
    """Print what the core install holds; whether it keeps to the aims."""
    with tempfile.TemporaryDirectory() as scratch:
        site = install(Path(scratch) / "env")
        packages = needed(site)
        sizes = sorted(((megabytes(each), each.name) for each in packages), reverse=True)
        more = byte_code(site, packages)
    total = sum(size for size, _ in sizes)
    print(f"\npackages, pagefault included (aim: {MOST_PACKAGES}){len(packages):>12}")
    print(f"MB without .pyc (aim: {MOST_MEGABYTES}){total:>23.0f}")
    print(f"MB with .pyc{total + more:>36.0f}")
    print("largest: " + ", ".join(f"{name} {size:.0f}" for size, name in sizes[:8]))
    return len(packages) <= MOST_PACKAGES and total <= MOST_MEGABYTES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--install", action="store_true", help="also weigh a fresh install")
    options = parser.parse_args()
    held = True
    print(f"{'CPU s, median':<40}{'s':>8}{'aim':>8}")
    for name, arguments, aim in COMMANDS:
        seconds = cpu_seconds(arguments, options.runs)
        held &= aim is None or seconds <= aim
        print(f"{name:<40}{seconds:>8.3f}{'' if aim is None else format(aim, '.2f'):>8}")
    if options.install:
        held &= weigh()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
