"""A travel desk that goes on saying completed, whatever goes wrong; and the monitors that see it."""
