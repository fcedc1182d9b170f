"""The releases that stand for those of BOSH, UAA, CredHub, Concourse and the CPI.

Their jobs have the real ones' properties (as far as somebody here sets or reads them), so that a manifest
that lacks one fails where it would fail; their packages hold a line that starts a stand-in, or the real
program. Versions are those of the refreshed BUCC in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paver.lab.standins.tarballs import Job, Package, Release

OPERATING_SYSTEM = "ubuntu-noble"
STEMCELL_VERSION = "1.484"
COMPILED_FOR = f"{OPERATING_SYSTEM}/{STEMCELL_VERSION}"
_NOTHING: Mapping[str, Any] = {}


def bucc_releases(interpreter: str, pythonpath: str) -> list[Release]:
    """Returns the releases of the director's VM; stand-ins run under `interpreter`."""

    def run(module: str) -> tuple[bytes, bool]:
        return script(
            f'export PYTHONPATH={pythonpath}\nexec {interpreter} -m paver.lab.standins.{module} "$@"'
        )

    return [
        Release(
            "bosh",
            "283.1.6",
            (
                Job("nats", properties=specs("nats.address nats.user nats.password nats.tls.ca")),
                Job(
                    "blobstore",
                    properties=specs("blobstore.port blobstore.director.password blobstore.tls.cert.ca"),
                ),
                Job(
                    "health_monitor",
                    properties=specs("hm.director_account.ca_cert hm.director_account.client_id"),
                ),
                _director(),
            ),
            (Package("director", {"bin/director": run("director")}),),
            COMPILED_FOR,
        ),
        Release("bpm", "1.4.38", (Job("bpm"),), (), COMPILED_FOR),
        Release(
            "os-conf",
            "23.0.2",
            (Job("user_add", properties=specs("users")), Job("ca_certs", properties=specs("certs"))),
            (),
            COMPILED_FOR,
        ),
        Release(
            "postgres",
            "53",
            (Job("postgres", properties=specs("databases.port databases.databases databases.roles")),),
            (),
            COMPILED_FOR,
        ),
        Release("uaa", "79.6.0", (_uaa(),), (Package("uaa", {"bin/uaa": run("uaa")}),), COMPILED_FOR),
        Release(
            "credhub",
            "2.15.19",
            (_credhub(),),
            (Package("credhub", {"bin/credhub": run("credhub")}),),
            COMPILED_FOR,
        ),
        Release(
            "concourse",
            "8.0.1",
            (_web(), _worker()),
            (Package("concourse", {"bin/concourse": run("concourse")}),),
            COMPILED_FOR,
        ),
        Release(
            "credhub-importer",
            "1.1.0",
            (_importer(),),
            (Package("credhub-importer", {"bin/import": run("credhub_importer")}),),
            COMPILED_FOR,
        ),
        bosh_dns(),
        _cpi(interpreter, pythonpath),
    ]


def bosh_dns() -> Release:
    """Returns the DNS release, which the director needs as well as every VM by a runtime config."""
    names = (
        "cache.enabled configure_systemd_resolved disable_recursors override_nameserver records_file "
        "api.server.tls api.client.tls health.enabled health.server.tls health.client.tls"
    )
    defaults = {"cache.enabled": False, "override_nameserver": True, "health.enabled": False}
    template = (
        '<%= JSON.dump({"api" => p("api.server.tls")["ca"], "client" => p("api.client.tls")["ca"]}) %>\n'
    )
    job = Job("bosh-dns", {"config/config.json": template}, specs(names, defaults))
    return Release("bosh-dns", "1.39.28", (job,))


def _cpi(interpreter: str, pythonpath: str) -> Release:
    properties = specs(
        "vcenter.address vcenter.host vcenter.user vcenter.password vcenter.datacenters vcenter.default_disk_type "
        "vcenter.connection_options.ca_cert agent.mbus ntp",
        {"vcenter.default_disk_type": "preallocated", "ntp": ["0.pool.ntp.org"]},
    )
    command = """#!/bin/bash
exec "${BOSH_PACKAGES_DIR:-/var/vcap/packages}/vsphere_cpi/bin/vsphere_cpi" \\
    --config "${BOSH_JOBS_DIR:-/var/vcap/jobs}/vsphere_cpi/config/cpi.json"
"""
    config = """<%=
datacenters = p('vcenter.datacenters').map do |datacenter|
  { 'vm_folder' => 'BOSH_VMs', 'template_folder' => 'BOSH_Templates', 'disk_path' => 'BOSH_Disks' }.merge(datacenter)
end
connection = {}
if_p('vcenter.connection_options.ca_cert') { |ca| connection['ca_cert'] = ca }
JSON.dump('cloud' => { 'plugin' => 'vsphere', 'properties' => {
  'vcenters' => [{ 'host' => p(['vcenter.host', 'vcenter.address']), 'user' => p('vcenter.user'),
                   'password' => p('vcenter.password'), 'default_disk_type' => p('vcenter.default_disk_type'),
                   'connection_options' => connection, 'datacenters' => datacenters }],
  'agent' => { 'ntp' => p('ntp'), 'mbus' => p('agent.mbus') } } })
%>
"""
    package = Package(
        "vsphere_cpi",
        {
            "packaging": (
                b'set -e\nmkdir -p "${BOSH_INSTALL_TARGET}/bin"\ninstall -m 755 vsphere_cpi "${BOSH_INSTALL_TARGET}/bin/"\n',
                True,
            ),
            "vsphere_cpi": script(
                f'export PYTHONPATH={pythonpath}\nexec {interpreter} -m paver.lab.standins.cpi "$@"'
            ),
        },
    )
    job = Job("vsphere_cpi", {"bin/cpi": command, "config/cpi.json": config}, properties, ("vsphere_cpi",))
    return Release("bosh-vsphere-cpi", "98.0.9", (job,), (package,))


def _director() -> Job:
    names = (
        "director.name director.address director.port director.workers director.ssl.cert director.ssl.key director.cpi_job "
        "director.user_management.provider director.user_management.uaa.url director.user_management.uaa.public_key "
        "director.config_server.enabled director.config_server.url director.config_server.ca_cert "
        "director.config_server.uaa.url director.config_server.uaa.ca_cert director.config_server.uaa.client_id "
        "director.config_server.uaa.client_secret director.trusted_certs agent.mbus agent.env.bosh nats.tls.client_ca "
        "ntp"
    )
    defaults: dict[str, Any] = {"director.port": 25555, "director.trusted_certs": "", "director.workers": 3}
    fields = {
        "name": "p('director.name')",
        "address": "p('director.address')",
        "port": "p('director.port')",
        "certificate": "p('director.ssl.cert')",
        "private_key": "p('director.ssl.key')",
        "cpi_job": "p('director.cpi_job')",
        "uaa_url": "p('director.user_management.uaa.url')",
        "uaa_public_key": "p('director.user_management.uaa.public_key')",
        "credhub_url": "p('director.config_server.url')",
        "credhub_ca": "p('director.config_server.ca_cert')",
        "credhub_uaa": "{'url' => p('director.config_server.uaa.url'), 'ca' => p('director.config_server.uaa.ca_cert'), "
        "'client' => p('director.config_server.uaa.client_id'), 'secret' => p('director.config_server.uaa.client_secret')}",
        "trusted_certs": "p('director.trusted_certs')",
        "agent_env": "p('agent.env.bosh')",
        "agent_ca": "p('nats.tls.client_ca')",
    }
    return _service("director", "director", fields, "director.port", specs(names, defaults))


def _uaa() -> Job:
    names = (
        "uaa.url uaa.port uaa.sslCertificate uaa.sslPrivateKey uaa.jwt.policy.active_key_id uaa.jwt.policy.keys "
        "uaa.clients uaa.scim.users uaa.scim.groups uaa.zones.internal.hostnames encryption.active_key_label "
        "encryption.encryption_keys login.saml.activeKeyId login.saml.keys"
    )
    fields = {
        "url": "p('uaa.url')",
        "port": "p('uaa.port')",
        "certificate": "p('uaa.sslCertificate')",
        "private_key": "p('uaa.sslPrivateKey')",
        "active_key": "p('uaa.jwt.policy.active_key_id')",
        "keys": "p('uaa.jwt.policy.keys')",
        "clients": "p('uaa.clients')",
        "users": "p('uaa.scim.users')",
        "passphrase": "p('encryption.encryption_keys').first['passphrase']",
    }
    return _service("uaa", "uaa", fields, "uaa.port", specs(names, {"uaa.port": 8443, "uaa.scim.users": []}))


def _credhub() -> Job:
    names = (
        "credhub.port credhub.tls credhub.authentication.uaa.url credhub.authentication.uaa.verification_key "
        "credhub.authentication.uaa.ca_certs credhub.authorization.acls.enabled credhub.certificates.concatenate_cas "
        "credhub.encryption.keys credhub.encryption.providers credhub.data_storage.type"
    )
    fields = {
        "port": "p('credhub.port')",
        "certificate": "p('credhub.tls')['certificate']",
        "private_key": "p('credhub.tls')['private_key']",
        "uaa_url": "p('credhub.authentication.uaa.url')",
        "verification_key": "p('credhub.authentication.uaa.verification_key')",
        "acls": "p('credhub.authorization.acls.enabled')",
        "encryption_password": "p('credhub.encryption.keys').find { |key| key['active'] }['key_properties']['encryption_password']",
    }
    defaults = {"credhub.port": 8844, "credhub.authorization.acls.enabled": True}
    return _service("credhub", "credhub", fields, "credhub.port", specs(names, defaults))


def _web() -> Job:
    names = (
        "external_url bind_port tls_bind_port tls_cert tls_key add_local_users main_team.auth.local.users "
        "main_team.auth.oauth.groups token_signing_key worker_gateway.host_key worker_gateway.authorized_keys "
        "credhub.url credhub.client_id credhub.client_secret credhub.tls.ca_cert.certificate postgresql.host "
        "generic_oauth.client_id"
    )
    fields = {
        "external_url": "p('external_url')",
        "port": "p('tls_bind_port')",
        "certificate": "p('tls_cert')",
        "private_key": "p('tls_key')",
        "users": "p('add_local_users')",
        "main_team": "p('main_team.auth.local.users')",
        "main_groups": "p('main_team.auth.oauth.groups')",
        "signing_key": "p('token_signing_key')['private_key']",
        "host_key": "p('worker_gateway.host_key')['public_key']",
        "authorized_keys": "p('worker_gateway.authorized_keys')",
        "credhub": "{'url' => p('credhub.url'), 'client' => p('credhub.client_id')}",
    }
    return _service("web", "concourse", fields, "tls_bind_port", specs(names))


def _worker() -> Job:
    config = """<%= JSON.dump('key' => p('worker_gateway.worker_key')['public_key'],
  'host_key' => p('worker_gateway.host_public_key'), 'ephemeral' => p('ephemeral')) %>
"""
    names = "ephemeral worker_gateway.worker_key worker_gateway.host_public_key worker_gateway.hosts"
    return Job("worker", {"config/worker.json": config}, specs(names, {"ephemeral": False}))


def _importer() -> Job:
    config = """<%= JSON.dump('server' => p('credhub.server'), 'username' => p('credhub.username'),
  'password' => p('credhub.password'), 'ca' => p('credhub.ca_cert'), 'entries' => p('credhub.import_credentials')) %>
"""
    run = """#!/bin/bash
exec /var/vcap/packages/credhub-importer/bin/import --config /var/vcap/jobs/credhub-importer/config/import.json
"""
    names = "credhub.server credhub.username credhub.password credhub.ca_cert credhub.import_credentials"
    return Job(
        "credhub-importer",
        {"config/import.json": config, "bin/post-start": run},
        specs(names),
        ("credhub-importer",),
    )


def _service(
    job: str,
    package: str,
    fields: Mapping[str, str],
    port: str,
    properties: Mapping[str, Mapping[str, Any]],
) -> Job:
    bpm = f"""processes:
- name: {job}
  executable: /var/vcap/packages/{package}/bin/{package}
  args: [--config, /var/vcap/jobs/{job}/config/{job}.json]
  lab_ports: [<%= p('{port}') %>]
"""
    lines = ",\n".join(f"  '{name}' => {expression}" for name, expression in fields.items())
    config = f"<%= JSON.dump({{\n{lines}\n}}) %>\n"
    return Job(job, {"config/bpm.yml": bpm, f"config/{job}.json": config}, properties, (package,))


def specs(names: str, defaults: Mapping[str, Any] = _NOTHING) -> dict[str, dict[str, Any]]:
    """Returns a job spec's properties from their names and defaults."""
    return {name: {"default": defaults[name]} if name in defaults else {} for name in names.split()}


def script(text: str) -> tuple[bytes, bool]:
    """Returns an executable file of a package."""
    return (f"#!/bin/bash\n{text}\n".encode(), True)
