"""Which store the work at hand uses."""

from pathlib import Path

import pytest

from assay.store import current, find_home, use


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ASSAY_ARTIFACTS", raising=False)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / ".assay"))
    return tmp_path / ".assay"


def test_artifacts_lie_in_the_home_unless_the_environment_says_where(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    digest = current().artifacts.put(b"x")
    assert current().artifacts.path(digest).is_relative_to(home / "artifacts")
    assert current() is current()
    another = tmp_path_factory.mktemp("with space")
    for url, folder in {
        str(another): another,
        another.as_uri(): another,
        f"file://localhost{another}": another,
        "../there": home.parent.parent / "there",  # of the project, wherever one stands
        "kept": home.parent / "kept",
    }.items():
        monkeypatch.setenv("ASSAY_ARTIFACTS", url)
        assert current().artifacts.path(digest).resolve() == folder / digest[:2] / digest
        with use(find_home(home)) as opened:
            assert opened is current()
            assert opened.artifacts.path(digest).resolve() == folder / digest[:2] / digest


def test_another_server_is_another_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    local = current()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
    assert current() is local
    monkeypatch.setenv("ASSAY_ARTIFACTS", "s3://assay")
    first = current()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert current() is not first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
    assert current() is first
