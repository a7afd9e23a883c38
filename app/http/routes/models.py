"""GET /v1/models: the loaded model, and its aliases."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.contracts.openai import Model, ModelList
from app.core.errors import UnknownModel
from app.http.response import openapi
from app.http.state import state_of

router = APIRouter(tags=["models"])

CREATED = 1_735_689_600  # OpenAI requires a date; this one is fixed


@router.get("/v1/models", summary="List models", responses=openapi.MODELS)
async def list_models(request: Request) -> ModelList:
    """Every name that a request may use."""
    return {"object": "list", "data": [_model(model_id) for model_id in state_of(request).model_ids]}


@router.get("/v1/models/{model_id:path}", summary="Retrieve a model", responses=openapi.MODEL)
async def retrieve_model(request: Request, model_id: str) -> Model:
    """One model; ids may contain slashes."""
    if model_id not in state_of(request).model_ids:
        raise UnknownModel(f"The model '{model_id[:100]}' does not exist here; GET /v1/models lists what does.")
    return _model(model_id)


def _model(model_id: str) -> Model:
    return {
        "id": model_id,
        "object": "model",
        "created": CREATED,
        "owned_by": "self-hosted",
        "shutdown_date": None,
    }
