"""A machine of a team: its home, its lines, and what runs on it."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from network import Line, Namespace


@dataclass
class Machine:
    """A home and its lines to what the team shares."""

    home: Path
    network: Namespace
    database: Line
    bucket: Line
    environment: dict[str, str] = field(repr=False)

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """A command on this machine."""
        return self.python("-m", "assay", *arguments, timeout_s=timeout_s)

    def python(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """A process on this machine."""
        return self.network.inside(
            lambda: subprocess.run(
                [sys.executable, *arguments],
                cwd=self.home.parent,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        )

    def json(self, *arguments: str) -> Any:
        """What a command answers; it may end with a finding."""
        done = self.run(*arguments, "--json")
        assert done.returncode in (0, 1), done.stderr
        if arguments[0] == "sql":  # a line for each row
            return [json.loads(line) for line in done.stdout.splitlines()]
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that goes on."""
        return self.network.inside(
            lambda: subprocess.Popen(
                [sys.executable, "-m", "assay", *arguments],
                cwd=self.home.parent,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
