"""Phase `inventory`: what vCenter holds, from the datacenter to the account by which BOSH acts on it."""
