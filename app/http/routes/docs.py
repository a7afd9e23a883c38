"""GET /docs: Swagger UI from local files, so that the page works without internet access.

The files are Swagger UI's own build, from the package fastapi-offline.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

ASSETS: Final = "/docs/assets"


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The API documentation, with a form to try it."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Speech to text",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )


def install(app: FastAPI) -> None:
    """Serve the page and its files."""
    app.include_router(router)
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")), name="docs")
