"""The vCenter appliance: the template for VMware's installer, what the installer says, what paver makes of it."""
