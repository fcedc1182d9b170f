"""What runs on the jumpbox itself: its first boot, the console's form, and the script that paves from within.

Standard library and `paver.errors` alone: this starts on every boot, before anything is known. Nothing here knows a site.
"""
