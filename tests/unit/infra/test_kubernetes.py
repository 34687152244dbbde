"""infra/kubernetes: Kubernetes' own schemas, a condensed one for KubeRay's, and what no schema says."""

import copy
import importlib.metadata
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from ced.cli.main import parse
from ced.recipes import RECIPES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "infra" / "kubernetes"
VERSION = kubernetes_validate.latest_version()
SCHEMA = jsonschema.Draft202012Validator(yaml.safe_load(Path(__file__).with_name("kuberay.schema.yaml").read_text()))

Manifest = dict[str, Any]


def manifests(name: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all((FOLDER / name).read_text()) if document]


(CLAIM,), (CLUSTER,), (JOB,) = (manifests(name) for name in ("store.yaml", "raycluster.yaml", "rayjob.yaml"))
HEAD, WORKERS = CLUSTER["spec"]["headGroupSpec"], CLUSTER["spec"]["workerGroupSpecs"]
GROUPS = {"head": HEAD, **{group["groupName"]: group for group in WORKERS}}


def container(group: Manifest) -> Manifest:
    (only,) = group["template"]["spec"]["containers"]
    return dict(only)


def as_object(template: Manifest) -> Manifest:
    """A pod template as the Kubernetes object of that name, which has the same schema."""
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "template"}, "template": template}


def test_the_claim_follows_the_schema_of_kubernetes() -> None:
    kubernetes_validate.validate(CLAIM, VERSION, strict=True)


@pytest.mark.parametrize("name", GROUPS)
def test_pod_templates_follow_the_schema_of_kubernetes(name: str) -> None:
    kubernetes_validate.validate(as_object(GROUPS[name]["template"]), VERSION, strict=True)


def test_the_schema_of_kubernetes_refuses_a_misspelt_field() -> None:
    template = copy.deepcopy(HEAD["template"])
    template["spec"]["containers"][0]["volumeMount"] = template["spec"]["containers"][0].pop("volumeMounts")
    with pytest.raises(kubernetes_validate.ValidationError, match="volumeMount"):
        kubernetes_validate.validate(as_object(template), VERSION, strict=True)


@pytest.mark.parametrize("manifest", [CLUSTER, JOB], ids=lambda manifest: manifest["kind"])
def test_ray_resources_follow_the_condensed_schema(manifest: Manifest) -> None:
    SCHEMA.validate(manifest)


@pytest.mark.parametrize(
    ("manifest", "where", "value"),
    [
        (CLUSTER, "spec.authOption", {"mode": "token"}),
        (CLUSTER, "spec.authOptions.mode", "tokens"),
        (CLUSTER, "spec.headGroupSpec.rayStartParams.num-cpus", 0),  # a string, like every parameter of ray start
        (CLUSTER, "spec.workerGroupSpecs", [{"groupName": "cpu"}]),
        (CLUSTER, "apiVersion", "ray.io/v1alpha1"),
        (JOB, "spec.submissionMode", "HttpMode"),
        (JOB, "spec.rayClusterSpec", CLUSTER["spec"]),  # besides a selector of a cluster that is there
        (JOB, "metadata.name", "twice"),  # besides generateName
    ],
)
def test_the_condensed_schema_refuses_mistakes(manifest: Manifest, where: str, value: object) -> None:
    wrong = copy.deepcopy(manifest)
    *path, last = where.split(".")
    inner = wrong
    for key in path:
        inner = inner[key]
    inner[last] = value
    assert list(SCHEMA.iter_errors(wrong))


def test_every_pod_shares_the_claim_as_the_store() -> None:
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]
    for group in GROUPS.values():
        (volume,) = group["template"]["spec"]["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
        (mount,) = container(group)["volumeMounts"]
        assert mount["name"] == volume["name"]
        assert {"name": "CED_STORE", "value": mount["mountPath"]} in container(group)["env"]
    assert mount["mountPath"] == "/store"


def test_the_token_comes_from_a_secret_that_is_made_by_hand() -> None:
    options = CLUSTER["spec"]["authOptions"]
    assert options["mode"] == "token"
    command = f'kubectl create secret generic {options["secretName"]} --from-literal=auth_token="$('
    assert command in (FOLDER / "raycluster.yaml").read_text()
    assert command in (ROOT / "docs" / "deploy.md").read_text()
    for path in FOLDER.glob("*.yaml"):
        assert all(document["kind"] != "Secret" for document in manifests(path.name))
        assert not re.search(r"RAY_AUTH_TOKEN:|name: RAY_AUTH_TOKEN", path.read_text())


def test_ray_has_the_version_that_is_installed() -> None:
    assert CLUSTER["spec"]["rayVersion"] == importlib.metadata.version("ray")


def test_pods_run_as_the_user_of_the_image() -> None:
    number = re.search(r"--uid (\d+)", (ROOT / "infra" / "Dockerfile").read_text())
    assert number is not None
    for group in GROUPS.values():
        context = group["template"]["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert {context["runAsUser"], context["fsGroup"]} == {int(number[1])}
        assert container(group)["securityContext"]["allowPrivilegeEscalation"] is False


def test_pods_say_what_they_need() -> None:
    for name, group in GROUPS.items():
        needs = container(group)["resources"]
        assert needs["requests"]["memory"] == needs["limits"]["memory"], name
        assert {"cpu", "memory"} <= set(needs["requests"])


def test_the_gpu_group_asks_for_gpus_and_waits_to_be_asked() -> None:
    with_gpu = [name for name, group in GROUPS.items() if "nvidia.com/gpu" in container(group)["resources"]["limits"]]
    assert with_gpu == ["gpu"]
    assert (GROUPS["gpu"]["replicas"], GROUPS["gpu"]["minReplicas"]) == (0, 0)
    assert GROUPS["gpu"]["maxReplicas"] >= 1
    tolerated = GROUPS["gpu"]["template"]["spec"]["tolerations"]
    assert tolerated == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_work_goes_to_the_workers() -> None:
    assert HEAD["rayStartParams"]["num-cpus"] == "0"
    assert GROUPS["cpu"]["replicas"] >= 1


def test_the_job_runs_a_command_that_exists_on_the_cluster() -> None:
    assert JOB["spec"]["clusterSelector"] == {"ray.io/cluster": CLUSTER["metadata"]["name"]}
    python, option, module, *arguments = shlex.split(JOB["spec"]["entrypoint"])
    assert (python, option, module) == ("python", "-m", "ced")
    function, options = parse(arguments)
    assert function.__name__ == "run"
    assert options.recipe in RECIPES
    assert options.store == "/store"


def test_the_kustomization_names_files_that_exist() -> None:
    (kustomization,) = manifests("kustomization.yaml")
    kinds = [manifest["kind"] for name in kustomization["resources"] for manifest in manifests(name)]
    assert kinds == ["PersistentVolumeClaim", "RayCluster"]


def test_kustomize_puts_the_image_everywhere() -> None:
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed here")
    done = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}
    spec = made["RayCluster"]["spec"]
    images = [container(group)["image"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    assert images == ["ced:local"] * len(GROUPS)
    SCHEMA.validate(made["RayCluster"])
