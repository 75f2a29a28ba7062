"""The system user that PostgreSQL runs as when root starts the server, for PostgreSQL refuses to run as root.

https://www.postgresql.org/docs/current/postgres-user.html and https://man7.org/linux/man-pages/man5/acl.5.html
"""

from __future__ import annotations

import os
import pwd
import stat
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from fhir_server.settings import ConfigurationError

_ACL_ATTRIBUTE = "system.posix_acl_access"
_ACL_VERSION = 2
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_SEARCH = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """A system user: ``uid``, ``gid`` and ``name``."""

    uid: int
    gid: int
    name: str


def identity(name: str) -> Identity | None:
    """The system user ``name``, created where it is missing; None when the process is not root's and needs no other.

    Raises ConfigurationError where the user cannot be created.
    """
    if os.geteuid() != 0:
        return None
    entry = _entry(name) or _create(name)
    if entry.pw_uid == 0:
        raise ConfigurationError("EMBEDDED_POSTGRES_USER must not be root: PostgreSQL refuses to run as root.")
    return Identity(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create(name: str) -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    reason = ""
    for _ in range(10):
        try:
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            reason = made.stderr.strip()
        except FileNotFoundError:
            reason = "there is no useradd"
        # Two servers starting at the same time both come here: whoever loses finds the user made by the other.
        if entry := _entry(name):
            return entry
        time.sleep(0.2)
    raise ConfigurationError(
        f"PostgreSQL refuses to run as root and the system user {name!r} could not be created ({reason}): "
        "create it, or name another in EMBEDDED_POSTGRES_USER, or start the server as an ordinary user."
    )


def may_read(path: Path, who: Identity) -> bool:
    """Whether ``who`` can reach ``path`` through every directory above it and read it."""
    return all(_permits(parent, who, stat.S_IXOTH) for parent in path.parents) and _permits(path, who, stat.S_IROTH)


def let_reach(path: Path, who: Identity) -> None:
    """Let ``who``, and nobody else, pass through the directories above ``path``, by an access control list.

    Passing is all it grants: neither their names nor their files can be read. Raises ConfigurationError on file
    systems without access control lists.
    """
    for directory in reversed(path.resolve().parents):
        if _permits(directory, who, stat.S_IXOTH):
            continue
        try:
            _grant_search(directory, who)
        except OSError:
            raise ConfigurationError(
                f"PostgreSQL runs as the system user {who.name!r}, which cannot pass through {directory}: "
                f"allow it (chmod o+x {directory}) or choose another DATA_DIR."
            ) from None


def _permits(path: Path, who: Identity, other_bit: int) -> bool:
    status = path.stat()
    if status.st_uid == who.uid:
        return bool(status.st_mode & (other_bit << 6))
    entries = _read_acl(path, status.st_mode)
    # A chmod of the group's bits sets the mask, which takes away what named users were granted.
    mask = next((permissions for tag, permissions, _ in entries if tag == _MASK), 7)
    for tag, permissions, entry_id in entries:
        if tag == _USER and entry_id == who.uid:
            return bool(permissions & mask & other_bit)
    if status.st_gid == who.gid:
        return bool(status.st_mode & (other_bit << 3))
    return bool(status.st_mode & other_bit)


def _read_acl(path: Path, mode: int) -> list[tuple[int, int, int]]:
    """The entries of the access control list: the one that is set, or the one that the mode bits stand for."""
    try:
        packed = os.getxattr(path, _ACL_ATTRIBUTE)
    except (OSError, AttributeError):
        return [(_USER_OBJ, mode >> 6 & 7, _NO_ID), (_GROUP_OBJ, mode >> 3 & 7, _NO_ID), (_OTHER, mode & 7, _NO_ID)]
    return list(struct.iter_unpack("<HHI", packed[4:]))


def _grant_search(directory: Path, who: Identity) -> None:
    entries = _read_acl(directory, directory.stat().st_mode)
    group = next(permissions for tag, permissions, _ in entries if tag == _GROUP_OBJ)
    mask = next((permissions for tag, permissions, _ in entries if tag == _MASK), group)
    kept = [entry for entry in entries if entry[0] != _MASK and (entry[0], entry[2]) != (_USER, who.uid)]
    kept += [(_USER, _SEARCH, who.uid), (_MASK, mask | _SEARCH, _NO_ID)]
    packed = struct.pack("<I", _ACL_VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in sorted(kept))
    try:
        os.setxattr(directory, _ACL_ATTRIBUTE, packed)
    except AttributeError:
        raise OSError("no access control lists here") from None
