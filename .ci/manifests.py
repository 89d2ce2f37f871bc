"""What no schema can tell about the files under deploy/: that they agree with each other and with the program, and the few
things that must never be otherwise. Called by .ci/deploy, with the manifests that kustomize made, if there are any."""

import json
import pathlib
import re
import sys
import tomllib

import yaml

from cloudformation import load

ROOT = pathlib.Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
# The drain that README promises.
DRAIN = 10
PORT = 9464
POLICY = "service-role/AWSLambdaVPCAccessExecutionRole"

wrong = []


def demand(what, where, says):
    if not what:
        wrong.append(f"{where}: {says}")


def text(path):
    return (ROOT / path).read_text()


def dockerfile():
    source = text("Dockerfile")
    demand(f'image.version="{VERSION}"' in source, "Dockerfile", f"its label does not say version {VERSION}")
    rust = tomllib.loads(text("Cargo.toml"))["package"]["rust-version"]
    base = re.search(r"^FROM rust:([\d.]+)", source, re.M)
    as_numbers = lambda version: [int(part) for part in version.split(".")]
    demand(base and as_numbers(base[1]) >= as_numbers(rust), "Dockerfile", f"its Rust is older than {rust}")
    demand("\nUSER 65532:65532\n" in source, "Dockerfile", "it does not run as 65532")
    # Every test and bench that Cargo.toml names needs its placeholder.
    cargo = tomllib.loads(text("Cargo.toml"))
    files = [test["path"] for test in cargo.get("test", [])]
    files += [bench.get("path", f"benches/{bench['name']}.rs") for bench in cargo.get("bench", [])]
    for file in files:
        demand(file in source, "Dockerfile", f"no placeholder for {file}")


def tagged(image, where):
    if image.split(":")[0].endswith("lambda-vpc-controller"):
        demand(image.endswith(f":{VERSION}"), where, f"{image} is not version {VERSION}")
    demand(":" in image and not image.endswith(":latest"), where, f"{image} has no version")


def strict(container, pod, where):
    """The restricted Pod Security Standard, and a root file system that is only read."""
    own = container.get("securityContext", {})
    value = lambda name: own.get(name, pod.get("securityContext", {}).get(name))
    where = f"{where}: container {container['name']}"
    demand(value("runAsNonRoot") is True, where, "runAsNonRoot is not true")
    demand((value("runAsUser") or 0) > 0, where, "it runs as root")
    demand((value("seccompProfile") or {}).get("type") == "RuntimeDefault", where, "no seccomp profile")
    demand(own.get("allowPrivilegeEscalation") is False, where, "privileges may grow")
    demand(own.get("readOnlyRootFilesystem") is True, where, "its root file system may be written to")
    demand(own.get("capabilities") == {"drop": ["ALL"]}, where, "it keeps capabilities")
    demand("memory" in container.get("resources", {}).get("limits", {}), where, "no limit of memory")
    for mount in container.get("volumeMounts", []):
        demand("subPath" not in mount and "subPathExpr" not in mount, where, "a mount with subPath is never updated")
    tagged(container["image"], where)


def manifest(path):
    where = path.name
    found = [document for document in yaml.safe_load_all(path.read_text()) if document]
    kinds = {}
    for document in found:
        kinds.setdefault(document["kind"], []).append(document)

    def one(kind):
        demand(len(kinds.get(kind, [])) == 1, where, f"not one {kind}")
        return kinds[kind][0]

    deployment, service, policy = one("Deployment"), one("Service"), one("NetworkPolicy")
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    demand(spec["replicas"] == 1 and spec["strategy"] == {"type": "Recreate"}, where, "two could run at a time")
    demand(pod["terminationGracePeriodSeconds"] > DRAIN, where, "it is killed before it has drained")
    demand(pod["automountServiceAccountToken"] is False, where, "the pod has a token for Kubernetes")
    demand(pod["serviceAccountName"] == one("ServiceAccount")["metadata"]["name"], where, "another service account")
    for container in pod.get("initContainers", []) + pod["containers"]:
        strict(container, pod, where)

    controller = next(container for container in pod["containers"] if container["name"] == "controller")
    ports = {port["name"]: port["containerPort"] for port in controller["ports"]}
    demand(ports == {"http": PORT}, where, f"the controller's ports are {ports}")
    for probe, asked in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        demand(controller[probe]["httpGet"] == {"path": asked, "port": "http"}, where, f"{probe} does not ask {asked}")

    # Whoever selects the pod has to mean these labels, and whoever names a port one that is there.
    selectors = [spec["selector"]["matchLabels"], service["spec"]["selector"], policy["spec"]["podSelector"]["matchLabels"]]
    for selector in selectors:
        demand(selector.items() <= labels.items(), where, f"{selector} selects no pod")
    demand([port["targetPort"] for port in service["spec"]["ports"]] == ["http"], where, "the Service has another port")
    demand(service["spec"].get("publishNotReadyAddresses") is True, where, "not scraped while it is not ready")
    opened = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    demand(opened == [PORT], where, f"the NetworkPolicy lets in {opened}")
    for monitor in kinds.get("ServiceMonitor", []):
        selector = monitor["spec"]["selector"]["matchLabels"]
        demand(selector.items() <= service["metadata"]["labels"].items(), where, "the ServiceMonitor finds no Service")
        names = {port["name"] for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            demand(endpoint["port"] in names, where, f"the Service has no port {endpoint['port']}")
    for rule in kinds.get("PrometheusRule", []):
        same = rule["spec"] == yaml.safe_load(text("deploy/prometheus/rules.yml"))
        demand(same, where, "its alerts are not those of deploy/prometheus/rules.yml")

    # ConfigMaps by the names that they are mounted by: a digest in the name would be a restart for every edit.
    maps = {one_map["metadata"]["name"]: one_map["data"] for one_map in kinds["ConfigMap"]}
    if "lambda-vpc-controller" not in maps:
        demand(False, where, f"no ConfigMap has the name lambda-vpc-controller, but {sorted(maps)}")
        return
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for volume in volumes.values():
        if "configMap" in volume:
            demand(volume["configMap"]["name"] in maps, where, f"there is no ConfigMap {volume['configMap']['name']}")
    for container in pod.get("initContainers", []) + pod["containers"]:
        for mount in container.get("volumeMounts", []):
            demand(mount["name"] in volumes, where, f"there is no volume {mount['name']}")
        for source in container.get("envFrom", []):
            name = source.get("configMapRef", {}).get("name")
            demand(name is None or name in maps, where, f"there is no ConfigMap {name}")
    settings = tomllib.loads(maps["lambda-vpc-controller"]["controller.toml"])
    environment = {variable["name"]: variable["value"] for variable in controller.get("env", [])}
    claims = {claim["metadata"]["name"] for claim in kinds.get("PersistentVolumeClaim", [])}
    kept = [volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "persistentVolumeClaim" in volume]
    demand(claims == set(kept), where, f"there are claims {sorted(claims)}, and volumes of {sorted(kept)}")
    mounted = {mount["mountPath"] for mount in controller["volumeMounts"] if not mount.get("readOnly")}
    demand({environment["LAMBDA_VPC_STATE"]} == mounted if kept else not mounted, where, f"it may write to {sorted(mounted)}")
    desired = environment.get("LAMBDA_VPC_DESIRED")
    if desired is None:
        demand(settings["desired"] in maps["lambda-vpc-controller"], where, f"the ConfigMap has no {settings['desired']}")
    else:
        synced = maps["git-sync"]
        link = f"{synced['GITSYNC_ROOT']}/{synced['GITSYNC_LINK']}/"
        demand(desired.startswith(link), where, f"{desired} does not lead through {link}")
        demand("functions.toml" not in maps["lambda-vpc-controller"], where, "two desired states")


def every(value, key):
    """What stands below this key, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from every(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from every(inner, key)


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def operations():
    """The actions behind the calls that the program makes, from its own list."""
    source = text("src/cloud/mod.rs")
    source = source[source.index("impl Operation {"):]
    listed = re.findall(r"Self::(\w+)", re.search(r"pub const ALL: \[Self; \d+\] = \[(.*?)\];", source, re.S)[1])
    services = re.search(r"pub fn service\(self\) -> Service \{\s*match self \{(.*?)\n        \}", source, re.S)[1]
    prefix = {}
    for arm in re.finditer(r"((?:\|?\s*Self::\w+\s*)+)=>\s*Service::(\w+)", services):
        for name in re.findall(r"Self::(\w+)", arm[1]):
            prefix[name] = arm[2].lower()
    return {f"{prefix[name]}:{name}" for name in listed}


def ecs():
    where = "deploy/ecs/template.yml"
    resources = load(where)["Resources"]
    statements = resources["TaskRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    actions = {action for value in every(statements, "Action") for action in strings(value) if re.fullmatch(r"\w+:\w+", action)}
    # GetCallerIdentity needs no permission; Lambda asks for the groups in the caller's name; member roles are assumed,
    # by a session that may have tags.
    wanted = operations() - {"sts:GetCallerIdentity"} | {"sts:AssumeRole", "sts:TagSession"}
    demand(actions == wanted, where, f"the task role has too much: {sorted(actions - wanted)}, and lacks: {sorted(wanted - actions)}")
    demand(POLICY in text("config/controller.toml") and POLICY in text(where), where, "another policy than the settings allow")
    service = resources["Service"]["Properties"]
    limits = service["DeploymentConfiguration"]
    single = (service["DesiredCount"], limits["MinimumHealthyPercent"], limits["MaximumPercent"]) == (1, 0, 100)
    demand(single, where, "two could run at a time")
    containers = resources["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    for container in containers:
        named = f"{where}: container {container['Name']}"
        demand(container["ReadonlyRootFilesystem"] is True, named, "its root file system may be written to")
        demand(container["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}, named, "it keeps capabilities")
    controller = next(container for container in containers if container["Name"] == "controller")
    unit = text("deploy/systemd/lambda-vpc-controller.service")
    name = re.search(r"^StateDirectory=(.*)$", unit, re.M)[1]
    demand(f"Environment=LAMBDA_VPC_STATE=/var/lib/{name}\n" in unit, "systemd", "state is kept elsewhere than StateDirectory")
    demand(controller["User"] == "65532:65532", where, "the controller runs as another user than its image")
    demand(controller["StopTimeout"] > DRAIN, where, "it is killed before it has drained")
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", text("Dockerfile"), re.M)[1])
    probe = json.loads(re.search(r"^HEALTHCHECK .* CMD (.*)$", text("Dockerfile"), re.M)[1])
    demand(probe == [*entry, "probe"], "Dockerfile", "its health check is not `probe`")
    demand(controller["HealthCheck"]["Command"] == ["CMD", *probe], where, "another health check than the image's")


def compose():
    where = "deploy/compose/compose.yml"
    services = yaml.safe_load(text(where))["services"]
    for name, service in services.items():
        tagged(service["image"], f"{where}: {name}")
        for volume in service.get("volumes", []):
            source = ROOT / "deploy/compose" / volume.split(":")[0]
            demand(source.exists(), f"{where}: {name}", f"{volume.split(':')[0]} is not there")
        for port in service.get("ports", []):
            demand(port.startswith("127.0.0.1:"), f"{where}: {name}", f"{port} is open to the network")
    mounted = {volume.split(":")[1] for service in services.values() for volume in service.get("volumes", [])}
    provider = yaml.safe_load(text("deploy/compose/grafana/dashboards.yml"))["providers"][0]
    demand(provider["options"]["path"] in mounted, where, "the dashboards are not where Grafana looks for them")
    source = yaml.safe_load(text("deploy/compose/grafana/datasources.yml"))["datasources"][0]
    demand(source["url"].split("/")[2].split(":")[0] in services, where, f"nothing answers at {source['url']}")
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    demand((DEPLOY / "grafana" / home.removeprefix("/dashboards/")).exists(), where, f"there is no {home}")
    for job in yaml.safe_load(text("deploy/compose/prometheus.yml"))["scrape_configs"]:
        for target in [target for group in job["static_configs"] for target in group["targets"]]:
            demand(target.split(":")[0] in services, where, f"nothing is at {target}")


dockerfile()
ecs()
compose()
for argument in sys.argv[1:]:
    manifest(pathlib.Path(argument))
for sentence in wrong:
    print(f"deploy: {sentence}", file=sys.stderr)
sys.exit(1 if wrong else 0)
