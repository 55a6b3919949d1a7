"""Looks every locked dependency up in OSV, the database of known vulnerabilities: `make audit`.

It fails when it finds one that `accepted-vulnerabilities.txt` does not accept. Where OSV cannot be
reached, a snapshot that was recorded of it stands in, if one is committed and young enough; without
one nothing was looked up, which fails in CI.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OSV = "https://api.osv.dev/v1/query"
# A snapshot older than this has missed too much to stand in for OSV.
SNAPSHOT_DAYS = 180
LOCKED = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)
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


def asked(lock: Path, osv_url: str) -> list[dict[str, Any]] | None:
    """What OSV knows of each locked dependency, as pip-audit reports it; None if not reached."""
    audit = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(lock)),
            *("--no-deps", "--disable-pip", "--vulnerability-service", "osv"),
            *("--osv-url", osv_url, "--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if audit.stdout.strip():
        found: list[dict[str, Any]] = json.loads(audit.stdout)["dependencies"]
        return found
    *_, last = audit.stderr.strip().splitlines() or ["pip-audit said nothing"]
    if last.startswith(UNREACHED):
        return None
    sys.exit(f"Not audited: {last}")


def recorded(snapshot: Path, lock: Path) -> list[dict[str, Any]]:
    """What a snapshot says of each locked dependency.

    Args:
        snapshot: What `--record` wrote: its `date`, its `source` and the `dependencies`.
        lock: The lock file, of which each dependency must be in the snapshot at its version.
    """
    content = json.loads(snapshot.read_text(encoding="utf-8"))
    date = datetime.date.fromisoformat(content["date"])
    age = (datetime.datetime.now(datetime.UTC).date() - date).days
    print(f"OSV cannot be reached. Used instead: {snapshot}, of {date}, from {content['source']}.")
    if age > SNAPSHOT_DAYS:
        sys.exit(f"Not audited: that is {age} days old, more than {SNAPSHOT_DAYS}. Record it anew.")
    known = {(each["name"], each["version"]): each for each in content["dependencies"]}
    locked = LOCKED.findall(lock.read_text(encoding="utf-8"))
    if missing := [f"{name} {version}" for name, version in locked if (name, version) not in known]:
        sys.exit(f"Not audited: it lacks {', '.join(missing)}. Record it anew.")
    return [known[each] for each in locked]


def main() -> int:
    """Audits the lock file.

    Returns:
        0 if nothing is found but what is accepted; 1 if something is, or nothing was looked up in
        CI.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, default=HERE.parent / "requirements" / "test.txt")
    parser.add_argument("--accepted", type=Path, default=HERE / "accepted-vulnerabilities.txt")
    parser.add_argument("--snapshot", type=Path, default=HERE / "advisories.json")
    parser.add_argument("--osv-url", default=OSV)
    parser.add_argument("--record", action="store_true", help="write the snapshot from OSV")
    parser.add_argument(
        "--allow-offline", action="store_true", help="succeed in CI too when nothing is looked up"
    )
    options = parser.parse_args()
    borne = accepted(options.accepted)

    dependencies = asked(options.lock, options.osv_url)
    if dependencies is not None and options.record:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        content = {"date": today, "source": options.osv_url, "dependencies": dependencies}
        options.snapshot.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if dependencies is None and options.snapshot.exists() and not options.record:
        dependencies = recorded(options.snapshot, options.lock)
    if dependencies is None:
        print(
            f"NOT AUDITED: {options.osv_url} cannot be reached, and no snapshot of it is at "
            f"{options.snapshot}. Nothing was looked up. Run `make audit` where it can be reached, "
            "or commit a snapshot made there with `make audit RECORD=1`."
        )
        return int(options.record or (bool(os.environ.get("CI")) and not options.allow_offline))

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
    print(f"{len(dependencies)} dependencies audited, {faults} vulnerabilities to fix.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
