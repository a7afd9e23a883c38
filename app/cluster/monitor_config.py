"""The configurations and command lines with which a local cluster is watched. Pure.

The rules and the routes of alerts are the repository's own files, as in every other deployment; only the list of
targets differs: the cluster's supervisor writes it and changes it whenever members come and go.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from app.cluster.transcripts import LOOPBACK
from app.ops.addresses import authority

RETENTION = "15d"
RETENTION_SIZE = "1GB"
# In deploy/monitoring/alertmanager.yml the line of each receiver's webhook, and in it the URL.
WEBHOOK_LINE = re.compile(r"^ *webhook_configs:.*\n", re.MULTILINE)
WEBHOOK_PLACE = '"http://webhook.invalid/"'


@dataclass(frozen=True, slots=True)
class MonitorLayout:
    """Prometheus and Alertmanager of one local cluster.

    Attributes:
        files: the folder of `rules.yml` and `alertmanager.yml`.
        data_dir: what both programs store; it outlives the cluster, which may be what failed.
        targets: the cluster's list of targets, in the format of Prometheus' file_sd.
        prometheus, alertmanager: the executables.
        prometheus_port, alertmanager_port: their loopback ports.
        webhook: the URL to which alerts are sent; "" for none.
        interval_s: seconds between two scrapes, and between two evaluations of the rules.
    """

    files: Path
    data_dir: Path
    targets: Path
    prometheus: str
    alertmanager: str
    prometheus_port: int
    alertmanager_port: int
    webhook: str = ""
    interval_s: int = 5

    @property
    def prometheus_url(self) -> str:
        """Return the address of Prometheus."""
        return f"http://{authority(LOOPBACK, self.prometheus_port)}"

    @property
    def alertmanager_url(self) -> str:
        """Return the address of Alertmanager."""
        return f"http://{authority(LOOPBACK, self.alertmanager_port)}"

    @property
    def prometheus_config(self) -> Path:
        """Return the file of Prometheus' configuration."""
        return self.data_dir / "prometheus.json"

    @property
    def alertmanager_config(self) -> Path:
        """Return the file of Alertmanager's configuration, which may hold a secret URL."""
        return self.data_dir / "alertmanager.yml"

    def prometheus_configuration(self) -> str:
        """Return Prometheus' configuration; JSON is YAML, too. Each target has its own labels `job` and `cluster`."""
        interval = f"{self.interval_s}s"
        configuration = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [str(self.files / "rules.yml")],
            "alerting": {
                "alertmanagers": [
                    {"static_configs": [{"targets": [authority(LOOPBACK, self.alertmanager_port)]}]},
                ]
            },
            "scrape_configs": [
                {
                    "job_name": "cluster",
                    # Prometheus hears of changes; it looks for itself in case the folder was replaced by another.
                    "file_sd_configs": [{"files": [str(self.targets)], "refresh_interval": interval}],
                }
            ],
        }
        return json.dumps(configuration, indent=2)

    def prometheus_command(self) -> list[str]:
        """Return the command line of Prometheus."""
        return [
            self.prometheus,
            f"--config.file={self.prometheus_config}",
            f"--storage.tsdb.path={self.data_dir / 'prometheus'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--storage.tsdb.retention.size={RETENTION_SIZE}",
            f"--web.listen-address={authority(LOOPBACK, self.prometheus_port)}",
            f"--web.external-url={self.prometheus_url}",
            "--log.level=warn",
        ]

    def alertmanager_command(self) -> list[str]:
        """Return the command line of Alertmanager: a single one, without the port of a group of them."""
        return [
            self.alertmanager,
            f"--config.file={self.alertmanager_config}",
            f"--storage.path={self.data_dir / 'alertmanager'}",
            f"--web.listen-address={authority(LOOPBACK, self.alertmanager_port)}",
            f"--web.external-url={self.alertmanager_url}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]


def with_webhook(configuration: str, url: str) -> str:
    """Return Alertmanager's configuration with this URL, or without webhooks if it is "".

    Args:
        configuration: the text of deploy/monitoring/alertmanager.yml.
        url: where alerts are sent.
    """
    if not url:
        return WEBHOOK_LINE.sub("", configuration)
    # A JSON string is a YAML string, whatever it contains.
    return configuration.replace(WEBHOOK_PLACE, json.dumps(url))
