"""Type tokens are part of every stack's state: another token replaces everything under it."""

import ast

from stacks import REPOSITORY

TOKENS = {
    "Network": "mig-k8s:index:Network",
    "Machine": "mig-k8s:index:Machine",
    "NodeSoftware": "mig-k8s:index:NodeSoftware",
    "Rollout": "mig-k8s:index:Rollout",
    "MigInstances": "mig-k8s:index:MigInstances",
    "NodeRelease": "mig-k8s:index:NodeRelease",
    "Founding": "mig-k8s:index:Founding",
    "NodeRemoval": "mig-k8s:index:NodeRemoval",
    "FreeGpus": "mig-k8s:index:FreeGpus",
    "MigManagerLabel": "mig-k8s:index:MigManagerLabel",
    "LoadBalancer": "mig-k8s:index:LoadBalancer",
    "Cluster": "mig-k8s:index:Cluster",
    "GpuOperator": "mig-k8s:index:GpuOperator",
    "Verification": "mig-k8s:index:Verification",
}


def components() -> dict[str, ast.ClassDef]:
    """Every class of components/ that is a ComponentResource, by name."""
    return {
        node.name: node
        for path in sorted((REPOSITORY / "components").glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith("ComponentResource") for base in node.bases)
    }


def calls(component: ast.ClassDef, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(component)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    ]


def test_every_component_has_its_token_and_no_other_component_exists() -> None:
    found = {}
    for name, component in components().items():
        (init,) = calls(component, "__init__")
        found[name] = ast.literal_eval(init.args[0])
    assert found == TOKENS


def test_every_component_takes_name_args_and_opts_and_registers_its_outputs() -> None:
    for name, component in components().items():
        (init,) = [node for node in component.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        assert [argument.arg for argument in init.args.args] == ["self", "name", "args", "opts"], name
        assert len(calls(component, "register_outputs")) == 1, name
