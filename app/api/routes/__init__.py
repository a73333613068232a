"""Groups of addresses, one file each."""

from __future__ import annotations

from app.api.routes import collections, documents, health, page, search

__all__ = ["ROUTERS"]

ROUTERS = (health.router, collections.router, documents.router, search.router, page.router)
