"""Proves an image by booting it: `ways` are the ways to boot it, `firstboot` what it is told, `checks` what is looked at, `came` what came of it.

`run` does it all, `report` says what was found.
"""
