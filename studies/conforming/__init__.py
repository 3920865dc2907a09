"""Golden cases of other libraries, reproduced by compositions of the estimator's parts.

    cases, files           what a case is, and how files of them are read and run
    options                a case's options, each of which must be accounted for
    composition            what reproduces a case, and how its numbers come out of the estimator
    trl, verl, reference   from each peer's options to a composition; tables stand in *_losses, *_advantages,
                           *_pieces, *_terms and *_registry, parts for a peer's oddities in *quirks
    routing                the same for cases of a gate
    runner, table          the comparison, and how it is shown

A peer's module offers `compose(case: Case) -> Composition`. It raises `Inexpressible` for an option or input
that no part stands for, and `OutOfScope` for what is left out on purpose; it passes over none in silence.
"""
