"""Phase `jumpbox`: the machine from which the rest of the site is paved."""
