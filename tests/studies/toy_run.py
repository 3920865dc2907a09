"""The command line of studies with the toy executor, as a program that tests can kill."""

import sys

from studies.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], execute="tests.studies.toy_executor:execute", check=lambda runs: None))
