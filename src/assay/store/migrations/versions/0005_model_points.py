"""Points of logged models are looked up by time: one that is sent again is kept once."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Remove what was kept twice, and widen the index."""
    op.execute(
        "DELETE FROM logged_model_metrics WHERE id NOT IN (SELECT min(id) FROM logged_model_metrics"
        " GROUP BY model_id, name, run_id, step, at_us, value, dataset_name, dataset_digest)"
    )
    op.drop_index("metrics_of_a_logged_model", "logged_model_metrics")
    op.create_index("metrics_of_a_logged_model", "logged_model_metrics", ["model_id", "name", "at_us"])
