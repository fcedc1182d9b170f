"""Phase `hosts`: what a bare ESXi host needs before anything is placed on it."""
