"""The room that the lab's machines stand in: what happens when somebody presses a power button.

`init` is the first process of the lab's namespaces, `__main__` starts it; the `supervisor` powers machines;
`disk` finds out what a disk boots; `jumpbox`, `vcsa`, `stemcell` and `pc` are what then comes up; `guest` is the
first process inside of a machine.
"""
