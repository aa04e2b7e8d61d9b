"""A transaction without a statement ends well, though nobody read the answer to the rollback before it."""

from assay.store.postgres import Connection


def test_a_commit_after_a_rollback_whose_answer_is_unread(postgres: str) -> None:
    with Connection.connect(postgres, autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.roll_back()
        connection.commit()
        assert connection.execute("SELECT 1").fetchone() == (1,)
