"""Random sequences of all that happens to a library, each compared with a plain model of what must hold."""
