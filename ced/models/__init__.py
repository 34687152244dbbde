"""The paper's networks and losses (section 3), as plain torch modules that know of no file."""
