"""What each value of the chart may be. Maps allow no other keys, so that a misspelt value is refused."""

from __future__ import annotations

from typing import Final

from app.settings.collector import CollectorSettings
from app.settings.gateway import GatewaySettings
from app.settings.worker import WorkerSettings
from tools.kube import shapes
from tools.kube.settings_schema import settings_schema
from tools.kube.shapes import many, record, whole

CHART_VALUES: Final = record(
    # Helm hands these to every chart.
    **{"global": shapes.FOREIGN},
    device=shapes.one_of("cpu", "cuda"),
    settings=settings_schema(WorkerSettings),
    image=record(
        repository={"type": "string", "pattern": f"^{shapes.REPOSITORY}$"},
        tag=shapes.TAG,
        digest=shapes.DIGEST,
        pullPolicy=shapes.PULL_POLICY,
        pullSecrets=many(record(name=shapes.NAME)),
    ),
    apiKeys=record(**shapes.secret("existingSecret")["properties"], fileSecret=shapes.secret("name")),
    model=record(
        source=shapes.one_of("download", "pvc", "image", "volume"),
        hfToken=shapes.secret("existingSecret"),
        extraEnv=many(shapes.VARIABLE),
        extraEgress=many(shapes.EGRESS),
        resources=shapes.RESOURCES,
        download=record(sizeLimit=shapes.QUANTITY),
        pvc=record(
            existingClaim=shapes.NAME,
            size=shapes.SIZE_OR_EMPTY,
            storageClass=shapes.NAME,
            accessModes=shapes.ACCESS_MODES,
            fill=shapes.FLAG,
        ),
        imageVolume=record(reference=shapes.TEXT, pullPolicy=shapes.PULL_POLICY),
    ),
    worker=record(
        replicas=whole(0),
        resources=shapes.RESOURCES,
        gpu=record(
            resource={"type": "string", "pattern": "^[a-z0-9.-]+/[A-Za-z0-9._-]+$"},
            count=whole(1),
            runtimeClassName=shapes.NAME,
            nodeSelector=shapes.LABELS,
            tolerations=many(shapes.TOLERATION),
            cacheSize=shapes.QUANTITY,
        ),
        tmpSize=shapes.SIZE_OR_EMPTY,
        preStopSeconds=whole(1, 600),
        autoscaling=shapes.scaling(),
        **shapes.ENVIRONMENT,
        **shapes.PLACEMENT,
    ),
    gateway=record(
        enabled=shapes.FLAG,
        replicas=whole(0),
        settings=settings_schema(GatewaySettings),
        clientKeys=shapes.secret("existingSecret"),
        transcriberKey=shapes.secret("existingSecret"),
        resources=shapes.RESOURCES,
        tmpSize=shapes.QUANTITY,
        preStopSeconds=whole(1, 600),
        autoscaling=shapes.scaling(),
        **shapes.ENVIRONMENT,
        **shapes.PLACEMENT,
    ),
    redis=record(**shapes.secret("existingSecret")["properties"], port=shapes.PORT, networkPolicyTo=many(shapes.PEER)),
    collector=record(
        enabled=shapes.FLAG,
        replicas=whole(0),
        settings=settings_schema(CollectorSettings),
        apiKeys=shapes.secret("existingSecret"),
        database=record(
            **shapes.secret("existingSecret")["properties"], port=shapes.PORT, networkPolicyTo=many(shapes.PEER)
        ),
        storage=record(
            existingClaim=shapes.NAME,
            size=shapes.QUANTITY,
            storageClass=shapes.NAME,
            accessModes=shapes.ACCESS_MODES,
        ),
        resources=shapes.RESOURCES,
        preStopSeconds=whole(1, 600),
        **shapes.ENVIRONMENT,
        **shapes.PLACEMENT,
    ),
    balancer=record(
        replicas=whole(1),
        image={"type": "string", "pattern": "^[a-z0-9][A-Za-z0-9._/:@-]*$"},
        mtail=record(
            enabled=shapes.FLAG,
            repository={"type": "string", "pattern": f"^({shapes.REPOSITORY})?$"},
            tag=shapes.TAG,
            digest=shapes.DIGEST,
            resources=shapes.RESOURCES,
        ),
        resolver={"type": "string", "pattern": "^[A-Za-z0-9.:\\[\\]-]*$"},
        clusterDomain={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"},
        realIpFrom=many(shapes.NETWORK),
        internalFrom=many(shapes.NETWORK),
        trustedNetworks=many(shapes.NETWORK),
        limits=record(
            requestsPerSecond=whole(1),
            burst=whole(1),
            connections=whole(1),
            streams=whole(0),
        ),
        spoolSize=shapes.QUANTITY,
        resources=shapes.RESOURCES,
        preStopSeconds=whole(1, 600),
        **shapes.PLACEMENT,
    ),
    service=record(
        type=shapes.one_of("ClusterIP", "NodePort", "LoadBalancer"),
        annotations=shapes.TEXTS,
        externalTrafficPolicy=shapes.one_of("", "Cluster", "Local"),
        loadBalancerSourceRanges=many(shapes.NETWORK),
    ),
    httpRoute=record(
        enabled=shapes.FLAG,
        parentRefs=many(
            record(
                group=shapes.TEXT,
                kind=shapes.TEXT,
                namespace=shapes.NAME,
                name=shapes.NAME,
                sectionName=shapes.NAME,
                port=shapes.PORT,
            )
            | {"required": ["name"]}
        ),
        hostnames=many(shapes.HOST),
        liveHostnames=many(shapes.HOST),
        annotations=shapes.TEXTS,
    ),
    ingress=record(
        enabled=shapes.FLAG,
        className=shapes.NAME,
        hosts=many(shapes.HOST),
        liveHosts=many(shapes.HOST),
        tls=many(record(hosts=many(shapes.HOST), secretName=shapes.NAME)),
        annotations=shapes.TEXTS,
    ),
    networkPolicy=record(enabled=shapes.FLAG, allowFrom=many(shapes.PEER), metricsFrom=many(shapes.PEER)),
    monitoring=record(
        podMonitor=shapes.FLAG,
        rules=shapes.FLAG,
        dashboards=shapes.FLAG,
        labels=shapes.LABELS,
        interval={"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
        prometheusAddress={"type": "string", "pattern": "^https?://"},
    ),
    serviceAccount=record(create=shapes.FLAG, name=shapes.NAME, annotations=shapes.TEXTS),
)
