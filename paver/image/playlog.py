"""Reads what Packer prints while it runs a playbook: which task is on, which failed, what changed at which run. Pure."""

from __future__ import annotations

import dataclasses
import json
import re

_SOURCE = re.compile(r"^(?:==> |    )[a-z0-9.-]+: ?")
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \*+$")
_CHANGED = re.compile(r"^changed: \[")
_FAILED = re.compile(r"^(?:fatal|failed): \[[^\]]*\](?:: (?P<how>[A-Z]+)!)?.* => (?P<rest>.*)$")
_ERROR = re.compile(r"^\[ERROR\]: (?P<text>.*)$")
_ORIGIN = re.compile(r"^Origin: (?P<place>.*)$")
_RECAP = re.compile(r"^\S+\s+: ok=\d+\s+changed=(?P<changed>\d+) ")
_NO_SSH = "Timeout waiting for SSH"
_KEPT = 40


@dataclasses.dataclass
class PlayLog:
    """What was read so far.

    Attributes:
        doing: Packer's last step or Ansible's task, for people.
        task: Ansible's last task.
        failed: the task that failed, or "".
        reason: what it said.
        origin: the playbook's line where it stands, or "".
        no_ssh: the machine did not answer in time.
        runs: of each run that came to its end, the tasks that changed something.
        tail: the last lines.
    """

    doing: str = ""
    task: str = ""
    failed: str = ""
    reason: str = ""
    origin: str = ""
    no_ssh: bool = False
    runs: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    tail: list[str] = dataclasses.field(default_factory=list)
    _changed: list[str] = dataclasses.field(default_factory=list)

    def feed(self, line: str) -> None:
        """Reads the next line."""
        text = _SOURCE.sub("", line.rstrip())
        if not text:
            return
        self.tail = [*self.tail[1 - _KEPT :], text]
        if _NO_SSH in text:
            self.no_ssh = True
        elif found := _TASK.match(text):
            self.task = self.doing = found["name"]
        elif found := _ERROR.match(text):
            self.reason = found["text"]
        elif found := _ORIGIN.match(text):
            self.origin = found["place"]
        elif found := _FAILED.match(text):
            self.failed, self.reason = self.task, _said(found["rest"]) or self.reason
        elif _CHANGED.match(text):
            if self.task not in self._changed:
                self._changed.append(self.task)
        elif found := _RECAP.match(text):
            # What Ansible counts is what holds; a task that was not read has no name.
            count = int(found["changed"])
            self.runs.append(tuple(self._changed) if self._changed or not count else (f"{count} tasks",))
            self._changed = []
        elif not self.no_ssh and line.startswith("==> ") and _SOURCE.match(line):
            self.doing = text.rstrip(".")


def _said(rest: str) -> str:
    try:
        told = json.loads(rest)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    parts = [str(told.get(key, "")).strip() for key in ("msg", "stderr")]
    return "\n".join(dict.fromkeys(part for part in parts if part))
