"""Holds inputs against the argument classes of the installed azure-native SDK and what ARM is known to refuse."""

import base64
import binascii
import importlib
import inspect
import types
import typing
from collections import Counter
from typing import Any

from pulumi import _types

from sandbox.providers.resource_provider import InvalidInput
from sandbox.providers.values import UNKNOWN, Properties

_PROTOCOLS = ("Tcp", "Udp", "Icmp", "Esp", "Ah", "*")
_CUSTOM_DATA_BYTES = 65_535
_RESERVED_USERS = ("admin", "administrator", "root", "test", "user")


def require_known_shape(kind: str, inputs: Properties) -> None:
    """Refuse property names the SDK does not have and missing ones it requires."""
    _require_object(inputs, _arguments_class(kind), "")


def has_property(kind: str, name: str) -> bool:
    """Whether this kind of resource takes an input of this name."""
    return name in _types.input_type_types(_arguments_class(kind))


def require_what_arm_requires(kind: str, inputs: Properties) -> None:
    """Refuse what ARM would, as far as we know it and this project could run into it."""
    rules = {
        "network:PublicIPAddress": _public_address,
        "network:NetworkSecurityGroup": _security_group,
        "compute:VirtualMachine": _virtual_machine,
        "devtestlab:GlobalSchedule": _schedule,
    }
    if kind in rules:
        rules[kind](inputs)


def _public_address(inputs: Properties) -> None:
    if (inputs.get("sku") or {}).get("name") == "Standard" and inputs.get("publicIPAllocationMethod") != "Static":
        raise InvalidInput("publicIPAllocationMethod", "Standard sku public IPs must use Static allocation")


def _security_group(inputs: Properties) -> None:
    rules = inputs.get("securityRules") or []
    if rules == UNKNOWN:
        return
    seen = Counter((rule.get("direction"), rule.get("priority")) for rule in rules)
    for index, rule in enumerate(rules):
        at = f"securityRules[{index}]"
        if rule.get("protocol") not in _PROTOCOLS:
            raise InvalidInput(f"{at}.protocol", f"{rule.get('protocol')!r} is none of {', '.join(_PROTOCOLS)}")
        if seen[rule.get("direction"), rule.get("priority")] > 1:
            raise InvalidInput(
                f"{at}.priority", f"SecurityRuleConflict: priority {rule.get('priority')} is given twice"
            )
        if not (rule.get("sourceAddressPrefix") or rule.get("sourceAddressPrefixes")):
            raise InvalidInput(f"{at}.sourceAddressPrefix", "a rule needs a source")


def _virtual_machine(inputs: Properties) -> None:
    profile = inputs.get("osProfile") or {}
    if profile == UNKNOWN:
        return
    if profile.get("adminUsername") in _RESERVED_USERS:
        raise InvalidInput(
            "osProfile.adminUsername", f"the admin user name {profile['adminUsername']!r} is not allowed"
        )
    linux = profile.get("linuxConfiguration") or {}
    keys = (linux.get("ssh") or {}).get("publicKeys") or []
    if linux.get("disablePasswordAuthentication") and not keys:
        raise InvalidInput("osProfile.linuxConfiguration", "no password and no SSH key: nobody could log in")
    home = f"/home/{profile.get('adminUsername')}/.ssh/authorized_keys"
    for index, key in enumerate(keys):
        if key.get("path") != home:
            raise InvalidInput(f"osProfile.linuxConfiguration.ssh.publicKeys[{index}].path", f"the path must be {home}")
    custom_data = profile.get("customData")
    if custom_data is not None and custom_data != UNKNOWN:
        try:
            size = len(base64.b64decode(custom_data, validate=True))
        except binascii.Error:
            raise InvalidInput("osProfile.customData", "Custom data in OSProfile must be in Base64 encoding") from None
        if size > _CUSTOM_DATA_BYTES:
            raise InvalidInput("osProfile.customData", f"{size} bytes; at most {_CUSTOM_DATA_BYTES} are allowed")


def _schedule(inputs: Properties) -> None:
    machine = str(inputs.get("targetResourceId") or "").rsplit("/", 1)[-1]
    if UNKNOWN not in (inputs.get("name"), machine) and inputs.get("name") != f"shutdown-computevm-{machine}":
        raise InvalidInput("name", f"a machine's schedule must be called shutdown-computevm-{machine}")


def _arguments_class(kind: str) -> type:
    module_name, name = kind.split(":")
    module = importlib.import_module(f"pulumi_azure_native.{module_name}")
    # The SDK writes XInitArgs where an input type of another resource already took the name.
    found: type = getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args")
    return found


def _require(value: object, hint: Any, path: str) -> None:  # noqa: ANN401 - a type hint is any object
    if value is None or value == UNKNOWN:
        return
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        if isinstance(option, type) and _types.is_input_type(option):
            _require_object(value, option, path)
            return
    if isinstance(value, list):
        sequences = [option for option in options if "Sequence" in str(typing.get_origin(option))]
        for index, item in enumerate(value):
            _require(item, typing.get_args(sequences[0])[0] if sequences else None, f"{path}[{index}]")


def _require_object(value: object, arguments: type, path: str) -> None:
    hints, names = _types.input_type_types(arguments), _types.input_type_py_to_pulumi_names(arguments)
    if not isinstance(value, dict):
        raise InvalidInput(path, f"expected an object, got {value!r}")
    for key in value:
        if key not in hints:
            raise InvalidInput(f"{path}.{key}".lstrip("."), f"'{key}' is not a property of {arguments.__name__}")
    for python_name, parameter in inspect.signature(arguments).parameters.items():
        name = names.get(python_name)
        if name and parameter.default is parameter.empty and value.get(name) is None:
            raise InvalidInput(f"{path}.{name}".lstrip("."), f"missing required property '{name}'")
    for key, item in value.items():
        _require(item, hints[key], f"{path}.{key}".lstrip("."))
