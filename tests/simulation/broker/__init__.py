"""A simulator for the broker: simulated processes, threads, slots and sockets around the real one."""
