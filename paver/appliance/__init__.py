"""What runs on the jumpbox itself: its first boot, the console's form, and the script that paves from within.

Standard library, and what of paver needs nothing else (`paver.errors`, `paver.signing.public_line`): this starts on every
boot, before anything is known. Nothing here knows a site.
"""
