"""botocore's session for S3 stores, without what tells it where the services of Amazon are.

Every store of a site has its address in the site file. Without one, botocore takes it from a table of all services in all
regions, which it reads whole even where it is not asked: two thirds of what a client takes to begin.
"""

from __future__ import annotations

import functools
from typing import Any

SERVICE = "s3"

# What botocore looks up in that table although the store's address is given: how requests are signed, and what stands for
# us-east-1, which it looks up as no region at all (botocore/args.py, _should_force_s3_global).
_ANYWHERE = {
    "version": 3,
    "partitions": [
        {
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "regionRegex": ".*",
            "regions": {},
            "defaults": {
                "hostname": "{service}.{region}.{dnsSuffix}",
                "protocols": ["https"],
                "signatureVersions": ["s3v4"],
            },
            "services": {
                SERVICE: {
                    "partitionEndpoint": "aws-global",
                    "endpoints": {"aws-global": {"credentialScope": {"region": "us-east-1"}}},
                }
            },
        }
    ],
}


def session() -> Any:
    """Returns a new session; what it reads of S3's calls is read once for all of them."""
    import botocore.session  # noqa: PLC0415

    made = botocore.session.Session()
    made.register_component("data_loader", _loader())
    return made


@functools.cache
def _loader() -> Any:
    """Returns what reads botocore's own descriptions, and keeps what it has read: they do not change."""
    from botocore.loaders import Loader  # noqa: PLC0415

    class Lean(Loader):
        def list_available_services(self, type_name: str) -> list[str]:
            del type_name  # the folders of all services would be looked through
            return [SERVICE]

        def load_data_with_path(self, name: str) -> tuple[Any, str]:
            return (_ANYWHERE, "") if name == "endpoints" else super().load_data_with_path(name)

    return Lean()
