"""When a release that a director lists is believed to be whole: by the word of its upload's task, told by lists of tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from paver.foundation.director.uploads import Release

UPLOADED = ("create release", "done", "Created release 'minio/1'")
OTHER = ("create release", "done", "Created release 'bosh-dns/1'")


def listing(*tasks: tuple[str, str, str | None]) -> Any:
    """A director with these tasks, the latest first."""
    found = [{"description": called, "state": state, "result": result} for called, state, result in tasks]
    return SimpleNamespace(get=lambda *_, **__: SimpleNamespace(json=lambda: found))


@pytest.mark.parametrize(
    "tasks",
    [
        [UPLOADED],
        [OTHER, UPLOADED, ("create release", "error", "no space")],
        [("create deployment", "error", "x"), ("delete release: bosh-dns", "done", "/release/x"), UPLOADED],
    ],
)
def test_a_release_is_whole_if_nothing_went_wrong_with_any_since_its_upload_ended_well(tasks: Any) -> None:
    assert Release.whole(listing(*tasks), "minio", "1")


@pytest.mark.parametrize(
    "tasks",
    [
        [],
        [OTHER],
        [("create release", "done", "Created release 'minio/1.1'")],
        [("create release", "error", "no space"), UPLOADED],
        [("create release", "timeout", None), UPLOADED],
        [("create release", "processing", None), UPLOADED],
        [("delete release: minio", "error", "the blobstore does not answer"), UPLOADED],
        [("delete release: minio", "timeout", None), UPLOADED],
        [("delete release: minio", "processing", None), UPLOADED],
    ],
)
def test_a_release_of_which_that_is_not_known_is_uploaded_again(tasks: Any) -> None:
    assert not Release.whole(listing(*tasks), "minio", "1")
