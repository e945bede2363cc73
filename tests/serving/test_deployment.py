"""The files that run the model server: Compose, Kubernetes, Prometheus, Grafana.

No engine runs them here. They are parsed, compared with their schemas, and with one another.
"""

import json
import pathlib
import re
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
SERVING = ROOT / "serving"
MANIFESTS = sorted((SERVING / "kubernetes").glob("*.yaml"))
OLDEST_KUBERNETES = "1.30"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Metrics of the server, as its monitoring endpoint names them.
METRICS = {
    *("request_count", "request_latency", "runtime_latency"),
    "batching_session:queuing_latency",
}


def read(path):
    return yaml.safe_load((SERVING / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose():
    return read("docker-compose.yml")["services"]["serving"]


@pytest.fixture(scope="module")
def pod():
    return read("kubernetes/deployment.yaml")["spec"]["template"]


@pytest.fixture(scope="module")
def container(pod):
    (found,) = pod["spec"]["containers"]
    return found


def setting(file, name):
    """Value of a field of a text protocol buffer, which occurs once."""
    (value,) = re.findall(rf'\b{name}: "(.*)"', (SERVING / file).read_text())
    return value


def metrics(expression):
    """Names of the server's metrics in a query, without the endings of histograms."""
    names = set()
    for found in re.findall(r":tensorflow:serving:([\w:]+)", expression):
        names.add(found if found in METRICS else re.sub(r"_(bucket|sum|count)$", "", found))
    return names


def test_compose_fits_its_schema():
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.compose-spec", str(SERVING / "docker-compose.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, None])
def test_every_manifest_fits_the_schema_of_old_and_new_clusters(path, version):
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        kubernetes_validate.validate(
            manifest, version or kubernetes_validate.latest_version(), strict=True
        )


def test_a_misspelt_field_is_seen():
    manifest = read("kubernetes/service.yaml")
    manifest["spec"]["port"] = manifest["spec"].pop("ports")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, OLDEST_KUBERNETES, strict=True)


def test_kustomize_takes_all_manifests_but_the_upload_and_all_settings():
    found = read("kustomization.yaml")
    listed = sorted(SERVING / name for name in found["resources"])
    assert listed == [path for path in MANIFESTS if path.stem != "upload"]
    (settings,) = found["configMapGenerator"]
    assert sorted(settings["files"]) == sorted(path.name for path in SERVING.glob("*.config"))


def test_every_image_is_pinned_and_all_pages_name_the_same_server(compose, container):
    (upload,) = read("kubernetes/upload.yaml")["spec"]["containers"]
    for image in (compose["image"], container["image"], upload["image"]):
        assert re.fullmatch(r"[\w/]+:\d+\.\d+\.\d+", image)
    assert container["image"] == compose["image"]
    for page in PAGES:
        for name in re.findall(r"\btensorflow/serving(?!/)\S*", page.read_text(encoding="utf-8")):
            assert name.rstrip(".,`") == compose["image"], page.name


def test_both_start_the_server_with_the_same_flags_and_files_that_exist(compose, container):
    assert compose["command"] == container["args"]
    mounted = [volume.split(":")[:2] for volume in compose["volumes"]]
    (settings,) = read("kustomization.yaml")["configMapGenerator"]
    folder = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}["config"]
    for file in re.findall(r"=(/\S+\.config)", " ".join(compose["command"])):
        name = file.rpartition("/")[2]
        assert [f"./{name}", file] in mounted
        assert file == f"{folder}/{name}"
        assert name in settings["files"]
        assert (SERVING / name).exists()


def test_model_and_paths_agree(compose, pod, container):
    name, base = setting("models.config", "name"), setting("models.config", "base_path")
    mounted = [volume.split(":") for volume in compose["volumes"]]
    assert [f"./{name}", base, "ro"] in mounted
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert base == f"{mounts['models']['mountPath']}/{name}"
    assert f"GET /v1/models/{name} " in " ".join(compose["healthcheck"]["test"])
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] == f"/v1/models/{name}"
    page = (ROOT / "docs" / "serving.md").read_text()
    assert f"kubectl cp serving/{name} pgtf-upload:{mounts['models']['mountPath']}/\n" in page
    for claim in (pod["spec"], read("kubernetes/upload.yaml")["spec"]):
        names = [
            v["persistentVolumeClaim"]["claimName"]
            for v in claim["volumes"]
            if v["name"] == "models"
        ]
        assert names == [read("kubernetes/models.yaml")["metadata"]["name"]]
    (settings,) = [v["configMap"]["name"] for v in pod["spec"]["volumes"] if v["name"] == "config"]
    assert settings == read("kustomization.yaml")["configMapGenerator"][0]["name"]


def test_ports_agree_with_the_service_the_clients_and_the_pages(compose, container):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "http": 8501}  # the defaults of the image
    assert compose["ports"] == [f"127.0.0.1:{port}:{port}" for port in ports.values()]
    service = read("kubernetes/service.yaml")["spec"]["ports"]
    assert {port["targetPort"]: port["port"] for port in service} == ports
    assert f"http://localhost:{ports['http']}" in (SERVING / "rest_client.py").read_text()
    assert f'"localhost:{ports["grpc"]}"' in (SERVING / "grpc_client.py").read_text()
    for page in PAGES:
        for port in re.findall(r"http://localhost:(\d+)/(?:v1|monitoring)", page.read_text()):
            assert int(port) == ports["http"], page.name


def test_labels_select_the_pods_and_the_autoscaler_the_deployment(pod):
    labels = pod["metadata"]["labels"]
    deployment = read("kubernetes/deployment.yaml")
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert read("kubernetes/service.yaml")["spec"]["selector"] == labels
    scaler = read("kubernetes/autoscaler.yaml")["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]  # Each `kubectl apply` would undo the autoscaler.
    assert 1 < scaler["minReplicas"] < scaler["maxReplicas"]


def test_servers_are_limited_probed_and_not_root(compose, pod, container):
    assert compose["restart"] == "unless-stopped"
    assert {"mem_limit", "cpus", "pids_limit", "healthcheck"} <= compose.keys()
    assert compose["user"].split(":")[0] == str(pod["spec"]["securityContext"]["runAsUser"])
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is compose["read_only"] is True
    (sleep,) = [int(x) for x in container["lifecycle"]["preStop"]["exec"]["command"][1:]]
    assert sleep < pod["spec"]["terminationGracePeriodSeconds"]


def test_prometheus_finds_the_metrics_where_the_server_has_them(pod, container):
    path = setting("monitoring.config", "path")
    annotations = pod["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == path
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert annotations["prometheus.io/port"] == str(ports["http"])
    assert path in (ROOT / "docs" / "serving.md").read_text()


def test_alerts_ask_for_metrics_of_the_server_and_say_what_to_do(pod):
    (group,) = read("monitoring/alerts.yaml")["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names) == 5
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "remedy"} == rule["annotations"].keys()
        assert re.fullmatch(r"\d+m", rule["for"])
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert metrics(rule["expr"]) <= METRICS
    assert set().union(*(metrics(rule["expr"]) for rule in group["rules"])) == METRICS - {
        "runtime_latency"
    }
    ((label, value),) = pod["metadata"]["labels"].items()
    assert f'up{{{re.sub("[^a-z]", "_", label)}="{value}"}}' in group["rules"][0]["expr"]


def test_the_dashboard_shows_metrics_of_the_server_in_panels_that_do_not_overlap():
    board = json.loads((SERVING / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) == 6
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))
    variables = {variable["name"] for variable in board["templating"]["list"]}
    shown = set()
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
            assert used <= variables
            assert metrics(target["expr"]) <= METRICS
            shown |= metrics(target["expr"])
    assert shown == METRICS
