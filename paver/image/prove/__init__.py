"""Proves an image by booting it: `ways` are the ways to boot it, `firstboot` what it is told, `checks` what is looked at.

`run` does it all, `report` says what was found.
"""
