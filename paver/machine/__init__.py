"""What needs a machine that is reached by SSH, and nothing of the IaaS that it stands on: for every driver."""
