"""Bills of a small image, read by libraries that others wrote: CycloneDX' own schema, and SPDX's own validation.

    python -m tests.image.readers [CDX SPDX]

The libraries are no dependency of paver's, and go into an environment that is thrown away. Without arguments a small
image is made; with them, these two files are read.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from paver.image import published
from tests.support import small_image

PACKAGES = ("cyclonedx-python-lib[json-validation]==11.12.0", "spdx-tools==0.8.5")
_READ = """
import sys
from pathlib import Path
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text())
found = [str(wrong)] if wrong else []
found += [each.validation_message for each in validate_full_spdx_document(parse_file(sys.argv[2]))]
print("\\n".join(found) or "both are what their formats want")
sys.exit(bool(found))
"""


def main() -> int:
    """Reads, and returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="paver-readers-") as scratch:
        folder = Path(scratch)
        files = sys.argv[1:]
        if not files:
            made = small_image.image(folder / "image", b"content" * 9000)
            files = [str(published.beside(made.ova, what)) for what in ("cdx", "spdx")]
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        return subprocess.run([python, "-c", _READ, *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
