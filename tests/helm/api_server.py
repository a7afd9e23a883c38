"""As much of a Kubernetes API server as Helm needs for a rendering that reads from the cluster (`--dry-run=server`)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.helm.chart import NAMESPACE, Object

NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def path_of(found: Object) -> str:
    """Return where an API server has an object of the release's namespace."""
    version = found["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{NAMESPACE}/{plural(found['kind'])}/{found['metadata']['name']}"


def plural(kind: str) -> str:
    """Return the name of a kind's collection."""
    name = kind.lower()
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def discovery(known: list[Object]) -> dict[str, Any]:
    """Return the answers that tell which kinds there are: those of these objects."""
    kinds: dict[str, set[str]] = {"v1": set()}
    for each in known:
        kinds.setdefault(each["apiVersion"], set()).add(each["kind"])
    answers: dict[str, Any] = {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    groups = []
    for version, names in kinds.items():
        group, _, number = version.rpartition("/")
        entry = {"groupVersion": version, "version": number}
        if group:
            groups.append({"name": group, "versions": [entry], "preferredVersion": entry})
        answers[f"/apis/{version}" if group else f"/api/{version}"] = {
            "kind": "APIResourceList",
            "groupVersion": version,
            "resources": [
                {"name": plural(kind), "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get"]}
                for kind in sorted(names)
            ],
        }
    return answers | {"/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}}


@contextmanager
def api_server(known: list[Object], running: list[Object]) -> Iterator[str]:
    """Serve the kinds of the objects `known` and the objects `running`; yield the address."""
    answers = discovery(known) | {path_of(each): each for each in running}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0])
            body = json.dumps(NOT_FOUND if answer is None else answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
