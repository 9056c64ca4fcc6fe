"""What is declared to the engine: component resources that wire what plan/ decided. They read no
configuration, do no I/O and know no rules."""
