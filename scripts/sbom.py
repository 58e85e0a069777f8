"""Write the bill of materials of the image as CycloneDX 1.6: what the lock files pin, with their hashes.

    python scripts/sbom.py [FILE]        (by default build/sbom.json)

Packages of the core and of the server, as the Dockerfile installs them; licences where a package is
installed here and names one. Hashes are those of all files of a version. Left out: the base image, which has
a bill of its own, and the tools for development.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from packaging.markers import Marker

ROOT = Path(__file__).parents[1]
BUILDING = {"hatchling", "editables"}  # removed from the image
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<marker>.*?))? +--hash")
IMAGE = {
    "python_full_version": "3.13.0", "python_version": "3.13", "sys_platform": "linux",
    "platform_system": "Linux", "os_name": "posix", "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}  # fmt: skip
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def pins(lock: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Each package of a lock file that the image gets: its name, version and the hashes of its files."""
    text = lock.read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        found = PIN.match(line)
        if found and (not found["marker"] or Marker(found["marker"]).evaluate(IMAGE)):
            yield found["name"], found["version"], sorted(HASH.findall(line))


def licences(name: str) -> list[dict[str, Any]]:
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return []
    if expression := about.get("License-Expression"):
        return [{"expression": expression}]
    named = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License ::")]
    return [{"license": {"name": each}} for each in sorted(set(named))]


def component(name: str, version: str, hashes: list[str]) -> dict[str, Any]:
    purl = f"pkg:pypi/{name.lower()}@{version}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    }
    if known := licences(name):
        found["licenses"] = known
    if hashes:
        found["hashes"] = [{"alg": "SHA-256", "content": each} for each in hashes]
    return found


def bill() -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned: dict[str, dict[str, Any]] = {}
    for lock in ("requirements", "requirements-server"):
        for name, version, hashes in pins(ROOT / f"{lock}.lock"):
            if name not in BUILDING:
                pinned.setdefault(name, component(name, version, hashes))
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    licence = [{"expression": project["license"]}]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": own, "name": project["name"],
                "version": project["version"], "purl": own, "licenses": licence,
            }
        },
        "components": [pinned[name] for name in sorted(pinned)],
        "dependencies": [{"ref": own, "dependsOn": sorted(each["bom-ref"] for each in pinned.values())}],
    }  # fmt: skip


def main() -> None:
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "build/sbom.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    made = bill()
    target.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    print(f"{target}: {len(made['components'])} packages, CycloneDX 1.6")


if __name__ == "__main__":
    main()
