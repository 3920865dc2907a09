"""The command line of sweeps with the toy executor, as a program that tests can kill."""

import sys

from studies.sweep import hide_password, main

if __name__ == "__main__":
    hide_password()
    sys.exit(main(execute="tests.studies.sweeping.toy_executor:execute", check=lambda runs: None))
