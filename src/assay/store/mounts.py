"""Which file systems are shared by machines over a network: SQLite's WAL does not work there.

The index of a WAL is memory that processes share, and those of two machines share none: each would write over the
other's pages (sqlite.org/wal.html). Linux names the type of each mount; elsewhere nothing is known, and nothing refused.
"""

import re
from pathlib import Path

from assay.errors import BadInput

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
#: Types of mounts that several machines may have at once; those of FUSE without their `fuse.`. 9p and virtiofs are not
#: among them: they bring a folder of the host into one virtual machine.
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "gfs2", "ocfs2", "orangefs"}
    | {
        "sshfs",
        "glusterfs",
        "ceph-fuse",
        "s3fs",
        "gcsfuse",
        "goofys",
        "mountpoint-s3",
        "blobfuse2",
        "rclone",
        "juicefs",
    }
)


def type_of(path: Path, mountinfo: str) -> str:
    r"""The type of the file system that holds an absolute path without links; "" when no mount holds it.

    `mountinfo` is the text of that file in /proc (proc_pid_mountinfo(5)): of two mounts at one place the later one counts.

    >>> type_of(Path("/mnt/a b/c"), "24 1 8:1 / / rw - ext4 /dev/sda rw\n30 24 0:50 / /mnt/a\\040b rw - nfs4 host:/x rw\n")
    'nfs4'
    """
    found, depth = "", 0
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.partition(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        place = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if len(place.parts) >= depth and path.is_relative_to(place):
            found, depth = kind, len(place.parts)
    return found


def network_type(path: Path) -> str:
    """The type of the network file system that holds a path, which need not exist; "" when it is none."""
    try:
        mountinfo = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        return ""
    kind = type_of(path.resolve(), mountinfo)
    return kind if kind.removeprefix("fuse.") in NETWORK else ""


def check_local(database: Path) -> None:
    """Raise `BadInput` for the file of a database that lies on a network file system."""
    if kind := network_type(database):
        raise BadInput(
            f"the database {database} is on a network file system ({kind}), where SQLite can't be used",
            do="Name a home on a local disk with --home or ASSAY_HOME, or set ASSAY_DATABASE=postgresql://...",
        )
