"""A release as `bosh create-env` compiles one, and what proves that it did: without a network, on the booted image.

The official CLI compiles a CPI's packages on the jumpbox before it calls the CPI. So the release here has a package in C
that links against every library that CPI releases build their Ruby and its gems with, one in Ruby, and a CPI that
answers with what both say when they run. It is no cloud, and says so: that is how the run ends.
"""

from __future__ import annotations

import io
import re
import tarfile

import yaml

from paver.image.prove.guest import Guest
from paver.image.prove.report import Line
from paver.lab.standins import tarballs
from paver.lab.standins.tarballs import Job, Package, Release, Stemcell

GROUP = "create-env"
FOLDER = "/var/tmp/paver-proof"  # noqa: S108 - on the machine that is proved
SECONDS = 900.0
"""That the run may take; by software emulation it is the compilers that take long."""

COMMAND = f"cd {FOLDER} && HOME={FOLDER} bosh create-env --tty -n manifest.yml --state state.json 2>&1"

_LIBRARIES = "-lz -lssl -lcrypto -lyaml -lreadline -lxml2 -lxslt -lsqlite3"
_C = """\
#include <stdio.h>
#include <zlib.h>
#include <openssl/crypto.h>
#include <yaml.h>
#include <readline/readline.h>
#include <libxml/xmlversion.h>
#include <libxslt/xslt.h>
#include <sqlite3.h>

int main(void) {
    printf("C with zlib %s, %s, libyaml %s, readline %s, libxml2 %s, libxslt %s, SQLite %s", zlibVersion(),
           OpenSSL_version(OPENSSL_VERSION), yaml_get_version_string(), rl_library_version, xmlParserVersion,
           xsltEngineVersion, sqlite3_libversion());
    return 0;
}
"""
_C_PACKAGING = f"""\
set -e
mkdir -p "$BOSH_INSTALL_TARGET/bin"
cc -O1 -Wall -Werror -I/usr/include/libxml2 -o "$BOSH_INSTALL_TARGET/bin/said_in_c" said.c {_LIBRARIES}
"""
_RUBY = 'print "Ruby #{RUBY_VERSION} after #{ENV.fetch(%q(SAID_IN_C)).split.first}"\n'
_RUBY_PACKAGING = """\
set -e
mkdir -p "$BOSH_INSTALL_TARGET/lib"
test -x "$BOSH_PACKAGES_DIR/said_in_c/bin/said_in_c"
ruby -e 'compiled = RubyVM::InstructionSequence.compile_file("said.rb").to_binary
File.binwrite(File.join(ENV.fetch("BOSH_INSTALL_TARGET"), "lib/said.bin"), compiled)'
"""
_CPI = """\
#!/bin/bash
case $(cat) in
    *'"method":"info"'*) echo '{"result":{"api_version":2,"stemcell_formats":["none"]},"error":null,"log":""}'; exit ;;
esac
SAID_IN_C=$("$BOSH_PACKAGES_DIR/said_in_c/bin/said_in_c")
export SAID_IN_C
ruby=$(ruby -e 'RubyVM::InstructionSequence.load_from_binary(File.binread(ARGV[0])).eval' \\
    "$BOSH_PACKAGES_DIR/said_in_ruby/lib/said.bin")
printf '{"result":null,"error":{"type":"Proof","message":"(%s) (%s)","ok_to_retry":false},"log":""}' \\
    "$SAID_IN_C" "$ruby"
"""
_COMPILED = re.compile(r"Compiling package '(\w+)/\w+'\.\.\. Finished")
_IN_C = re.compile(r"\((C with zlib [^()]+)\)")
_IN_RUBY = re.compile(r"\((Ruby [\d.]+ after C)\)")


def files() -> dict[str, bytes]:
    """Returns what lies beside each other in `FOLDER`: the release, a stemcell that nobody boots, the manifest."""
    packages = (
        Package("said_in_c", {"packaging": (_C_PACKAGING.encode(), True), "said.c": (_C.encode(), False)}),
        Package(
            "said_in_ruby",
            {"packaging": (_RUBY_PACKAGING.encode(), True), "said.rb": (_RUBY.encode(), False)},
            ("said_in_c",),
        ),
    )
    job = Job("cpi", {"bin/cpi": _CPI}, {}, ("said_in_c", "said_in_ruby"))
    stemcell = Stemcell("nobody", "1", "none", b"no disk", {})
    return {
        "release.tgz": tarballs.release_tarball(Release("proof", "1", (job,), packages)),
        "stemcell.tgz": tarballs.stemcell_tarball(stemcell),
        "manifest.yml": yaml.safe_dump(_manifest(), sort_keys=False).encode(),
    }


def compiled(asked: Guest) -> list[Line]:
    """Has the machine compile and run the release, and returns what that proves.

    Raises:
        PaverError: the machine does not answer any more.
    """
    asked.run(f"mkdir -p {FOLDER} && tar -xC {FOLDER}", stdin=archive())
    return judge(asked.run(COMMAND, timeout=SECONDS).text)


def archive() -> bytes:
    """Returns `files` as a tar."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files().items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def judge(out: str) -> list[Line]:
    """Returns what the output of the run proves."""
    flat = " ".join(out.split())
    in_c, in_ruby = _IN_C.search(flat), _IN_RUBY.search(flat)
    last = "\n".join(out.strip().splitlines()[-6:])
    compiled = set(_COMPILED.findall(out)) == {"said_in_c", "said_in_ruby"}
    return [
        Line(
            GROUP,
            "bosh create-env compiled both packages",
            compiled,
            "said_in_c, said_in_ruby" if compiled else last,
        ),
        Line(GROUP, "what it compiled from C runs", in_c is not None, in_c[1] if in_c else last),
        Line(GROUP, "what it compiled from Ruby runs", in_ruby is not None, in_ruby[1] if in_ruby else last),
    ]


def _manifest() -> dict[str, object]:
    network = {"range": "192.0.2.0/24", "gateway": "192.0.2.1", "static": ["192.0.2.10"]}
    stemcell = {"url": "file://stemcell.tgz", "sha1": ""}
    return {
        "name": "proof",
        "releases": [{"name": "proof", "version": "1", "url": "file://release.tgz", "sha1": ""}],
        "resource_pools": [
            {"name": "vms", "network": "default", "stemcell": stemcell, "cloud_properties": {}}
        ],
        "networks": [{"name": "default", "type": "manual", "subnets": [network]}],
        "instance_groups": [
            {
                "name": "proof",
                "instances": 1,
                "resource_pool": "vms",
                "networks": [{"name": "default", "static_ips": ["192.0.2.10"]}],
                "jobs": [{"name": "cpi", "release": "proof"}],
            }
        ],
        "cloud_provider": {
            "template": {"name": "cpi", "release": "proof"},
            "mbus": "https://mbus:none@192.0.2.10:6868",
            "properties": {},
        },
    }
