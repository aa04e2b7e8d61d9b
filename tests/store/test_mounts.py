"""A database on a network file system is refused; which one it is, the kernel says."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import BadInput
from assay.store.database import Database
from assay.store.mounts import network_type, type_of

MOUNTS = r"""21 27 0:20 / /proc rw,relatime shared:5 - proc proc rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 27 0:50 / /home rw,relatime - autofs systemd-1 rw,fd=29
31 30 0:51 /export /home/ann rw,relatime shared:9 master:2 - nfs4 host:/export rw,vers=4.2
32 31 8:2 / /home/ann/scratch rw - xfs /dev/sdb1 rw
33 27 0:52 / /mnt/two\040words\134 rw - cifs //host/share rw
34 27 0:53 / /mnt/ssh rw - fuse.sshfs ann@host: rw
35 27 0:54 / /mnt/twice rw - nfs host:/a rw
36 27 8:3 / /mnt/twice rw - ext4 /dev/sdc1 rw
"""
PLACES = {
    "/": "ext4",
    "/home": "autofs",
    "/home/ann": "nfs4",
    "/home/ann/x/.assay/assay.db": "nfs4",
    "/home/anna/x": "autofs",
    "/home/ann/scratch/.assay": "xfs",
    "/mnt/two words\\/x": "cifs",
    "/mnt/ssh/x": "fuse.sshfs",
    "/mnt/twice/x": "ext4",
}


@pytest.mark.parametrize(("path", "kind"), PLACES.items())
def test_the_nearest_mount_above_a_path_counts_and_of_two_at_one_place_the_later(path: str, kind: str) -> None:
    assert type_of(Path(path), MOUNTS) == kind


@given(st.text() | st.lists(st.sampled_from([" ", " - ", "/", "\\04", "\\777", "nfs", "\n"])).map("".join))
def test_no_text_of_a_kernel_is_a_fault(mountinfo: str) -> None:
    assert isinstance(type_of(Path("/a/b"), mountinfo), str)


def test_this_folder_is_on_no_network_file_system(tmp_path: Path) -> None:
    assert network_type(tmp_path / "not" / "there") == ""


#: Answers the questions of the kernel about a file system that is empty and takes nothing: linux/fuse.h.
FILE_SYSTEM = """
import os, struct, sys
device = int(sys.argv[1])
root = struct.pack("<QIIQQQQQQIIIIIIIII", 60, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096) + bytes(4)
INIT, GETATTR, LOOKUP, FORGET, BATCH_FORGET, ENOENT, ENOSYS = 26, 3, 1, 2, 42, 2, 38
while True:
    asked = os.read(device, 1 << 20)
    _, operation, number = struct.unpack_from("<IIQ", asked)
    error, data = -ENOSYS, b""
    if operation in (FORGET, BATCH_FORGET):
        continue
    if operation == INIT:
        error, data = 0, struct.pack("<IIIIHHI", 7, 23, 65536, 0, 0, 0, 65536)[:24]
    elif operation == GETATTR:
        error, data = 0, root
    elif operation == LOOKUP:
        error = -ENOENT
    os.write(device, struct.pack("<IiQ", 16 + len(data), error, number) + data)
"""


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Path]:
    """A mount of the type of a network file system."""
    place = tmp_path / "share"
    place.mkdir()
    device = os.open("/dev/fuse", os.O_RDWR) if Path("/dev/fuse").exists() and not os.geteuid() else -1
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if device < 0 or libc.mount(b"ann@host:", bytes(place), b"fuse.sshfs", 0, options):
        pytest.skip("MISSING: a mount of a network file system, which only root can make with /dev/fuse")
    server = subprocess.Popen([sys.executable, "-c", FILE_SYSTEM, str(device)], pass_fds=[device])
    os.close(device)
    yield place
    server.kill()
    server.wait()
    libc.umount2(bytes(place), 2)  # MNT_DETACH


def test_a_database_on_a_network_file_system_is_refused_and_nothing_is_made_there(share: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(share)
    for folder in (share, share / "deep" / "home", tmp_path / "link"):
        with pytest.raises(BadInput) as refused:
            Database(f"sqlite:///{folder}/assay.db")
        assert str(refused.value) == (
            f"the database {folder}/assay.db is on a network file system (fuse.sshfs), where SQLite can't be used\n"
            "Name a home on a local disk with --home or ASSAY_HOME, or set ASSAY_DATABASE=postgresql://..."
        )


def test_the_command_says_so(share: Path) -> None:
    command = [sys.executable, "-m", "assay", "runs", "--home", str(share)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "network file system (fuse.sshfs)" in done.stderr
