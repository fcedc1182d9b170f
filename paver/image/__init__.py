"""The jumpbox's image: what is in it, how it is built, packed, signed, and proven. Nothing here knows a site."""
