"""A datacentre to rehearse in: simulated hosts and vCenter, a real jumpbox, in a network without a way out.

programs, build    the Go programs in `servers/`, built on first use into the cache
system, debian     the system's programs, unpacked into the cache where the machine lacks them
plan, site         what a lab stands up; the demo's site file for a lab that is up
raising, namespace up, down, find; the namespaces that all of it lives in
room/              what happens inside: power buttons, cables, machines that boot
standins/          what can't be had: vCenter's installer, BUCC, the CPI, the agent
"""
