"""Looks every locked dependency up in OSV, the database of known vulnerabilities: `make audit`.

It fails when it finds one that `accepted-vulnerabilities.txt` does not accept. Where OSV cannot be
reached it says so and succeeds: a build must not depend on the network being there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OSV = "https://api.osv.dev/v1/query"
# So pip-audit's traces end when the service does not answer, or answers with an error.
UNREACHED = ("requests.exceptions.", "pip_audit._service.interface.")


def accepted(listing: Path) -> dict[str, str]:
    """The vulnerabilities that are known and borne, each with the reason.

    Args:
        listing: Lines of an identifier and a reason; blank ones and those with a # are comments.
    """
    found = {}
    for line in listing.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            identifier, _, reason = line.partition(" ")
            if not reason.strip():
                sys.exit(f"{listing} accepts {identifier} without a reason. Write one behind it.")
            found[identifier] = reason.strip()
    return found


def main() -> int:
    """Audits the lock file.

    Returns:
        0 if nothing is found but what is accepted, or OSV cannot be reached; or else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, default=HERE.parent / "requirements.lock")
    parser.add_argument("--accepted", type=Path, default=HERE / "accepted-vulnerabilities.txt")
    parser.add_argument("--osv-url", default=OSV)
    options = parser.parse_args()
    borne = accepted(options.accepted)

    audit = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(options.lock)),
            *("--no-deps", "--disable-pip", "--vulnerability-service", "osv"),
            *("--osv-url", options.osv_url, "--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if not audit.stdout.strip():
        *_, last = audit.stderr.strip().splitlines() or ["pip-audit said nothing"]
        if last.startswith(UNREACHED):
            print(f"Not audited: {options.osv_url} cannot be reached. Run `make audit` elsewhere.")
            return 0
        sys.exit(f"Not audited: {last}")

    dependencies = json.loads(audit.stdout)["dependencies"]
    faults = 0
    for dependency in dependencies:
        for vulnerability in dependency.get("vulns", []):
            names = {vulnerability["id"], *vulnerability["aliases"]}
            what = f"{dependency['name']} {dependency['version']}: {', '.join(sorted(names))}"
            if reasons := [borne[name] for name in sorted(names) if name in borne]:
                print(f"accepted  {what}: {reasons[0]}")
                continue
            faults += 1
            fixed = ", ".join(vulnerability["fix_versions"]) or "no release"
            print(f"FOUND     {what}. Fixed in: {fixed}.")
    print(f"{len(dependencies)} dependencies audited, {faults} vulnerabilities to mend.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
