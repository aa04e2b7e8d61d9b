"""Clients of MLflow move the champion through the same door as everybody: with a line in the ledger."""

from collections.abc import Callable
from pathlib import Path

import pytest

from assay.access import make_token
from assay.blessing import entries, verify
from assay.store import Store, find_home, use
from assay.track import By, alias, aliases, register
from assay.track.provenance import user

from .asking import API, Said, ask

MODEL = "long-trip"
ALIAS = f"{API}/registered-models/alias"


@pytest.fixture
def published(tmp_path: Path) -> Store:
    """Three versions, as Assay publishes them; the last is the champion."""
    with use(find_home(tmp_path / ".assay")) as store, store.database.begin() as connection:
        for number in (1, 2, 3):
            register(connection, MODEL, store.artifacts.put(b"%d" % number), run_id=None, trained_until=None)
            aliases.move(connection, MODEL, number, By("ann"), kind="published")
    return store


def moved_by_client(store: Store) -> list[tuple[str, object]]:
    return [(line.kind, line.decoded()) for line in entries(store, MODEL)[3:]]


def point(address: str, version: object, name: str = "champion", **headers: str) -> Said:
    return ask(address, "POST", ALIAS, {"name": MODEL, "alias": name, "version": str(version)}, **headers)


def test_an_alias_moved_by_a_client_is_a_line_of_the_ledger(published: Store, address: str) -> None:
    tag = {"name": MODEL, "version": "1", "key": "assay.reason", "value": "the gate complains"}
    assert ask(address, "POST", f"{API}/model-versions/set-tag", tag).status == 200
    assert point(address, 1).status == 200
    assert point(address, 1).status == 200  # again: nothing moves
    assert point(address, 2, "challenger").status == 200
    assert ask(address, "DELETE", ALIAS, {"name": MODEL, "alias": "champion"}).status == 200
    by = {"who": user(), "through": "MLflow's API"}
    assert moved_by_client(published) == [
        ("moved", {"alias": "champion", "version": 1, "previous": 3, "reason": "the gate complains", **by}),
        ("moved", {"alias": "challenger", "version": 2, "previous": None, "reason": "", **by}),
        ("removed", {"alias": "champion", "version": None, "previous": 1, "reason": "", **by}),
    ]
    assert verify(published) == 6
    assert alias(published, MODEL) is None


def test_the_ledger_names_the_token(published: Store, up: Callable[..., str]) -> None:
    secret = make_token(published, "ci", "admin")
    address = up("--host", "0.0.0.0").replace("0.0.0.0", "127.0.0.1")
    assert point(address, 2, authorization=f"Bearer {secret}").status == 200
    ((_, body),) = moved_by_client(published)
    assert isinstance(body, dict)
    assert body["who"] == "ci"


REFUSED = {
    "renamed": ("POST", "registered-models/rename", {"name": MODEL, "new_name": "another"}),
    "deleted": ("DELETE", "registered-models/delete", {"name": MODEL}),
    "a version deleted": ("DELETE", "model-versions/delete", {"name": MODEL, "version": "1"}),
    "moved to no version": ("POST", "registered-models/alias", {"name": MODEL, "alias": "champion", "version": "9"}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_leave_the_ledger_without_its_model_is_refused(what: str, published: Store, address: str) -> None:
    method, path, body = REFUSED[what]
    said = ask(address, method, f"{API}/{path}", body)
    assert said.status in (400, 404)
    assert MODEL in said.json["message"]
    assert moved_by_client(published) == []
    assert str(alias(published, MODEL)) == f"{MODEL}/3"


def test_a_stage_does_not_move_the_champion(published: Store, address: str) -> None:
    body = {"name": MODEL, "version": "1", "stage": "Production", "archive_existing_versions": True}
    assert ask(address, "POST", f"{API}/model-versions/transition-stage", body).status == 200
    assert str(alias(published, MODEL)) == f"{MODEL}/3"


def test_a_model_that_only_clients_know_has_no_ledger(published: Store, address: str) -> None:
    assert ask(address, "POST", f"{API}/registered-models/create", {"name": "theirs"}).status == 200
    made = {"name": "theirs", "source": "s3://bucket/model"}
    assert ask(address, "POST", f"{API}/model-versions/create", made).status == 200
    pointed = {"name": "theirs", "alias": "champion", "version": "1"}
    assert ask(address, "POST", ALIAS, pointed).status == 200
    renamed = ask(address, "POST", f"{API}/registered-models/rename", {"name": "theirs", "new_name": "still-theirs"})
    assert renamed.json["registered_model"]["aliases"] == [{"alias": "champion", "version": "1"}]
    assert (
        ask(address, "DELETE", f"{API}/model-versions/delete", {"name": "still-theirs", "version": "1"}).status == 200
    )
    assert ask(address, "DELETE", f"{API}/registered-models/delete", {"name": "still-theirs"}).status == 200
    assert moved_by_client(published) == []
    assert len(entries(published)) == 3
