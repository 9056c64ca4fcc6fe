"""Resources as tests make them in the Azure stand-in; nothing boots."""

from typing import Any

from sandbox.cloud.azure_native import AzureNative

GROUP, ADDRESS = "azure-native:resources:ResourceGroup", "azure-native:network:PublicIPAddress"
NETWORK, SUBNET = "azure-native:network:VirtualNetwork", "azure-native:network:Subnet"
RULES, INTERFACE = "azure-native:network:NetworkSecurityGroup", "azure-native:network:NetworkInterface"
BALANCER = "azure-native:network:LoadBalancer"
MACHINE, SCHEDULE = "azure-native:compute:VirtualMachine", "azure-native:devtestlab:GlobalSchedule"
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
_HERE = {"resourceGroupName": "rg", "location": "westeurope"}


def make(azure: AzureNative, token: str, **inputs: object) -> tuple[str, dict[str, Any]]:
    return azure.create(token, "urn", azure.check(token, "name", {}, dict(inputs), b"seed"), 0)


def group(azure: AzureNative) -> tuple[str, dict[str, Any]]:
    return make(azure, GROUP, **_HERE)


def address(azure: AzureNative, name: str) -> tuple[str, dict[str, Any]]:
    inputs = {**_HERE, "publicIpAddressName": name, "sku": {"name": "Standard"}}
    return make(azure, ADDRESS, **inputs, publicIPAllocationMethod="Static")


def subnet(azure: AzureNative, prefix: str = "10.60.0.0/24") -> str:
    """The id of a subnet in a network of its own."""
    space = {"addressPrefixes": ["10.60.0.0/16"]}
    name = f"net-{prefix.replace('/', '-')}"
    make(azure, NETWORK, **_HERE, virtualNetworkName=name, addressSpace=space)
    inputs = {"resourceGroupName": "rg", "virtualNetworkName": name, "subnetName": "machines"}
    return make(azure, SUBNET, **inputs, addressPrefix=prefix)[0]


def interface_inputs(name: str, subnet: str, static: str | None = None, **setting: object) -> dict[str, Any]:
    """The inputs of an interface with one private address: this one, or one that Azure chooses."""
    chosen = {"privateIPAllocationMethod": "Static", "privateIPAddress": static} if static else {}
    settings = [{"name": "main", "subnet": {"id": subnet}, "privateIPAllocationMethod": "Dynamic", **chosen, **setting}]
    return {**_HERE, "networkInterfaceName": name, "ipConfigurations": settings}


def interface(azure: AzureNative, name: str, subnet: str, static: str | None = None) -> str:
    """Makes such an interface; its private address."""
    _, state = make(azure, INTERFACE, **interface_inputs(name, subnet, static))
    return str(state["ipConfigurations"][0]["privateIPAddress"])


def balancer_inputs(address: str, sku: str = "Standard", **backend: object) -> dict[str, Any]:
    """The inputs of a load balancer with one rule, in front of one address of a backend."""
    own = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/api"
    backends = [{"name": "first", "ipAddress": "10.60.0.4", **backend}]
    rule = {"name": "api", "protocol": "Tcp", "frontendPort": 6443, "backendPort": 6443}
    rule |= {"frontendIPConfiguration": {"id": f"{own}/frontendIPConfigurations/api"}}
    rule |= {"backendAddressPool": {"id": f"{own}/backendAddressPools/servers"}, "probe": {"id": f"{own}/probes/api"}}
    return {
        **_HERE,
        "loadBalancerName": "api",
        "sku": {"name": sku},
        "frontendIPConfigurations": [{"name": "api", "publicIPAddress": {"id": address}}],
        "backendAddressPools": [{"name": "servers", "loadBalancerBackendAddresses": backends}],
        "probes": [{"name": "api", "protocol": "Tcp", "port": 6443}],
        "loadBalancingRules": [rule],
    }


def machine_inputs(**profile: object) -> dict[str, Any]:
    ssh = {"publicKeys": [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA"}]}
    linux = {"disablePasswordAuthentication": True, "ssh": ssh}
    user = {"computerName": "m", "adminUsername": "azureuser", "linuxConfiguration": linux}
    return {"resourceGroupName": "rg", "vmName": "m", "osProfile": {**user, **profile}}
