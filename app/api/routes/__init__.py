"""Groups of addresses, one file each."""

from __future__ import annotations

from app.api.routes import (
    collections,
    documents,
    erasures,
    feedback,
    files,
    health,
    jobs,
    judgments,
    metrics,
    models,
    page,
    reports,
    search,
    servings,
)

__all__ = ["ROUTERS"]

ROUTERS = (
    health.router,
    metrics.router,
    collections.router,
    documents.router,
    erasures.router,
    search.router,
    files.router,
    feedback.router,
    judgments.router,
    servings.router,
    reports.router,
    jobs.router,
    models.router,
    page.router,
)
