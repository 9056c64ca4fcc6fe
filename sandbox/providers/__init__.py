"""Provider plugins and a language host of ours, started by the engine as it starts the real ones."""
