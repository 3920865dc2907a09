"""The tests. They check annotations while they run; an int passes for a float, as type checkers have it."""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
