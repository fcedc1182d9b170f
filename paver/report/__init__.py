"""How plans and runs look: rendering only, nothing is decided here."""
