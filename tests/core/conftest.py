"""How the property tests run."""

from hypothesis import settings

# The first example of a test pays for imports, on a machine that may be busy: no time is a failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
