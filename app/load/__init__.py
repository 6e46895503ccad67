"""Load on a running service, made with as little work as can be: it shares the machine."""
