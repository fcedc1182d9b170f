"""`paver.sealed/1`: stores that an early paver wrote open forever. The samples are never written anew."""

import base64
from pathlib import Path

from paver.sealed import keys, store

SAMPLES = Path(__file__).parent / "sealed-1"


def test_the_stored_sample_with_a_key_file_opens(tmp_path: Path) -> None:
    key = tmp_path / "site.key"
    key.touch(mode=0o600)
    key.write_bytes(base64.b64encode(bytes(range(32))))
    reader = store.unlock(SAMPLES / "site.sealed", keys.KeyFile(key))
    assert reader.index.generation == 4
    assert reader.secret("esx-root").reveal() == "Sample!Pass3word"
    earlier = reader.index.entry("esx-root").previous[0].version
    assert reader.secret("esx-root", earlier).reveal() == "Sample!Pass2word"
    assert reader.index.entry("root").public == {
        "pem": "sample",
        "expires": "2036-11-20T16:00:00Z",
        "bits": 3072,
    }


def test_the_stored_sample_with_a_passphrase_opens() -> None:
    reader = store.unlock(SAMPLES / "passphrase.sealed", keys.Passphrase(lambda: "correct horse battery"))
    assert reader.secret("a").reveal() == "sample value"


def test_the_index_of_the_stored_sample_reads_without_its_key() -> None:
    index = store.open_index(SAMPLES / "site.sealed")
    assert list(index.entries) == ["esx-root", "root"]
    assert index.entry("esx-root").public == {"user": "root"}
    assert index.ancestry
