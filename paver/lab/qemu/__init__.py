"""A PC in software: the lab's and the image's proofs boot real disks in it.

`acceleration` finds out what runs it, `hardware` is what it is made of, `machine` its process, `console` what it says.
Nothing here knows what is on the disk.
"""
