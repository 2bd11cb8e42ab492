"""Networks as plain nn.Modules; none of them knows a config, a corpus or a trainer."""
