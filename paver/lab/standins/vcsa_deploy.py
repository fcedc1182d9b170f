"""A stand-in for `vcsa-deploy` of vCenter's installer: same options, template, questions, output, and effect.

It really deploys the appliance's OVA onto the host that the template names, powers it on and waits until
vCenter answers there. As the real one it asks on its standard input where something is left open, and so
hangs where nobody answers. `PAVER_LAB_VCSA_FAULT` makes it fail on purpose: `precheck`, `ask` (about a
certificate that it should know), `hang` (in first boot), `fail-firstboot` (a half-made appliance stays).

Not simulated: `upgrade`, `migrate`, deployment through another vCenter, vSAN, DHCP, IPv6.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from paver.lab.room import resolver
from paver.lab.standins import vcsa_esxi, vcsa_firstboot, vcsa_template
from paver.lab.standins.vcsa_console import Console
from paver.lab.standins.vcsa_template import Template, TemplateError

_FLOW = "embedded_vCSA_on_ESXi"
_CHECKS = "template_validation"
_GIB = 2**30
_THIN_NEEDS = 45 * _GIB  # what a thin tiny takes
_FAULTS = {"", "precheck", "ask", "hang", "fail-firstboot"}


class InstallError(Exception):
    """The installation ends here; the message is what the installer says."""


def main(arguments: list[str] | None = None) -> int:
    """Runs `vcsa-deploy` and returns its exit code: 0, or 1 with the reason in the log."""
    options = _options().parse_args(arguments)
    if options.operation != "install":
        sys.stderr.write(f"vcsa-deploy {options.operation} is not simulated\n")
        return 1
    if not options.accept_eula and not options.verify_template_only:
        sys.stdout.write("You must accept the EULA to proceed: run the command again with --accept-eula.\n")
        return 1
    console = Console(options.log_dir, sys.stdout, terse=options.terse)
    with contextlib.closing(console):
        console.say('Run the installer with "-v" or "--verbose" to log detailed information')
        console.say(
            f"Updating log file location, copying the log file of this run to the desired location: "
            f"'{console.folder / 'vcsa-cli-installer.log'}'"
        )
        console.say(f"Workflow log-dir {console.folder}")
        console.status("in_progress")
        run = _Run(options, console, os.environ.get("PAVER_LAB_VCSA_FAULT", ""))
        try:
            run.install()
        except (InstallError, TemplateError, vcsa_esxi.HostError) as error:
            console.error(str(error))
            console.status("error", str(error))
            console.say("=" * 35 + " Result and Log File Information " + "=" * 35)
            console.say(f"vcsa-deploy execution failed, workflow log dir: {console.folder}", level="ERROR")
            return 1
        console.status("success")
        console.say(f"vcsa-deploy execution successfully completed, workflow log dir: {console.folder}")
    return 0


@dataclasses.dataclass(frozen=True)
class _Run:
    """One run: what it was asked for, where it talks, and which fault it is to have."""

    options: argparse.Namespace
    console: Console
    fault: str

    def install(self) -> None:
        if self.fault not in _FAULTS:
            raise InstallError(f"PAVER_LAB_VCSA_FAULT: {self.fault!r} is none of {sorted(_FAULTS)}")
        template = self._template()
        if self.options.verify_template_only:
            return
        with self._task(
            "To ask for passwords.", "PasswordTask: Asking for passwords that the template lacks", _CHECKS
        ):
            template = self._fill_in(template)
        with self._task("To check the target ESXi", "PrecheckTask: Running prechecks", _FLOW):
            pem = self._certificate(template)
            self._site(template)
        address, port = _endpoint(template.host)
        with vcsa_esxi.session(address, port, pem, template.username, template.password) as host:
            with self._task("To validate the target", "TargetValidationTask: Validating the target", _FLOW):
                place = host.place(template.name, template.port_group, template.datastore)
                if (free := host.free(place)) < _THIN_NEEDS:
                    raise InstallError(
                        f"Datastore '{template.datastore}' has {free // _GIB} GB free; "
                        f"at least {_THIN_NEEDS // _GIB} GB are required."
                    )
                if self.fault == "precheck":
                    raise InstallError("Precheck failed: insufficient resources on the target ESXi.")
            if self.options.precheck_only:
                return
            self._deploy(host, place, template)
        with self._task(
            "Provide the login information about new appliance.",
            "ApplianceLoginSummaryTask: Providing appliance login information.",
            _FLOW,
        ):
            for line in (
                f"    Appliance Name: {template.name}",
                f"    System Name: {template.system_name}",
                f"    System IP: {template.address}",
                f"    Log in as: Administrator@{template.sso_domain}",
            ):
                self.console.say(line)

    def _template(self) -> Template:
        path = self.options.template
        with self._task(
            "To validate CLI options",
            "CLIOptionsValidationTask: Executing CLI options validation task",
            _CHECKS,
        ):
            if not str(path).isascii():
                raise InstallError(f"The path '{path!a}' of the template contains non-ASCII characters.")
            try:
                raw = json.loads(path.read_bytes().decode("utf-8"))
            except (OSError, ValueError) as error:
                raise InstallError(
                    f"Template syntax validation for template '{path}' failed: {error}"
                ) from error
            self.console.say("Command line arguments verfied.")
        with self._task(
            "To validate the syntax and structure of the template.",
            "SyntaxValidationTask: Executing Template Syntax Validation task",
            _CHECKS,
        ):
            template = vcsa_template.read(raw)
            if template.ceip and not self.options.acknowledge_ceip:
                raise InstallError("CEIP is enabled in the template: --acknowledge-ceip is required.")
            self.console.say(f"Template structure validation for template '{path}' succeeded.")
        return template

    def _fill_in(self, template: Template) -> Template:
        """Asks for the passwords that are blank."""
        blanks = {
            "password": f"Password of {template.username}@{template.host}: ",
            "root_password": "Password of the appliance's root: ",
            "sso_password": f"Password of Administrator@{template.sso_domain}: ",
        }
        answers: dict[str, Any] = {
            key: self._ask(text) for key, text in blanks.items() if not getattr(template, key)
        }
        return dataclasses.replace(template, **answers)

    def _certificate(self, template: Template) -> str:
        """Returns the host's certificate if it is the one named, or somebody says that it's right."""
        pem = vcsa_esxi.certificate(*_endpoint(template.host))
        shown = vcsa_esxi.thumbprint(pem)
        if template.thumbprint:
            self.console.say("Specifying a thumbprint is deprecated.", level="WARNING")
        known = template.thumbprint.upper() == shown
        if template.thumbprint and not known:
            raise InstallError(
                f"The thumbprint '{template.thumbprint}' in the template is not the one of '{template.host}': '{shown}'."
            )
        skip = template.unverified or self.options.no_ssl_certificate_verification
        if (known or skip) and self.fault != "ask":
            return pem
        self.console.say(f"The certificate of server '{template.host}' is not trusted. Thumbprint: {shown}")
        if self._ask("Type 1 to accept the certificate, anything else to stop: ") != "1":
            raise InstallError(f"The certificate of '{template.host}' was not accepted.")
        return pem

    def _site(self, template: Template) -> None:
        """Asks the template's own DNS servers, both ways, and its time servers."""
        servers = ", ".join(template.dns)
        name, address = template.system_name, template.address
        if name != address:
            found = resolver.address(name, template.dns)
            if found != address:
                raise InstallError(
                    f"The system name '{name}' resolves to {found or 'nothing'} on the DNS servers {servers}, not to {address}."
                )
            back = resolver.name(address, template.dns)
            if (back or "").rstrip(".").lower() != name.lower():
                raise InstallError(
                    f"The reverse lookup of {address} on the DNS servers {servers} gives {back or 'nothing'}, not '{name}'."
                )
        for server in template.ntp:
            where = server if server.replace(".", "").isdigit() else resolver.address(server, template.dns)
            if where is None or not resolver.tells_time(where):
                raise InstallError(
                    f"com.vmware.applmgmt.err_ntp_sync_failed: the NTP server '{server}' does not answer."
                )

    def _deploy(self, host: vcsa_esxi.Host, place: vcsa_esxi.Place, template: Template) -> None:
        say = self.console.say
        image = _image()
        with self._task(
            "Deploy vCenter Server Appliance", "OvfToolTask: Deploying the appliance by OVF Tool", _FLOW
        ):
            say(f"OVF Tool: {_ovftool()}")
            say(f"OVF Tool: Opening OVA source: {image}")
            say(f"OVF Tool: Deploying to VI: vi://{template.username}@{template.host}:443/")
            machine = host.deploy(
                image,
                vcsa_firstboot.machine(template, broken=self.fault == "fail-firstboot"),
                place,
                lambda percent: say(f"OVF Tool: Disk progress: {percent}%", chatter=True),
            )
            say("OVF Tool: Transfer Completed")
            say(f"OVF Tool: Powering on VM: {template.name}")
            host.power_on(machine)
            say("OVF Tool: Task Completed")
            say("OVF Tool: Completed successfully")
        with self._task("Monitor the deployment", "MonitorDeploymentTask: Monitoring Deployment", _FLOW):
            for step in vcsa_firstboot.watch(host, machine, template):
                self.console.progress(step.task, step.percent, step.message, state=step.state)
                if self.fault == "hang" and step.task == vcsa_firstboot.SCRIPTS and step.percent > 50:
                    _sleep_for_ever()
                if step.state == "FAILED":
                    raise InstallError(f"Error: first boot failed. {step.message}")
            say("Successfully completed VCSA deployment.")

    def _ask(self, question: str) -> str:
        """Asks on the terminal, or whatever stands in for it; waits for as long as it takes."""
        self.console.say(question)
        answer = sys.stdin.readline()
        if not answer:
            raise InstallError(f"Nobody answers the question: {question.strip()}")
        return answer.strip()

    @contextlib.contextmanager
    def _task(self, what: str, name: str, flow: str) -> Iterator[None]:
        self.console.start(what)
        try:
            yield
        except (InstallError, TemplateError, vcsa_esxi.HostError):
            self.console.failed(name)
            raise
        self.console.done(name, flow)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vcsa-deploy", description="Deploys a vCenter Server Appliance (simulated)."
    )
    parser.add_argument("operation", choices=("install", "upgrade", "migrate"))
    parser.add_argument("template", type=Path, help="JSON template")
    parser.add_argument("--accept-eula", action="store_true")
    parser.add_argument("--acknowledge-ceip", action="store_true")
    parser.add_argument("--log-dir", type=Path)
    parser.add_argument("--skip-ovftool-verification", action="store_true")
    parser.add_argument("--no-ssl-certificate-verification", action="store_true")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--verify-template-only", action="store_true")
    only.add_argument("--precheck-only", action="store_true")
    talk = parser.add_mutually_exclusive_group()
    talk.add_argument("-v", "--verbose", action="store_true")
    talk.add_argument("-t", "--terse", action="store_true")
    return parser


def _endpoint(host: str) -> tuple[str, int]:
    address, _, port = host.partition(":")
    return address, int(port or 443)


def _tree() -> Path:
    """Returns the tree that the command was started from."""
    return Path(os.environ.get("PAVER_LAB_VCSA_TREE", "."))


def _ovftool() -> str:
    """Starts the tree's ovftool, as the real installer does (vmware/photon#764 has its command line)."""
    argv = [str(_tree() / "vcsa" / "ovftool" / "lin64" / "ovftool"), "--version"]
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InstallError(f"OVF Tool: {error.strerror}: {argv[0]}") from error
    if ended.returncode:
        raise InstallError(f"OVF Tool: ended with {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout.strip()


def _image() -> Path:
    """Returns the appliance's OVA in that tree."""
    tree = _tree()
    found = sorted((tree / "vcsa").glob("VMware-vCenter-Server-Appliance-*.ova"))
    if not found:
        raise InstallError(f"There is no VMware-vCenter-Server-Appliance-*.ova in {tree / 'vcsa'}.")
    return found[0]


def _sleep_for_ever() -> NoReturn:
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
