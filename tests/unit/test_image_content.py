"""What the image holds is declared with a reason for each thing, and locked to the byte."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paver.errors import BadInput
from paver.image import bill, content, lock
from paver.image.lock import Deb, Lock

ROOT = Path(__file__).parent.parent.parent
GOOD = b"""\
paver.content: 1
suite: trixie
architecture: amd64
packages:
  tools:
    curl: asks any server
programs:
  bosh: makes the director
"""


def test_the_content_of_this_tree_is_what_its_lock_was_made_of() -> None:
    wanted, locked = content.load(ROOT / content.FILE), lock.load(ROOT / lock.FILE)
    assert locked.content == wanted.digest
    assert lock.needed(locked, wanted.packages) == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"    curl: asks any server", b"    curl: ''", "curl has no reason"),
        (b"    curl: asks any server", b"    'curl; rm': why", "is no name"),
        (b"programs:", b"  more:\n    curl: again\nprograms:", "packages.more.curl is there twice"),
        (b"suite: trixie", b"suite: trixie\nextra: 1", "extra"),
        (b"paver.content: 1", b"paver.content: 2", "2 is not known"),
        (b"programs:", b"without: [usr/share]\nprograms:", "is no path of the image"),
        (b"architecture: amd64", b"architecture: sparc", "architecture"),
    ],
)
def test_a_content_that_says_something_else_is_refused(old: bytes, new: bytes, words: str) -> None:
    assert old in GOOD
    with pytest.raises(BadInput) as refusal:
        content.loads(GOOD.replace(old, new), "content.yml")
    assert words in str(refusal.value)


def test_a_reason_that_is_put_better_changes_no_lock() -> None:
    one = content.loads(GOOD, "content.yml")
    other = content.loads(GOOD.replace(b"asks any server", b"asks"), "content.yml")
    assert one.digest == other.digest
    more = content.loads(GOOD.replace(b"programs:", b"    git: history\nprograms:"), "content.yml")
    assert more.digest != one.digest


NAMES = st.text(string.ascii_lowercase + string.digits + "+.-", min_size=1, max_size=12).map("a{}".format)
DEBS = st.builds(
    Deb,
    name=NAMES,
    version=st.text(string.ascii_letters + string.digits + ".+~-:", min_size=1, max_size=12),
    architecture=st.sampled_from(["amd64", "all"]),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(1, 2**31 - 1),
)
LOCKS = st.builds(
    Lock,
    suite=st.just("trixie"),
    content=st.just("0" * 64),
    epoch=st.integers(1, 2**40),
    debs=st.lists(DEBS, unique_by=lambda deb: deb.name).map(lambda debs: tuple(sorted(debs))),
)


@given(LOCKS)
def test_a_lock_reads_as_it_was_written(locked: Lock) -> None:
    assert lock.loads(lock.dumps(locked), "debs.lock") == locked


@given(LOCKS.filter(lambda locked: locked.debs), st.data())
def test_a_lock_with_a_line_less_or_twice_or_out_of_order_is_told_or_is_another_one(
    locked: Lock, data: st.DataObject
) -> None:
    lines = lock.dumps(locked).splitlines(keepends=True)
    number = data.draw(st.integers(1, len(lines) - 1))
    with pytest.raises(BadInput):
        lock.loads(b"".join([*lines, lines[number]]), "debs.lock")
    assert lock.loads(b"".join(lines[:number] + lines[number + 1 :]), "debs.lock") != locked


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"name":"curl"', b'"name":"../curl"'),
        (b'"size":1', b'"size":1.0'),
        (b'"size":1', b'"size":1,"size":1'),
        (b'"version":"1"', b'"more":1,"version":"1"'),
        (b"paver.debs/1", b"paver.debs/2"),
    ],
    ids=["a path", "a float", "a key twice", "an unknown key", "another format"],
)
def test_a_damaged_lock_is_refused(old: bytes, new: bytes) -> None:
    deb = Deb(name="curl", version="1", architecture="amd64", sha256="0" * 64, size=1)
    text = lock.dumps(Lock(suite="trixie", content="0" * 64, epoch=1, debs=(deb,)))
    assert old in text
    with pytest.raises(BadInput):
        lock.loads(text.replace(old, new), "debs.lock")


def test_what_changed_between_two_locks_is_named() -> None:
    def locked(**versions: str) -> Lock:
        debs = [
            Deb(name=name, version=version, architecture="amd64", sha256=f"{len(version):064d}", size=1)
            for name, version in sorted(versions.items())
        ]
        return Lock(suite="trixie", content="0" * 64, epoch=1, debs=tuple(debs))

    old, new = locked(bash="5.1", curl="8"), locked(bash="5.2", git="2")
    assert lock.changes(old, new) == ["~ bash 5.1 → 5.2", "- curl 8", "+ git 2"]
    assert lock.changes(old, old) == []


def test_a_package_is_kept_under_the_name_that_the_archive_has_it_under() -> None:
    deb = Deb(name="git", version="1:2.47.3-0", architecture="amd64", sha256="0" * 64, size=1)
    assert deb.file == "git_2.47.3-0_amd64.deb"


def test_a_bill_reads_as_it_was_written_and_tells_what_is_new() -> None:
    locked = lock.load(ROOT / lock.FILE)
    wheels = {"pyyaml-6.0.3-cp313-cp313-manylinux2014_x86_64.whl": "1" * 64}
    old = bill.of("1.0", locked, wheels, {"bosh": ("7.4.0", "2" * 64)}, "3" * 64)
    assert bill.loads(bill.dumps(old), "the bill") == old
    newer = {"pyyaml-6.0.4-cp313-cp313-manylinux2014_x86_64.whl": "1" * 64}
    new = bill.of("1.0", locked, newer, {"bosh": ("7.4.0", "4" * 64)}, "5" * 64)
    assert bill.changes(old, new) == [
        "~ program bosh: the same version, other bytes",
        "~ wheel pyyaml 6.0.3 → 6.0.4",
    ]
    with pytest.raises(BadInput):
        bill.loads(bill.dumps(old).replace(b"image-bill/1", b"image-bill/2"), "the bill")
