"""Look the dependencies over: hashes, start-up files, known weaknesses; and list them (SBOM, CycloneDX).

    python tools/audit/audit.py SCRATCH_BIN SBOM_FOLDER

Ends with 0 when all was looked at and well, with 1 when something was found, with 2 when someone who knows
of weaknesses could not be asked.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LOCKS: Final = ROOT / "deploy" / "locks"
SERVICES: Final = ("proxy", "metrics-api", "dashboard")
NODE_FOLDERS: Final = ("frontend", "tools/codegen", "tools/graphiql")
SECONDS: Final = 300
KNOWN_PTH: Final = {
    "distutils-precedence.pth": "setuptools puts its own distutils in place of the standard library's",
    "_virtualenv.pth": "virtualenv mends distutils' configuration",
}
"""Files that run code at every start of Python, and why they may."""
_SKIPPED: Final = "could not be audited"
_UNREACHABLE: Final = re.compile(
    r"(?i)connection|resolve|timed? ?out|service ?unavailable|405|404|ENOTFOUND|ECONN|audit endpoint|proxy"
)


def without_hash(lock: str) -> list[str]:
    """Requirements of a lock that are not pinned by version and hash."""
    requirements = re.findall(r"(?m)^(?=[A-Za-z0-9])((?:[^\n]*\\\n)*[^\n]*)", lock)
    return [each.split()[0] for each in requirements if "==" not in each or "--hash=sha256:" not in each]


def surprising_start_files(site_packages: Path) -> list[str]:
    """Names of `.pth` files that run code, and are not known to."""
    found: list[str] = []
    for file in sorted(site_packages.glob("*.pth")):
        lines = file.read_text(errors="replace").splitlines()
        if any(line.startswith(("import ", "import\t")) for line in lines) and file.name not in KNOWN_PTH:
            found.append(file.name)
    return found


def asked(command: list[str], folder: Path = ROOT) -> tuple[int, str]:
    """A command's exit status and what it said."""
    try:
        done = subprocess.run(  # noqa: S603 - the commands below
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, f"connection: {error}"
    return done.returncode, done.stdout + done.stderr


def verdict(status: int, said: str) -> int:
    """0 well, 1 found something, 2 nobody could be asked."""
    if status == 0:
        return 2 if _SKIPPED in said else 0  # pip-audit passes over what its source does not know
    is_finding = re.search(r"Found \d+ known vulnerabilit|\d+ (?:\w+ severity )?vulnerabilit", said)
    return 2 if is_finding is None and _UNREACHABLE.search(said) else 1


def main(scratch: Path, sbom: Path) -> int:
    worst: list[int] = []

    def tell(what: str, result: int, detail: str = "") -> None:
        worst.append(result)
        word = ("well", "FOUND", "NOT ASKED")[result]
        print(f"{what}: {word}")  # noqa: T201 - a command talks
        if result and detail:
            print("  " + "\n  ".join(detail.strip().splitlines()[-12:]))  # noqa: T201 - it speaks by printing

    for lock in sorted(LOCKS.glob("*.txt")):
        loose = without_hash(lock.read_text())
        tell(f"{lock.name}: pinned by version and hash", int(bool(loose)), "\n".join(loose))
    for site_packages in ROOT.glob(".venv/lib/python*/site-packages"):
        files = surprising_start_files(site_packages)
        tell("start-up files (.pth) of installed packages", int(bool(files)), "\n".join(files))
    for service in SERVICES:
        lock = LOCKS / f"{service}.txt"
        audit = [str(scratch / "pip-audit"), "--progress-spinner=off", "--disable-pip", "--require-hashes"]
        status, said = asked([*audit, "-r", str(lock)])
        if verdict(status, said) == 2:  # noqa: PLR2004 - PyPI does not know; OSV may
            status, said = asked([*audit, "-s", "osv", "-r", str(lock)])
        tell(f"{service}: known weaknesses (pip-audit)", verdict(status, said), said)
        sbom.mkdir(parents=True, exist_ok=True)
        target = sbom / f"{service}.cdx.json"
        status, said = asked(
            [str(scratch / "cyclonedx-py"), "requirements", str(lock), "--output-file", str(target)]
        )
        tell(f"{service}: listed in {target.relative_to(ROOT)}", int(status != 0), said)
    for folder in NODE_FOLDERS:
        status, said = asked(["npm", "audit", "--audit-level=low"], ROOT / folder)
        tell(f"{folder}: known weaknesses (npm audit)", verdict(status, said), said)
    if 2 in worst:  # noqa: PLR2004 - as above
        print("Who knows of weaknesses (pypi.org, api.osv.dev, the npm registry) cannot be asked from here.")  # noqa: T201 - it speaks by printing
    return 1 if 1 in worst else max(worst)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
