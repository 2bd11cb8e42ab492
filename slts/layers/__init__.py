"""Networks that several systems share: plain modules, no config."""
