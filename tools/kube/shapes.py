"""Parts of JSON Schema: what one value of the chart may be."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

# As Kubernetes writes amounts: 500m, 2, 6Gi.
QUANTITY: Final[Schema] = {
    "type": ["string", "number"],
    "pattern": "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
    "exclusiveMinimum": 0,
}
TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
NAME: Final[Schema] = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", "maxLength": 253}
# A repository without a tag: a colon is followed by a port.
REPOSITORY: Final = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)*"
TAG: Final[Schema] = {"type": "string", "pattern": "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"}
DIGEST: Final[Schema] = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
TEXTS: Final[Schema] = {"type": "object", "additionalProperties": TEXT}
# What Kubernetes selects by.
LABELS: Final[Schema] = {
    "type": "object",
    "additionalProperties": {
        "type": "string",
        "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        "maxLength": 63,
    },
}
HOST: Final[Schema] = {
    "type": "string",
    "pattern": "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    "maxLength": 253,
}
# Objects of Kubernetes, which its API server checks.
FOREIGN: Final[Schema] = {"type": "object"}
PULL_POLICY: Final[Schema] = {"enum": ["Always", "IfNotPresent", "Never"]}
PORT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 65535}


def record(**properties: Schema) -> Schema:
    """A map with these keys and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def many(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def one_of(*words: str) -> Schema:
    """One of a few words."""
    return {"enum": list(words)}


def whole(minimum: int, maximum: int | None = None) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": minimum} | ({} if maximum is None else {"maximum": maximum})


RESOURCES: Final = record(
    requests={"type": "object", "additionalProperties": QUANTITY},
    limits={"type": "object", "additionalProperties": QUANTITY},
    claims=many(FOREIGN),
)
TOLERATION: Final = record(
    key=TEXT,
    operator=one_of("Exists", "Equal", "Lt", "Gt"),
    value=TEXT,
    effect=one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
    tolerationSeconds=whole(0),
)
VARIABLE: Final = record(
    name={"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.-]*$"}, value=TEXT, valueFrom=FOREIGN
) | {"required": ["name"]}
VARIABLES_FROM: Final = record(configMapRef=FOREIGN, secretRef=FOREIGN, prefix=TEXT)
PEER: Final = record(podSelector=FOREIGN, namespaceSelector=FOREIGN, ipBlock=FOREIGN)
EGRESS: Final = record(ports=many(FOREIGN), to=many(PEER))
_IPV4: Final = "[0-9]{1,3}(\\.[0-9]{1,3}){3}(/([0-9]|[12][0-9]|3[0-2]))?"
_IPV6: Final = "[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))?"
NETWORK: Final[Schema] = {"type": "string", "pattern": f"^({_IPV4}|{_IPV6})$"}
ACCESS_MODES: Final = many(one_of("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")) | {
    "minItems": 1
}
SIZE_OR_EMPTY: Final[Schema] = {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?)?$"}

# What every component has.
PLACEMENT: Final[dict[str, Schema]] = {
    "nodeSelector": LABELS,
    "tolerations": many(TOLERATION),
    "affinity": record(nodeAffinity=FOREIGN, podAffinity=FOREIGN, podAntiAffinity=FOREIGN),
    "priorityClassName": NAME,
    "podAnnotations": TEXTS,
    "podLabels": LABELS,
}
# What every component has that runs our image.
ENVIRONMENT: Final[dict[str, Schema]] = {
    "extraEnv": many(VARIABLE),
    "extraEnvFrom": many(VARIABLES_FROM),
    "extraEgress": many(EGRESS),
}


def scaling() -> Schema:
    """Autoscaling of one component."""
    share: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    return record(enabled=FLAG, minReplicas=whole(1), maxReplicas=whole(1), targetUtilisation=share)


def secret(name: str) -> Schema:
    """A Secret by name, and the key in it."""
    return record(**{name: NAME, "key": {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"}})
