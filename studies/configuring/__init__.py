"""From what the command line says to runs with every setting spelled out."""
