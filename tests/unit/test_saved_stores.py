"""Stores of frameworks are written down with pipelines: no password goes along."""

from __future__ import annotations

import pytest

from indexing.errors import BadInput
from indexing.frameworks.store import check_saved


@pytest.mark.parametrize(
    ("db", "refused"),
    [
        (None, False),
        ("sqlite:////home/a:b@c/x.db", False),
        ("postgresql://stlib@host:5432/name", False),
        ("postgresql://host/name?sslmode=require", False),
        ("postgresql://stlib:pass@host/name", True),
        ("postgres://stlib:p@ss?/w@host/name", True),
        ("postgresql+psycopg://stlib@host/name?password=x", True),
        ("postgresql://stlib@host/name?sslmode=require&sslpassword=x", True),
    ],
)
def test_an_address_with_a_password_is_not_saved(db, refused):
    if refused:
        with pytest.raises(BadInput, match="PGPASSWORD"):
            check_saved(db)
    else:
        check_saved(db)
