"""For each row of the simulator's table of refusals that a vCenter is for: an act that the row must refuse."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from xml.sax.saxutils import escape

from tests.support import vsim
from tests.support import vsim_wishes as wishes
from tests.support.vsim import Site, fault, vim

Probe = Callable[[Site], str | None]

_SSO = "/sso-adminserver/sdk/vsphere.local"


def datacenter(site: Site, content: Any = None) -> Any:
    """The datacenter, made when there is none."""
    root = (content or site.center()).rootFolder
    return root.childEntity[0] if root.childEntity else root.CreateDatacenter("north")


def cluster(site: Site, content: Any = None, **settings: bool) -> Any:
    """A cluster, with DRS unless told otherwise."""
    spec = vim.cluster.ConfigSpecEx(
        drsConfig=vim.cluster.DrsConfigInfo(enabled=settings.get("drs", True)),
        dasConfig=vim.cluster.DasConfigInfo(enabled=settings.get("ha", False)),
    )
    return datacenter(site, content).hostFolder.CreateClusterEx("compute", spec)


def managed(site: Site, content: Any = None, **settings: bool) -> tuple[Any, Any]:
    """A cluster with the first host in it."""
    made = cluster(site, content, **settings)
    return made, vsim.wait(made.AddHost_Task(site.connect_spec("esx-01"), True, None, None))


def add(site: Site, made: Any, name: str, **changes: Any) -> str | None:
    """The fault of taking a host in."""
    return fault(lambda: made.AddHost_Task(site.connect_spec(name, **changes), True, None, None))


def machine(site: Site, name: str = "vm-1", **wish: Any) -> Any:
    """A machine made through the vCenter, on the one host there is."""
    where = datacenter(site)
    pool = where.hostFolder.childEntity[0].resourcePool
    return vsim.wait(where.vmFolder.CreateVM_Task(wishes.machine_spec(name, **wish), pool))


def soap(
    site: Site, path: str, body: str, *, cookie: str = "", header: str = "", action: str = ""
) -> tuple[str, str]:
    """A call without any library: the answer and the cookie that came with it."""
    envelope = (
        '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<S:Header>{header}</S:Header><S:Body>{body}</S:Body></S:Envelope>"
    )
    connection = http.client.HTTPSConnection(site.vcenter, vsim.PORT, context=vsim.trusting(), timeout=20)
    headers = {"Content-Type": "text/xml", "SOAPAction": action, **({"Cookie": cookie} if cookie else {})}
    connection.request("POST", path, body=envelope.encode(), headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    given = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    connection.close()
    return text, given


def named_fault(text: str) -> str | None:
    """The fault in an answer, by its type."""
    if "faultcode" not in text:
        return None
    return text.partition('xsi:type="')[2].partition('"')[0]


def token(site: Site, user: str, password: str) -> str:
    """A security header with a token of the token service."""
    header = (
        '<wsse:Security xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">'
        f"<wsse:UsernameToken><wsse:Username>{escape(user)}</wsse:Username>"
        f"<wsse:Password>{escape(password)}</wsse:Password></wsse:UsernameToken></wsse:Security>"
    )
    body = '<wst:RequestSecurityToken xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512"/>'
    text, _ = soap(site, "/sts/STSService/vsphere.local", body, header=header, action="Issue")
    start, end = text.find("<saml2:Assertion"), text.find("</saml2:Assertion>")
    return f"<Security>{text[start : end + len('</saml2:Assertion>')]}</Security>" if start >= 0 else ""


def sso_login(site: Site, header: str) -> tuple[str, str]:
    """The answer to a login to the administration of accounts, and its cookie."""
    body = '<Login xmlns="urn:sso"><_this type="SsoSessionManager">ssoSessionManager</_this></Login>'
    return soap(site, _SSO, body, header=header, action="urn:sso/version3_5")


def account(site: Site, name: str, password: str, *, cookie: str = "") -> str | None:
    """The fault of making an account, as the administrator unless another cookie is given."""
    if not cookie:
        _, cookie = sso_login(site, token(site, "administrator@vsphere.local", vsim.SSO))
    body = (
        '<CreateLocalPersonUser xmlns="urn:sso"><_this type="SsoAdminPrincipalManagementService">'
        f"principalManagementService</_this><userName>{name}</userName><userDetails><firstName>x</firstName>"
        f"<lastName>y</lastName></userDetails><password>{escape(password)}</password></CreateLocalPersonUser>"
    )
    text, _ = soap(site, _SSO, body, cookie=cookie)
    return named_fault(text)


CPI, CPI_PASSWORD = "cpi@vsphere.local", "Paver-Cpi-1!"


def with_role(site: Site, *privileges: str) -> Any:
    """Makes the CPI's account with a role on the datacenter, and logs it in."""
    assert account(site, "cpi", CPI_PASSWORD) is None
    content = site.center()
    role = content.authorizationManager.AddAuthorizationRole("cpi", list(privileges))
    grant(content, datacenter(site, content), role)
    return site.center(CPI, CPI_PASSWORD)


def grant(
    content: Any, entity: Any, role: int, principal: str = "VSPHERE.LOCAL\\cpi", *, propagate: bool = True
) -> None:
    """Gives a role on an entity, and on all below unless told otherwise."""
    permission = vim.AuthorizationManager.Permission(
        principal=principal, group=False, roleId=role, propagate=propagate
    )
    content.authorizationManager.SetEntityPermissions(entity, [permission])


def _datacenter_in_use(site: Site) -> str | None:
    managed(site)
    return fault(datacenter(site).Destroy_Task)


def _cluster_duplicate(site: Site) -> str | None:
    cluster(site)
    return fault(lambda: cluster(site))


def _pool_without_drs(site: Site) -> str | None:
    made = cluster(site, drs=False)
    share = vim.SharesInfo(level="normal", shares=1)
    size = vim.ResourceAllocationInfo(reservation=0, limit=-1, expandableReservation=True, shares=share)
    spec = vim.ResourceConfigSpec(cpuAllocation=size, memoryAllocation=size)
    return fault(lambda: made.resourcePool.CreateResourcePool("paver", spec))


def override(made: Any, operation: str, vm: Any) -> str | None:
    """The fault of changing what DRS of a cluster may do with a machine."""
    info = vim.cluster.DrsVmConfigInfo(key=vm, enabled=False)
    removed = operation == "remove"
    change = vim.cluster.DrsVmConfigSpec(
        operation=operation, info=None if removed else info, removeKey=vm if removed else None
    )
    spec = vim.cluster.ConfigSpecEx(drsVmConfigSpec=[change])
    return fault(lambda: made.ReconfigureComputeResource_Task(spec, True))


def _drs_override_elsewhere(site: Site) -> str | None:
    managed(site)
    other = datacenter(site).hostFolder.CreateClusterEx("other", vim.cluster.ConfigSpecEx())
    return override(other, "add", machine(site))


def _drs_override_absent(site: Site) -> str | None:
    """To add one may be done twice, to change or take away one that is not there both are refused, or neither is."""
    made, _ = managed(site)
    vm = machine(site)
    (only,) = {override(made, "remove", vm), override(made, "edit", vm)}
    assert [override(made, one, vm) for one in ("add", "add", "edit", "remove")] == [None] * 4
    return only


def _addhost_duplicate(site: Site) -> str | None:
    # Two hosts that are known by the same name: the second is another machine behind another port.
    made, _ = managed(site)
    here, _ = site.where("esx-01")
    return add(site, made, "esx-02", hostName=here)


def _addhost_connected(site: Site) -> str | None:
    # The host answers on every address of the machine, so it has two names.
    made = cluster(site)
    one, two = (site.connect_spec("esx-01", hostName=name) for name in ("127.0.0.2", "127.0.0.3"))
    vsim.wait(made.AddHost_Task(one, True, None, None))
    return fault(lambda: made.AddHost_Task(two, True, None, None))


def _addhost_certificate(site: Site, version: str, **changes: Any) -> str | None:
    """Names a host by its certificate, as clients of API 9.0 can, to a vCenter of some version."""
    site.vcenter = site.more_vcenter("other.north.example", version=version)
    content = site.center()
    content.rootFolder._stub.ComputeVersionInfo("vim.version.v9_0_0_0")
    pem = ssl.get_server_certificate(site.where("esx-01"))
    return add(site, cluster(site, content), "esx-01", sslCertificate=pem, **changes)


def _addhost_managed(site: Site) -> str | None:
    managed(site)
    site.vcenter = site.more_vcenter("other.north.example")
    return add(site, cluster(site), "esx-01")


def _addhost_free(site: Site) -> str | None:
    site.steer("/licence", {"server": "esx-01", "licence": "free"})
    return add(site, cluster(site), "esx-01")


def _licence_on_host(site: Site) -> str | None:
    managed(site)
    licences = site.host().licenseManager
    before = licences.licenses[0].licenseKey
    licences.UpdateLicense("STD00-STD00-STD00-STD00-STD00", None)
    # It looks after its hosts whenever somebody reads.
    assert site.center().licenseManager.licenses
    return "put back" if licences.licenses[0].licenseKey == before else None


def _managed_resources(site: Site) -> str | None:
    managed(site)
    machine = wishes.new_vm(site.host())
    spec = vim.vm.ConfigSpec(memoryAllocation=vim.ResourceAllocationInfo(reservation=64))
    return fault(lambda: machine.ReconfigVM_Task(spec))


def _host_remove_connected(site: Site) -> str | None:
    _, host = managed(site)
    return fault(host.Destroy_Task)


def _maintenance_running(site: Site) -> str | None:
    _, host = managed(site)
    vsim.wait(machine(site).PowerOnVM_Task(None))
    return fault(lambda: host.EnterMaintenanceMode_Task(0, None, None))


def _option_name(site: Site) -> str | None:
    option = vim.option.OptionValue(key="vcls.clusters.domain-c1.enabled", value="false")
    return fault(lambda: site.center().setting.UpdateOptions([option]))


def _clone_pool(site: Site) -> str | None:
    managed(site)
    template = machine(site, disk_kb=1024)
    template.MarkAsTemplate()
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
    return fault(lambda: template.CloneVM_Task(datacenter(site).vmFolder, "copy", spec))


def _clone_linked(site: Site) -> str | None:
    managed(site)
    vm = machine(site, disk_kb=1024)
    location = vim.vm.RelocateSpec(diskMoveType="createNewChildDiskBacking")
    spec = vim.vm.CloneSpec(location=location, powerOn=False, template=False)
    return fault(lambda: vm.CloneVM_Task(datacenter(site).vmFolder, "copy", spec))


def _folder_login(site: Site) -> str | None:
    managed(site)
    (site.folder / "esx-01" / "file").write_text("x")
    where = (site.vcenter, vsim.PORT)
    status, _ = wishes.request(where, "GET", "/folder/file?dcPath=north&dsName=datastore1")
    return str(status) if status == 401 else None


def _no_permission(site: Site) -> str | None:
    datacenter(site)
    content = with_role(site, "VirtualMachine.Interact.PowerOn")
    return fault(lambda: datacenter(site, content).vmFolder.CreateFolder("x"))


def _login_permission(site: Site) -> str | None:
    account(site, "cpi", CPI_PASSWORD)
    return fault(lambda: site.center(CPI, CPI_PASSWORD))


def _login_token(site: Site) -> str | None:
    forged = (
        '<Security><saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1"><saml2:Subject>'
        "<saml2:NameID>administrator@vsphere.local</saml2:NameID></saml2:Subject></saml2:Assertion></Security>"
    )
    body = (
        '<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></LoginByToken>'
    )
    text, _ = soap(site, "/sdk", body, header=forged)
    return named_fault(text)


def _role_duplicate(site: Site) -> str | None:
    manager = site.center().authorizationManager
    manager.AddAuthorizationRole("cpi", [])
    return fault(lambda: manager.AddAuthorizationRole("cpi", []))


def _role_in_use(site: Site) -> str | None:
    content = site.center()
    role = content.authorizationManager.AddAuthorizationRole("cpi", [])
    grant(content, datacenter(site, content), role, "administrator@vsphere.local")
    return fault(lambda: content.authorizationManager.RemoveAuthorizationRole(role, True))


def _permission_principal(site: Site) -> str | None:
    content = site.center()
    return fault(lambda: grant(content, content.rootFolder, -1, "VSPHERE.LOCAL\\nobody"))


def _permission_role(site: Site) -> str | None:
    content = site.center()
    return fault(lambda: grant(content, datacenter(site, content), 4711, "administrator@vsphere.local"))


def _permission_part(site: Site) -> str | None:
    """All parts are refused, or none is; a cluster and a datacenter's other folders are no parts."""
    made, content = cluster(site), site.center()
    where = datacenter(site)

    def met(entity: Any) -> str | None:
        return fault(lambda: grant(content, entity, -1, "administrator@vsphere.local"))

    assert {met(whole) for whole in (where, made, where.datastoreFolder, where.networkFolder)} == {None}
    (only,) = {met(part) for part in (made.resourcePool, where.vmFolder, where.hostFolder)}
    return only


def _permission_absent(site: Site) -> str | None:
    content = site.center()
    manager = content.authorizationManager
    return fault(lambda: manager.RemoveEntityPermission(content.rootFolder, "VSPHERE.LOCAL\\nobody", False))


def _sso_own_login(site: Site) -> str | None:
    return account(site, "cpi", CPI_PASSWORD, cookie=site.center().rootFolder._stub.cookie.partition(";")[0])


def _sso_admin(site: Site) -> str | None:
    account(site, "cpi", CPI_PASSWORD)
    _, cookie = sso_login(site, token(site, CPI, CPI_PASSWORD))
    return account(site, "other", CPI_PASSWORD, cookie=cookie)


def _autostart_ha(site: Site) -> str | None:
    managed(site, ha=True)
    host = wishes.compute(site.host())
    defaults = vim.host.AutoStartManager.SystemDefaults(enabled=True)
    spec = vim.host.AutoStartManager.Config(defaults=defaults)
    return fault(lambda: host.configManager.autoStartManager.ReconfigureAutostart(spec))


def _ha_admission(site: Site) -> str | None:
    managed(site, ha=True)
    vm = machine(site)
    return fault(lambda: vsim.wait(vm.PowerOnVM_Task(None)))


def _appliance_admin(site: Site) -> str | None:
    with_role(site, "System.Read")
    where = (site.vcenter, vsim.PORT)
    basic = base64.b64encode(f"{CPI}:{CPI_PASSWORD}".encode()).decode()
    status, id_ = wishes.request(where, "POST", "/api/session", headers={"Authorization": f"Basic {basic}"})
    assert status == 201
    session = {"vmware-api-session-id": json.loads(id_)}
    status, _ = wishes.request(where, "GET", "/api/appliance/local-accounts/root", headers=session)
    return str(status) if status != 200 else None


def _api_before(site: Site) -> str | None:
    where = site.more_vcenter("older.north.example", version="7.0.1"), vsim.PORT
    basic = base64.b64encode(f"administrator@vsphere.local:{vsim.SSO}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    before, _ = wishes.request(where, "POST", "/rest/com/vmware/cis/session", headers=headers)
    assert before == 200
    status, _ = wishes.request(where, "POST", "/api/session", headers=headers)
    return str(status) if status != 201 else None


def _sso_lock(site: Site) -> str | None:
    for _ in range(5):
        assert fault(lambda: site.center(password="wrong")) == "InvalidLogin"
    return fault(site.center)


PROBES: Mapping[str, Probe] = MappingProxyType(
    {
        "autostart-ha": _autostart_ha,
        "ha-admission": _ha_admission,
        "datacenter-duplicate": lambda s: (
            datacenter(s) and fault(lambda: s.center().rootFolder.CreateDatacenter("north"))
        ),
        "datacenter-in-use": _datacenter_in_use,
        "cluster-duplicate": _cluster_duplicate,
        "pool-without-drs": _pool_without_drs,
        "drs-override-elsewhere": _drs_override_elsewhere,
        "drs-override-absent": _drs_override_absent,
        "addhost-thumbprint": lambda s: add(s, cluster(s), "esx-01", sslThumbprint="00:11:22"),
        "addhost-both": lambda s: _addhost_certificate(s, "9.0.0"),
        "addhost-certificate": lambda s: _addhost_certificate(s, "8.0.3", sslThumbprint=None),
        "addhost-duplicate": _addhost_duplicate,
        "addhost-connected": _addhost_connected,
        "addhost-managed": _addhost_managed,
        "addhost-newer": lambda s: add(s, cluster(s), "esx-01"),
        "addhost-free": _addhost_free,
        "licence-on-host": _licence_on_host,
        "managed-resources": _managed_resources,
        "host-remove-connected": _host_remove_connected,
        "maintenance-running": _maintenance_running,
        "option-name": _option_name,
        "clone-pool": _clone_pool,
        "clone-linked": _clone_linked,
        "vc-folder-login": _folder_login,
        "no-permission": _no_permission,
        "login-permission": _login_permission,
        "login-token": _login_token,
        "sso-lock": _sso_lock,
        "api-before": _api_before,
        "appliance-admin": _appliance_admin,
        "role-privilege": lambda s: fault(
            lambda: s.center().authorizationManager.AddAuthorizationRole("cpi", ["No.Such"])
        ),
        "role-duplicate": _role_duplicate,
        "role-in-use": _role_in_use,
        "permission-principal": _permission_principal,
        "permission-role": _permission_role,
        "permission-part": _permission_part,
        "permission-absent": _permission_absent,
        "sso-own-login": _sso_own_login,
        "sso-token": lambda s: named_fault(sso_login(s, "")[0]),
        "sso-admin": _sso_admin,
        "sso-password": lambda s: account(s, "cpi", "weak"),
        "sso-password-row": lambda s: account(s, "cpi", "Paver-1111"),
    }
)

# What a probe needs of its site, where that is not one host and a vCenter.
NEEDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "addhost-newer": {"version": "9.0.0"},
        "addhost-connected": {"listen": "0.0.0.0"},  # noqa: S104 - loopback alone is reached
        "addhost-duplicate": {"hosts": 2, "listen": "127.0.0.2"},
    }
)
