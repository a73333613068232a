"""`/metrics`: numbers for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.api.dependencies import Asking, Held
from app.api.errors import ERROR_ANSWERS
from app.facade.caller import require_everywhere

__all__ = ["router"]

router = APIRouter(tags=["health"], responses=ERROR_ANSWERS)


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    operation_id="get_metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics(caller: Asking, service: Held) -> Response:
    """Requests, searches by step, jobs, and how far indexes lag behind, of all worker processes together. It
    needs a key for all collections wherever a key is needed at all.
    """
    require_everywhere(caller, "search")
    return Response(service.telemetry.show(), media_type=service.telemetry.content_type)
