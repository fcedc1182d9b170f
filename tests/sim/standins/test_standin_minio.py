"""The root's secret key on its way through the script that starts MinIO: as it is given, where paver takes it."""

from __future__ import annotations

import string
import subprocess
from pathlib import Path

import pytest

from paver.lab.standins import stub_services
from paver.sealed import passwords

pytestmark = pytest.mark.lab

VISIBLE = "".join(character for character in string.printable if "!" <= character <= "~")


def arrived(folder: Path, secret: str) -> str | None:
    """Returns what MinIO gets as its root's password, None where the script breaks off."""
    (job, *_) = stub_services.minio("/usr/bin/minio").jobs
    text = job.templates["bin/start"]
    for found, value in (("p('credential.accesskey')", "paver"), ("p('credential.secretkey')", secret)):
        assert f"<%= {found} %>" in text
        text = text.replace(f"<%= {found} %>", value)
    server = "/var/vcap/packages/minio/bin/minio"
    assert server in text
    script = folder / "start"
    script.write_text(text.replace(server, "/usr/bin/printenv"))
    done = subprocess.run(
        ["bash", script, "MINIO_ROOT_PASSWORD"], capture_output=True, text=True, check=False, cwd=folder
    )
    return done.stdout.removesuffix("\n") if done.returncode == 0 else None


@pytest.mark.parametrize("character", VISIBLE)
def test_a_secret_key_that_paver_takes_comes_to_minio_as_it_is_and_any_other_does_not(
    tmp_path: Path, character: str
) -> None:
    # In the middle, before what may be a name, twice in a row, and at the end.
    secrets = [f"Abc{character}defgh1", f"Abc{character}x{character}{character}y12", f"Abcdefg{character}"]
    taken = all(not passwords.check("s3", secret) for secret in secrets)
    assert taken == all(arrived(tmp_path, secret) == secret for secret in secrets)
