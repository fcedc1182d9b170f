"""The releases that a director deploys: their jobs start the real MinIO and the real registry.

What the servers get comes from the jobs' rendered templates alone, so they are the judges of a manifest.
"""

from __future__ import annotations

from paver.lab.standins.stub_releases import COMPILED_FOR, script, specs
from paver.lab.standins.tarballs import Job, Package, Release


def minio(binary: str) -> Release:
    """Returns the MinIO release, whose job starts the real server at `binary`."""
    properties = specs(
        "credential.accesskey credential.secretkey port server_config server_cert server_key ca_cert "
        "enable_bucket_notification browser",
        {"port": 9000, "browser": "on"},
    )
    # As the release's own ctl has it: bash takes some characters between double quotes for its own.
    start = """#!/bin/bash
export MINIO_ROOT_USER="<%= p('credential.accesskey') %>"
export MINIO_ROOT_PASSWORD="<%= p('credential.secretkey') %>"
exec /var/vcap/packages/minio/bin/minio "$@"
"""
    bpm = """processes:
- name: minio-server
  executable: /var/vcap/jobs/minio-server/bin/start
  args: [server, --quiet, --address, "<%= spec.ip %>:<%= p('port') %>", --certs-dir, /var/vcap/jobs/minio-server/config/certs, /var/vcap/store/minio-server]
  env:
    MINIO_BROWSER: "off"
    MINIO_UPDATE: "off"
  lab_ports: [<%= p('port') %>]
"""
    templates = {
        "bin/start": start,
        "config/bpm.yml": bpm,
        "config/certs/public.crt": "<%= p('server_cert').strip %>\n",
        "config/certs/private.key": "<%= p('server_key').strip %>\n",
        "config/certs/CAs/ca.crt": "<%= p('ca_cert', '').strip %>\n",
    }
    server = Job("minio-server", templates, properties, ("minio",))
    errands = tuple(
        Job(name, {"bin/run": "#!/bin/bash\nexit 0\n"}, specs("port", {"port": 9000}))
        for name in ("mc", "smoke-tests")
    )
    # A small store makes and drops much while it starts: a third less of a core with a quarter of the collections.
    package = Package("minio", {"bin/minio": script(f'GOGC=400 exec "${{PAVER_LAB_MINIO:-{binary}}}" "$@"')})
    return Release("minio", "2026.02.12", (server, *errands), (package,), COMPILED_FOR)


def docker_registry(binary: str) -> Release:
    """Returns the registry release: `registry` says where it stores, `proxy` serves it with TLS and passwords.

    In the real release the proxy is nginx; here the registry itself does both, from the proxy's properties. Cookie and
    password go into its files unquoted, as there.
    """
    storage = """version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: <%= p('docker.registry.root') %>}
  delete: {enabled: <%= p('docker.registry.storage_delete') %>}
  maintenance: {uploadpurging: {enabled: false}}
http:
  secret: <%= p('docker.registry.cookie', 'lab') %>
<% if_p('docker.registry.endpoint') do |endpoint| -%>
  host: <%= endpoint.to_json %>
<% end -%>
"""
    passwords = """<% p('docker.proxy.auth_basic').each do |user, entry|
  raise "docker.proxy.auth_basic of #{user} is no {PLAIN} password" unless entry.start_with?('{PLAIN}')
  salt = Digest::SHA256.hexdigest(user)[0, 22]
  # The release writes it as it is, and nginx reads it up to the next colon.
  read = entry.delete_prefix('{PLAIN}').partition(':').first -%>
<%= user %>:<%= read.crypt('$2y$04$' + salt) %>
<% end -%>
"""
    bpm = """processes:
- name: proxy
  executable: /var/vcap/packages/distribution/bin/registry
  args: [serve, /var/vcap/jobs/registry/config/registry.yml]
  env:
    OTEL_TRACES_EXPORTER: none
    REGISTRY_HTTP_ADDR: "<%= spec.ip %>:<%= p('docker.proxy.port', 443) %>"
    REGISTRY_HTTP_TLS_CERTIFICATE: /var/vcap/jobs/proxy/tls/cert.pem
    REGISTRY_HTTP_TLS_KEY: /var/vcap/jobs/proxy/tls/key.pem
    REGISTRY_AUTH: htpasswd
    REGISTRY_AUTH_HTPASSWD_REALM: registry
    REGISTRY_AUTH_HTPASSWD_PATH: /var/vcap/jobs/proxy/config/auth/registry
  lab_ports: [<%= p('docker.proxy.port', 443) %>]
"""
    registry = Job(
        "registry",
        {"config/registry.yml": storage},
        specs(
            "docker.registry.root docker.registry.cookie docker.registry.storage_delete docker.registry.endpoint",
            {"docker.registry.root": "/var/vcap/store/registry", "docker.registry.storage_delete": False},
        ),
        ("distribution",),
    )
    proxy = Job(
        "proxy",
        {
            "config/bpm.yml": bpm,
            "config/auth/registry": passwords,
            "tls/cert.pem": "<%= p('docker.proxy.ssl.cert').strip %>\n",
            "tls/key.pem": "<%= p('docker.proxy.ssl.key').strip %>\n",
        },
        specs(
            "docker.proxy.backend.hosts docker.proxy.backend.port docker.proxy.auth_basic "
            "docker.proxy.port docker.proxy.ssl.cert docker.proxy.ssl.key",
            {"docker.proxy.backend.hosts": ["127.0.0.1"], "docker.proxy.backend.port": 5000},
        ),
        ("distribution",),
    )
    package = Package(
        "distribution", {"bin/registry": script(f'exec "${{PAVER_LAB_REGISTRY:-{binary}}}" "$@"')}
    )
    return Release("docker-registry", "3.5.2", (registry, proxy), (package,), COMPILED_FOR)
