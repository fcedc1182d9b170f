"""Files that the site file names and that the jumpbox is to have: known by their digests, brought, kept with a mark."""
